"""The built-in rig: its fields of view, its mounting, and what it sees of the ground around."""

import numpy as np
import pytest

from calib.rig import Rig, load_rig

RIG = load_rig("hw2")
AZIMUTHS = np.radians(np.arange(0, 360, 0.25))


def ring(distance: float) -> np.ndarray:
    """Ground points (n, 3) all around, `distance` metres from the ego origin."""
    x, y = distance * np.cos(AZIMUTHS), distance * np.sin(AZIMUTHS)
    return np.stack([x, y, np.zeros_like(x)], axis=-1)


def cameras_seeing(rig: Rig, points: np.ndarray) -> np.ndarray:
    """How many cameras see each of the points (n, 3)."""
    return sum(camera.project(points)[1].astype(int) for camera in rig)


@pytest.mark.parametrize(
    ("name", "degrees", "size", "bucket"),
    [
        ("main", 50, (1280, 960), "large"),
        ("narrow", 25, (1280, 960), "large"),
        ("wide", 120, (1280, 960), "large"),
        ("left_pillar", 90, (640, 480), "small"),
        ("right_pillar", 90, (640, 480), "small"),
        ("left_repeater", 90, (640, 480), "small"),
        ("right_repeater", 90, (640, 480), "small"),
        ("rear", 130, (1280, 960), "large"),
    ],
)
def test_field_of_view_is_as_stated(name, degrees, size, bucket):
    camera = RIG[name]
    lens = camera.lens
    assert (lens.width, lens.height, camera.bucket, camera.rate_hz) == (*size, bucket, 36)
    left, right = lens.unproject([[-0.5, lens.cy], [lens.width - 0.5, lens.cy]])
    measured = np.degrees(np.arctan2(right[0], right[2]) - np.arctan2(left[0], left[2]))
    assert measured == pytest.approx(degrees, abs=0.2)


def test_order():
    names = "main narrow wide left_pillar right_pillar left_repeater right_repeater rear"
    assert RIG.names == tuple(names.split())


def test_every_pixel_has_a_ray():
    for camera in RIG:
        lens = camera.lens
        pixels = np.meshgrid(np.arange(0, lens.width, 5.0), np.arange(0, lens.height, 5.0))
        assert np.isfinite(lens.unproject(np.stack(pixels, -1))).all(), camera.name


def test_left_and_right_are_mirrored():
    for part in ("pillar", "repeater"):
        left, right = (RIG[f"{side}_{part}"].ego_from_camera for side in ("left", "right"))
        mirror = np.diag([1, -1, 1])
        np.testing.assert_allclose(left[:3, 3], mirror @ right[:3, 3])
        np.testing.assert_allclose(left[:3, 2], mirror @ right[:3, 2], atol=1e-12)
        assert left[1, 3] > 0  # y is left
        assert left[1, 2] > 0


@pytest.mark.parametrize("distance", [4.0, 5.0, 8.0, 15.0, 40.0])
def test_no_azimuth_is_unseen_from_four_metres_on(distance: float):
    """Open ground; the car's own body, which hides part of what is near, is not modelled."""
    assert cameras_seeing(RIG, ring(distance)).min() >= 1


def test_the_only_blind_spots_touch_the_car():
    """Beside the front doors up to 1.1 m out, and half a metre behind the bumper: 3 m^2."""
    x, y = np.meshgrid(np.arange(-20, 40, 0.1), np.arange(-20, 20, 0.1))
    ground = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    beside_car = (x < -0.95) | (x > 3.75) | (np.abs(y) > 0.95)
    unseen = ground[(cameras_seeing(RIG, ground) == 0) & beside_car.ravel()]
    assert len(unseen) * 0.1**2 == pytest.approx(3.0, abs=0.3)
    behind = unseen[unseen[:, 0] < -0.95]
    side = unseen[unseen[:, 0] > -0.95]
    assert behind[:, 0].min() > -1.5
    assert 1.2 < side[:, 0].min() < side[:, 0].max() < 3.1
    assert np.abs(side[:, 1]).max() < 2.05


def test_each_camera_covers_its_own_sector():
    """Azimuths in degrees, seen from the rear axle, of the ground 15 m away. Neighbours overlap."""
    expected = {
        "main": (-22, 22),
        "narrow": (-11, 11),
        "wide": (-54, 54),
        "left_pillar": (17, 100),
        "right_pillar": (-100, -17),
        "left_repeater": (83, 180),
        "right_repeater": (-180, -83),
        "rear": (118, 242),
    }
    for camera in RIG:
        seen = np.degrees(AZIMUTHS[camera.project(ring(15.0))[1]])
        middle = np.mean(expected[camera.name])
        offset = (seen - middle + 180) % 360 - 180
        measured = middle + offset.min(), middle + offset.max()
        assert measured == pytest.approx(expected[camera.name], abs=1.0), camera.name


def test_rig_without_its_side_cameras_has_gaps():
    """Negative control of the coverage test."""
    kept = tuple(camera for camera in RIG if "pillar" not in camera.name)
    assert cameras_seeing(Rig("six", kept), ring(15.0)).min() == 0
