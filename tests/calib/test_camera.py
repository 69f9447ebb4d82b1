"""Camera poses: the angle convention, and ego points through to pixels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.camera import Camera
from calib.errors import RigError
from calib.lens import Lens
from calib.pose import ego_from_camera, invert
from tests.calib.lenses import random_points

LENS = Lens("pinhole", 640, 480, 380, 381, 319.5, 239.5, (-0.2, 0.05, 3e-4, -2e-4))
PLAIN = Lens("pinhole", 640, 480, 320, 320, 319.5, 239.5)
ANGLES = st.floats(-np.pi, np.pi)
POSITIONS = st.tuples(*[st.floats(-5, 5)] * 3)


def camera(lens: Lens = LENS, position=(1.0, 0.5, 1.5), yaw=0.0, pitch=0.0, roll=0.0) -> Camera:
    angles = np.radians([yaw, pitch, roll])
    return Camera("test", lens, ego_from_camera(position, *angles), 36, "small")


def test_level_camera_axes():
    """Optical x right, y down, z forward become ego -y, -z, +x."""
    np.testing.assert_allclose(
        ego_from_camera([1, 2, 3], 0, 0, 0),
        [[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]],
        atol=1e-15,
    )


@pytest.mark.parametrize(
    ("angles", "forward"),
    [
        ({"yaw": 90}, [0, 1, 0]),  # left
        ({"yaw": 180}, [-1, 0, 0]),
        ({"pitch": 90}, [0, 0, 1]),  # up
        ({"yaw": 60, "pitch": -5}, [0.4980973, 0.8627299, -0.0871557]),  # docs/frames.md
        ({"roll": 45}, [1, 0, 0]),
    ],
)
def test_optical_axis_follows_yaw_and_pitch(angles: dict[str, float], forward: list[float]):
    cam = camera(PLAIN, **angles)
    np.testing.assert_allclose(cam.ego_from_camera[:3, 2], forward, atol=1e-7)
    np.testing.assert_allclose(cam.unproject([319.5, 239.5]), forward, atol=1e-7)
    pixel, visible = cam.project(np.add([1.0, 0.5, 1.5], np.multiply(forward, 7.0)))
    assert visible
    np.testing.assert_allclose(pixel, [319.5, 239.5], atol=1e-5)


@pytest.mark.parametrize(
    ("angles", "where"),
    [
        ({}, (0, 0)),
        ({"yaw": 10}, (1, 0)),  # the camera turns left, so the point moves right
        ({"pitch": 10}, (0, 1)),  # it looks up, so the point sinks
    ],
)
def test_turning_the_camera_moves_the_picture_the_other_way(angles, where):
    pixel, _ = camera(PLAIN, **angles).project([11.0, 0.5, 1.5])
    np.testing.assert_allclose(
        pixel - [319.5, 239.5], 320 * np.tan(np.radians(10)) * np.array(where), atol=1e-9
    )


def test_clockwise_roll_lifts_the_right_side_of_the_picture():
    # A camera rolled clockwise, seen from behind, sees the world turned anticlockwise.
    to_the_right = [11.0, 0.5 - 5.0, 1.5]
    level, _ = camera(PLAIN).project(to_the_right)
    rolled, _ = camera(PLAIN, roll=90).project(to_the_right)
    np.testing.assert_allclose(level, [319.5 + 160, 239.5], atol=1e-9)
    np.testing.assert_allclose(rolled, [319.5, 239.5 - 160], atol=1e-9)


@given(POSITIONS, ANGLES, ANGLES, ANGLES)
def test_every_pose_is_rigid_and_inverts(position, yaw: float, pitch: float, roll: float):
    pose = ego_from_camera(position, yaw, pitch, roll)
    np.testing.assert_allclose(pose @ invert(pose), np.eye(4), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)


@given(POSITIONS, ANGLES, ANGLES, ANGLES, st.integers(0, 2**32 - 1))
def test_ego_points_project_like_opencv(position, yaw, pitch, roll, seed):
    cam = Camera("test", LENS, ego_from_camera(position, yaw, pitch, roll), 36, "small")
    in_camera = random_points(seed, widest=np.radians(60))
    points = in_camera @ cam.ego_from_camera[:3, :3].T + cam.ego_from_camera[:3, 3]
    turn, _ = cv2.Rodrigues(cam.camera_from_ego[:3, :3])
    expected, _ = cv2.projectPoints(
        points, turn, cam.camera_from_ego[:3, 3], LENS.matrix, np.array(LENS.distortion)
    )
    pixels, visible = cam.project(points)
    assert visible.any()
    np.testing.assert_allclose(pixels, expected[:, 0], atol=1e-5)


@given(ANGLES, st.floats(-0.5, -0.1), st.floats(-0.2, 0.2))
def test_ray_meets_the_ground_at_the_point_that_was_projected(yaw, pitch, roll):
    cam = Camera("test", LENS, ego_from_camera([1, 0.5, 1.5], yaw, pitch, roll), 36, "small")
    pixels = np.stack(np.meshgrid(np.arange(100, 600, 90), np.arange(400, 480, 20)), -1)
    rays = cam.unproject(pixels)
    origin = cam.ego_from_camera[:3, 3]
    ground = origin - rays * (origin[2] / rays[..., 2:])
    again, visible = cam.project(ground)
    assert visible.all()
    np.testing.assert_allclose(again, pixels, atol=1e-6)


def test_changed_pose_changes_the_pixels():
    point = [12.0, 1.0, 0.0]
    reference, _ = camera().project(point)
    moves = [{"yaw": 1}, {"pitch": 1}, {"roll": 1}]
    moves += [{"position": (1.1, 0.5, 1.5)}, {"position": (1.0, 0.6, 1.5)}]
    moves += [{"position": (1.0, 0.5, 1.6)}]
    for move in moves:
        pixel, _ = camera(**move).project(point)
        assert np.linalg.norm(pixel - reference) > 0.3, move


def test_pose_is_a_read_only_copy():
    pose = ego_from_camera([0, 0, 1], 0, 0, 0)
    cam = Camera("test", LENS, pose, 36, "small")
    pose[0, 3] = 9.0
    assert cam.ego_from_camera[0, 3] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        cam.ego_from_camera[0, 3] = 9.0
    with pytest.raises(ValueError, match="read-only"):
        cam.camera_from_ego[0, 3] = 9.0


def test_equality_sees_every_field():
    cam = camera()
    assert cam == camera()
    assert hash(cam) == hash(camera())
    changes = [{"name": "other"}, {"lens": PLAIN}, {"rate_hz": 20}, {"bucket": "large"}]
    changes += [{"ego_from_camera": camera(yaw=1e-9).ego_from_camera}]
    for change in changes:
        assert replace(cam, **change) != cam, change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a/b"}, "name is 'a/b'; use letters, digits"),
        ({"name": ""}, "name is ''"),
        ({"rate_hz": 0}, "rate_hz is 0; give a number above 0"),
        ({"rate_hz": np.nan}, "rate_hz is nan"),
        ({"bucket": ""}, "bucket is empty"),
        ({"ego_from_camera": np.eye(3)}, r"shape \(3, 3\); give 4 rows of 4 numbers"),
        ({"ego_from_camera": np.full((4, 4), np.nan)}, r"\[0\]\[0\] is nan"),
        ({"ego_from_camera": np.diag([2.0, 1, 1, 1])}, "not a rotation"),
        ({"ego_from_camera": np.diag([-1.0, 1, 1, 1])}, "determinant -1"),
        ({"ego_from_camera": np.eye(4)[[0, 1, 3, 2]]}, r"last row is \[0.0, 0.0, 1.0, 0.0\]"),
    ],
)
def test_impossible_cameras_are_refused(change: dict, message: str):
    with pytest.raises(RigError, match=message) as error:
        replace(camera(), **change)
    assert "\n" not in str(error.value)
