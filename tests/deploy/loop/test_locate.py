"""Where one camera's detections stand, from boxes whose world is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.rig import Camera, load_rig
from deploy.loop.associate import associate
from deploy.loop.decode import CameraResult, Detection
from deploy.loop.locate import Sighting, locate
from deploy.loop.preprocess import make_batches
from perception.spec import PRESETS

RIG = load_rig("hw2")
LETTERBOXES = {
    name: box
    for batch in make_batches(RIG, PRESETS["nano"])
    for name, box in batch.letterboxes.items()
}
NOTHING = np.zeros((1, 1), np.float32)


def box_of(camera: Camera, x: float, size: tuple[float, float, float]) -> Detection:
    """A vehicle straight ahead at x with the camera's heading, as a perfect network boxes it."""
    length, width, height = size
    pixels, _ = camera.project(
        np.array(
            [
                (x + along * length / 2, across * width / 2, z)
                for along in (-1, 1)
                for across in (-1, 1)
                for z in (0.0, height)
            ]
        )
    )
    point = camera.project(np.array([x, 0.0, 0.0]))[0].tolist()
    low, high = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    return Detection("vehicle", 0.9, (*low, *high), (point[0], point[1]))


def located(camera: Camera, *things: Detection) -> list[Sighting]:
    box = LETTERBOXES[camera.name]
    result = CameraResult(camera.name, NOTHING.astype(np.uint8), NOTHING, NOTHING, things, box)
    return locate(camera, result)


def moved(thing: Detection, pixels: float) -> Detection:
    u, v = thing.ground_point
    return replace(thing, ground_point=(u, v + pixels))


@pytest.mark.parametrize("name", ["main", "narrow", "wide"])
@pytest.mark.parametrize("x", [14.0, 25.0, 40.0])
def test_a_car_is_within_its_sigma(name: str, x: float):
    (seen,) = located(RIG[name], box_of(RIG[name], x, (4.5, 1.9, 1.5)))
    assert abs(seen.position[0] - x) < min(2 * seen.sigma, 0.06 * x)
    assert abs(seen.position[1]) < 0.1


def test_the_lower_edge_holds_what_the_ground_point_loses():
    camera = RIG["main"]
    right = box_of(camera, 25.0, (4.5, 1.9, 1.5))
    wrong = moved(right, -3 / LETTERBOXES["main"].scale[1])
    (plain,), (held,) = located(camera, right), located(camera, wrong)
    assert abs(held.position[0] - plain.position[0]) < 1.2  # 3.2 m by the ground point alone


def test_height_holds_what_a_tilted_ground_loses():
    """The car pitched by a third of a degree: the far vehicle's ray meets the plane far behind it,
    or not at all."""
    camera = RIG["wide"]
    car = box_of(camera, 40.0, (4.5, 1.9, 1.5))
    up = -0.33 * math.pi / 180 * camera.lens.fy
    x0, y0, x1, y1 = car.box
    pitched = replace(moved(car, up), box=(x0, y0 + up, x1, y1 + up))
    (seen,) = located(camera, pitched)
    angle = math.atan2(1.4, 38.0) - math.radians(0.33)
    assert 1.4 / math.tan(angle) + 2 > 47  # where its ray says
    assert abs(seen.position[0] - 40) < 6


def test_a_lorry_is_not_pulled_near_by_its_height_and_is_given_its_size():
    camera = RIG["main"]
    (car,) = located(camera, box_of(camera, 20.0, (4.5, 1.9, 1.5)))
    (lorry,) = located(camera, box_of(camera, 20.0, (8.0, 2.4, 3.3)))
    assert abs(lorry.position[0] - 20) < 4
    assert car.size[2] == pytest.approx(1.5, abs=0.2) and lorry.size[2] > 2.5
    assert lorry.size[0] > 1.5 * car.size[0]


def test_a_box_cut_by_the_image_stands_at_its_ground_point():
    camera = RIG["main"]
    whole = box_of(camera, 12.0, (4.5, 1.9, 1.5))
    cut = replace(whole, box=(*whole.box[:3], camera.lens.height - 1.0))
    (seen,) = located(camera, cut)
    assert seen.height is None and seen.position[0] == pytest.approx(12, abs=0.1)


@settings(max_examples=40, deadline=None)
@given(st.floats(10, 45), st.floats(10, 45))
def test_sigma_grows_with_range(a: float, b: float):
    near, far = sorted((a, b))
    sigmas = [
        located(RIG["main"], box_of(RIG["main"], x, (4.5, 1.9, 1.5)))[0].sigma for x in (near, far)
    ]
    assert sigmas[0] <= sigmas[1] + 1e-9


def test_cameras_are_matched_together_and_not_one_after_the_other():
    """The first of two is a bit nearer to the second's partner: greedy would leave one over."""
    small, wide = np.eye(2) * 0.04, np.eye(2) * 1.0

    def at(x: float, covariance: np.ndarray, camera: str) -> Sighting:
        return Sighting(
            "pedestrian", 0.9, np.array([x, 0.0]), covariance, 1.7, {camera: (0, 0, 0, 0)}
        )

    one = [at(10.0, small, "main"), at(11.5, small, "main")]
    other = [at(11.2, wide, "wide"), at(12.9, wide, "wide")]
    merged = associate([one, other])
    assert len(merged) == 2 and all(m.cameras == ("main", "wide") for m in merged)
    assert merged[0].position[0] < 10.5 < merged[1].position[0]
