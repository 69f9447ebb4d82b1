"""Fusion against a world whose ground truth is known exactly, through the hw2 rig's lenses."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calib.rig import Camera, load_rig
from deploy.loop.decode import CameraResult, Detection
from deploy.loop.ego_map import GridSpec, MapObject
from deploy.loop.fuse import Fuser
from deploy.loop.locate import HEIGHT, MAX_RANGE_M, NEAR_TO_MIDDLE, on_ground
from deploy.loop.preprocess import make_batches
from perception.spec import PRESETS

SPEC = PRESETS["nano"]
RIG = load_rig("hw2")
BATCHES = make_batches(RIG, SPEC)
LETTERBOXES = {name: box for batch in BATCHES for name, box in batch.letterboxes.items()}
FUSER = Fuser(RIG, BATCHES, SPEC)


def is_drivable(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A road along x and another one that bends away to the left."""
    return (np.abs(y) < 5) | (np.abs(np.hypot(x - 12, y - 14) - 10) < 3)


def scene_pixels(camera: Camera) -> np.ndarray:
    """Camera pixel of each scene map pixel, by the letterbox alone."""
    box, stride = LETTERBOXES[camera.name], SPEC.output_stride
    columns, rows = np.meshgrid(
        np.arange(box.dst_width // stride), np.arange(box.dst_height // stride)
    )
    return box.inverse((np.stack([columns, rows], axis=-1) + 0.5) * stride - 0.5)


def seen_by(camera: Camera, wall_beyond: float = math.inf) -> CameraResult:
    """A perfect network's result; from `wall_beyond` metres on everything stands upright."""
    ground = on_ground(camera, scene_pixels(camera))
    x, y = ground[..., 0], ground[..., 1]
    with np.errstate(invalid="ignore"):
        on_plane = np.isfinite(x) & (np.hypot(x, y) < wall_beyond)
        drivable = on_plane & is_drivable(x, y)
    scene = np.where(drivable, 0, np.where(on_plane, 2, 8)).astype(np.uint8)
    box = LETTERBOXES[camera.name]
    maps = drivable.astype(np.float32), on_plane.astype(np.float32)
    return CameraResult(camera.name, scene, *maps, (), box)


def detections(label: str, x: float, y: float, score: float = 0.9) -> dict[str, list[Detection]]:
    """What every camera that sees the ground point reports of an object there: the box spans the
    near face of a thing as high as its class."""
    found = {}
    for camera in RIG:
        middle = np.array([x, y, 0.0])
        pixel, visible = camera.project(middle)
        away = middle[:2] - camera.ego_from_camera[:2, 3]
        near = middle[:2] - NEAR_TO_MIDDLE[label][0] * away / np.hypot(*away)
        heights = (0.0, HEIGHT[label][0])
        (_, v1), (_, v0) = camera.project(np.array([(*near, z) for z in heights]))[0].tolist()
        if visible:
            u, v = pixel.tolist()
            last_x, last_y = camera.lens.width - 1, camera.lens.height - 1
            edges = (max(u - 9, 0.0), max(v0, 0.0), min(u + 9, last_x), min(v1, last_y))
            found[camera.name] = [Detection(label, score, edges, (u, v))]
    return found


def fuse_objects(found: dict[str, list[Detection]]) -> tuple[MapObject, ...]:
    results = {}
    for name, objects in found.items():
        box = LETTERBOXES[name]
        shape = box.dst_height // SPEC.output_stride, box.dst_width // SPEC.output_stride
        nothing = np.zeros(shape, np.float32)
        results[name] = CameraResult(
            name, nothing.astype(np.uint8), nothing, nothing, tuple(objects), box
        )
    return FUSER.fuse(results).objects


def test_the_grid_is_the_world():
    ego = FUSER.fuse({camera.name: seen_by(camera) for camera in RIG})
    centres = ego.grid.centres()
    truth = is_drivable(centres[..., 0], centres[..., 1])
    assert ego.drivable.shape == ego.seen.shape == (200, 300)
    assert ego.seen.mean() > 0.75
    found = ego.drivable > 0.5
    away = np.hypot(centres[..., 0], centres[..., 1])
    for reach, least in ((15, 0.97), (60, 0.93)):  # far away a pixel is metres long
        where = ego.seen & (away < reach)
        assert (found & truth & where).sum() / ((found | truth) & where).sum() > least


@pytest.mark.parametrize("camera", RIG.cameras, ids=lambda camera: camera.name)
def test_each_lens_alone_puts_the_ground_where_it_is(camera: Camera):
    """Fisheye and distorted pinhole alike: within 12 m no lens is off by more than its pixels."""
    ego = FUSER.fuse({camera.name: seen_by(camera)})
    centres = ego.grid.centres()
    away = np.linalg.norm(centres[..., :2] - camera.ego_from_camera[:2, 3], axis=-1)
    near = ego.seen & (away < 12)
    truth = is_drivable(centres[..., 0], centres[..., 1])
    assert near.sum() > 300
    assert ((ego.drivable > 0.5) == truth)[near].mean() > 0.97


def test_a_swapped_camera_is_noticed():
    right = {camera.name: seen_by(camera) for camera in RIG}
    swapped = dict(right)
    swapped["left_pillar"], swapped["left_repeater"] = (
        right["left_repeater"],
        right["left_pillar"],
    )
    centres = FUSER.grid.centres()
    truth = is_drivable(centres[..., 0], centres[..., 1])

    def agreement(results: dict[str, CameraResult]) -> float:
        ego = FUSER.fuse(results)
        return float(((ego.drivable > 0.5) == truth)[ego.seen].mean())

    assert agreement(right) > 0.98
    assert agreement(swapped) < 0.95


def test_what_nobody_sees_is_unknown_and_never_free():
    ego = FUSER.fuse({"main": seen_by(RIG["main"])})
    x = ego.grid.centres()[..., 0]
    assert not ego.seen[x < 2].any()
    assert ego.seen[x > 10].any()
    assert not ego.drivable[~ego.seen].any()
    nobody = FUSER.fuse({})
    assert not nobody.seen.any() and not nobody.drivable.any() and nobody.objects == ()


def test_something_standing_hides_the_ground_behind_it():
    ego = FUSER.fuse({camera.name: seen_by(camera, wall_beyond=15) for camera in RIG})
    away = np.hypot(*np.moveaxis(ego.grid.centres()[..., :2], -1, 0))
    assert not ego.seen[away > 20].any()  # one pixel of the rear camera is 3.5 m long there
    assert ego.seen[(away > 6) & (away < 13)].mean() > 0.9


def test_the_ground_below_a_vehicle_is_never_free():
    """Cameras see ground below its body, and all around it, and call both drivable."""
    results = {}
    found = detections("vehicle", 15.0, 1.0)
    for camera in RIG:
        seen = seen_by(camera)
        results[camera.name] = replace(seen, objects=tuple(found.get(camera.name, ())))
    ego = FUSER.fuse(results)
    centres = ego.grid.centres()
    along, across = np.abs(centres[..., 0] - 15), np.abs(centres[..., 1] - 1)
    (car,) = ego.objects
    below = (along < 0.48 * car.size[0]) & (across < 0.48 * car.size[1])
    middle = (along < 0.2 * car.size[0]) & (across < 0.2 * car.size[1])
    assert below.sum() > 100 and not ego.drivable[below].any()
    assert ego.seen[middle].all() and not ego.seen[below].all()
    around = (across < 2.5) & (along < 4) & ~((along < 2.6) & (across < 1.2))
    assert ego.seen[around].all() and (ego.drivable[around] > 0.5).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(-30, 50), st.floats(-30, 30), st.floats(0.1, 12), st.floats(0.1, 3))
def test_a_rectangle_holds_the_cells_whose_centres_lie_in_it(
    x: float, y: float, length: float, width: float
):
    grid = GridSpec()
    marked = np.zeros(grid.shape, bool)
    marked[grid.rectangle(x, y, length, width)] = True
    from_middle = np.abs(grid.centres()[..., :2] - (x, y)) - (length / 2, width / 2)
    assert marked[(from_middle < -1e-9).all(axis=-1)].all()
    assert not marked[(from_middle > 1e-9).any(axis=-1)].any()


def test_the_camera_that_sees_finer_counts_for_more():
    """At 30 m ahead the narrow camera has most pixels: where it disagrees, it wins."""
    results = {name: seen_by(RIG[name]) for name in ("wide", "narrow")}
    narrow = results["narrow"]
    results["narrow"] = CameraResult(
        "narrow", narrow.scene, narrow.drivable * 0, narrow.ground, (), narrow.letterbox
    )
    ego = FUSER.fuse(results)
    row, column = 100, round((30 - ego.grid.x_min) / ego.grid.cell)
    assert ego.seen[row, column] and ego.drivable[row, column] < 0.3


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["vehicle", "pedestrian", "cyclist"]),
    st.floats(-18, 35),
    st.floats(-18, 18),
)
def test_an_object_is_reported_once_and_where_it_is(label: str, x: float, y: float):
    assume(all(math.dist((x, y), camera.ego_from_camera[:2, 3]) > 3 for camera in RIG))
    found = detections(label, x, y)
    assume(found)
    (thing,) = fuse_objects(found)
    assert (thing.label, set(thing.cameras)) == (label, set(found))
    assert math.hypot(thing.x - x, thing.y - y) < 0.05


def test_overlapping_cameras_are_in_that_test():
    assert len(detections("vehicle", 25.0, 0.5)) >= 3


def test_two_objects_stay_two():
    first, second = detections("vehicle", 15.0, 0.0), detections("vehicle", 15.0, 3.2)
    both = {n: first.get(n, []) + second.get(n, []) for n in {*first, *second}}
    assert sorted(round(t.y, 1) for t in fuse_objects(both)) == [0.0, 3.2]


def test_other_classes_do_not_merge():
    person, car = detections("pedestrian", 15.0, 0.0), detections("vehicle", 15.0, 0.0)
    both = {"main": person["main"], "wide": car["wide"]}
    assert sorted(t.label for t in fuse_objects(both)) == ["pedestrian", "vehicle"]
    same = {"main": car["main"], "wide": car["wide"]}
    assert len(fuse_objects(same)) == 1


def test_the_camera_that_measures_finer_decides_where_an_object_is():
    """Both cameras are off by two network pixels, which are many metres for one of them."""
    found = detections("vehicle", 50.0, 0.0)
    for camera in ("narrow", "wide"):
        (one,) = found[camera]
        down = 2 / LETTERBOXES[camera].scale[1]
        u, v = one.ground_point
        x0, y0, x1, y1 = one.box
        moved = Detection("vehicle", 0.9, (x0, y0 + down, x1, y1 + down), (u, v + down))
        found[camera] = [moved]
    alone = {name: fuse_objects({name: found[name]})[0] for name in ("narrow", "wide")}
    (together,) = fuse_objects({name: found[name] for name in ("narrow", "wide")})
    assert alone["narrow"].sigma < alone["wide"].sigma
    assert abs(together.x - alone["narrow"].x) < abs(together.x - alone["wide"].x)
    assert together.sigma < alone["narrow"].sigma


def main_sees(*vehicles: tuple[float, float, float]) -> tuple[MapObject, ...]:
    """What the map holds of vehicles (x, y, score) that the main camera alone reports."""
    found = [detections("vehicle", x, y, score)["main"][0] for x, y, score in vehicles]
    return fuse_objects({"main": found})


def test_one_camera_reports_a_vehicle_once():
    """Two peaks on one vehicle, here 2 m apart in depth: the better one stays, unmoved."""
    (thing,) = main_sees((17.0, 0.0, 0.5), (15.0, 0.0, 0.9))
    assert thing.x == pytest.approx(15, abs=0.05) and thing.score == 0.9


def test_vehicles_that_have_room_stay_apart():
    assert len(main_sees((15.0, 0.0, 0.9), (15.0, 2.6, 0.5))) == 2  # side by side
    assert len(main_sees((15.0, 0.0, 0.9), (20.5, 0.0, 0.5))) == 2  # one behind the other


def test_one_camera_never_merges_its_own_people():
    twice = {"main": detections("pedestrian", 15.0, 0.0)["main"] * 2}
    assert len(fuse_objects(twice)) == 2


def test_pixel_errors_still_merge_and_sigma_grows_with_distance():
    sigmas = []
    for distance in (14.0, 25.0, 40.0):
        found = detections("vehicle", distance, 0.0)
        assert {"main", "narrow"} <= set(found)
        rng = np.random.default_rng(0)
        for camera, (one,) in found.items():
            u, v = one.ground_point + rng.uniform(-1, 1, 2) / LETTERBOXES[camera].scale
            found[camera] = [Detection("vehicle", 0.9, one.box, (float(u), float(v)))]
        (thing,) = fuse_objects(found)
        assert abs(thing.x - distance) < 3 * thing.sigma + 0.1
        sigmas.append(thing.sigma)
    assert sigmas == sorted(sigmas)


def test_no_place_above_the_horizon_or_out_of_range():
    lens = RIG["main"].lens
    sky = Detection("vehicle", 0.9, (600, 100, 640, 140), (lens.cx, lens.cy - 50))
    far = detections("vehicle", MAX_RANGE_M + 5, 0.0)
    assert far
    assert fuse_objects({"main": [sky]}) == ()
    assert fuse_objects(far) == ()
    assert fuse_objects(detections("vehicle", MAX_RANGE_M - 5, 0.0))


def test_on_ground_is_the_inverse_of_projection():
    for camera in RIG:
        points = GridSpec().centres()[::20, ::20].reshape(-1, 3)
        pixels, visible = camera.project(points)
        np.testing.assert_allclose(
            on_ground(camera, pixels[visible]), points[visible, :2], atol=1e-5
        )
