"""Poses out of ground homographies, and files that are none."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calib.errors import FormatError
from calib.lens import Lens
from calib.pose import ego_from_camera, invert
from calib.surround.homography import GroundView, load_ground_views, pose_of
from tests.calib.surround.scenes import LENS

PLACEMENT = "front: {pixel_m: 0.01, origin: [8, 6], columns: right, rows: back}\n"


def ground_from_ray(pose: np.ndarray) -> np.ndarray:
    return np.linalg.inv(invert(pose)[:3, [0, 1, 3]])


@given(
    st.tuples(st.floats(-3, 3), st.floats(-2, 2), st.floats(0.3, 2.5)),
    *(st.floats(low, high) for low, high in ((-3.1, 3.1), (-1.2, 0.1), (-0.3, 0.3))),
    st.floats(0.01, 100),
    st.booleans(),
)
def test_the_pose_comes_back_whatever_the_scale(
    place: tuple[float, float, float],
    yaw: float,
    pitch: float,
    roll: float,
    scale: float,
    negative: bool,
):
    pose = ego_from_camera(place, yaw, pitch, roll)
    found = pose_of(GroundView(LENS, ground_from_ray(pose) * (-scale if negative else scale)))
    np.testing.assert_allclose(found.ego_from_camera, pose, atol=1e-6)
    assert found.skew_deg < 1e-4 and found.stretch < 1e-6


@given(st.floats(0.9, 1.1), st.floats(-0.05, 0.05))
def test_what_no_camera_does_is_told(stretch: float, shear: float):
    assume(abs(stretch - 1) > 0.01 or abs(shear) > 0.01)
    pose = ego_from_camera((2, 0, 1), 0.1, -0.5, 0)
    bent = np.array([[stretch, shear, 0], [0, 1, 0], [0, 0, 1]]) @ ground_from_ray(pose)
    found = pose_of(GroundView(LENS, bent))
    assert found.skew_deg > 0.3 or found.stretch > 0.005
    np.testing.assert_allclose(found.ego_from_camera[:3, :3], pose[:3, :3], atol=0.15)


def test_a_homography_of_another_ground_is_refused():
    bent = np.diag([2.0, 1, 1]) @ ground_from_ray(ego_from_camera((2, 0, 1), 0.1, -0.5, 0))
    with pytest.raises(FormatError, match="no camera's"):
        pose_of(GroundView(LENS, bent))
    with pytest.raises(FormatError, match="no inverse"):
        pose_of(GroundView(LENS, np.ones((3, 3))))


def write_camera(path: Path, homography: np.ndarray, lens: Lens = LENS) -> None:
    """As kits write it: the homography of the picture undistorted at another scale."""
    scale, shift = np.array([0.7, 0.8]), np.array([-30.0, 15.0])
    undistorted = lens.matrix
    undistorted[[0, 1], [0, 1]] *= scale
    undistorted[:2, 2] += shift
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("camera_matrix", lens.matrix)
    storage.write("dist_coeffs", np.array(lens.distortion)[:, None])
    storage.write("resolution", np.array([[lens.width], [lens.height]], np.int32))
    storage.write("project_matrix", homography @ np.linalg.inv(undistorted))
    storage.write("scale_xy", scale.astype(np.float32))
    storage.write("shift_xy", shift.astype(np.float32))
    storage.release()


def test_a_file_of_a_kit_gives_lens_and_pose(tmp_path: Path):
    pose = ego_from_camera((2.4, 0.1, 0.7), 0.05, -0.4, 0.02)
    ground_from_ego = np.array([[0, -100, 600], [-100, 0, 800], [0, 0, 1.0]])  # right and back
    write_camera(tmp_path / "front.yaml", ground_from_ego @ ground_from_ray(pose))
    (tmp_path / "ground.yml").write_text(PLACEMENT)
    (view,) = load_ground_views(tmp_path, tmp_path / "ground.yml").values()
    assert view.lens == LENS
    np.testing.assert_allclose(pose_of(view).ego_from_camera, pose, atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rows: back", "rows: ahead", "no picture from above"),
        ("rows: back", "rows: right", "no picture from above"),
        ("rows: back", "rows: up", "rows run 'up'"),
        ("0.01", "0", "pixel_m"),
        ("[8, 6]", "[8]", "origin"),
        (", rows: back", "", "give pixel_m, origin, columns, rows"),
        ("front", "rear", "rear.yaml"),
        (PLACEMENT, "[]", "names no camera"),
        (PLACEMENT, "a: [", "not valid YAML"),
    ],
)
def test_a_bad_placement_is_one_line(tmp_path: Path, old: str, new: str, message: str):
    write_camera(tmp_path / "front.yaml", np.eye(3))
    (tmp_path / "ground.yml").write_text(PLACEMENT.replace(old, new))
    with pytest.raises(FormatError, match=message):
        load_ground_views(tmp_path, tmp_path / "ground.yml")


def test_a_camera_file_without_homography_is_named(tmp_path: Path):
    write_camera(tmp_path / "front.yaml", np.eye(3))
    text = (tmp_path / "front.yaml").read_text().replace("project_matrix", "other")
    (tmp_path / "front.yaml").write_text(text)
    (tmp_path / "ground.yml").write_text(PLACEMENT)
    with pytest.raises(FormatError, match=r"front\.yaml: project_matrix"):
        load_ground_views(tmp_path, tmp_path / "ground.yml")
