"""ROS CameraInfo and Kalibr's camchain: round trips, direction of transforms, hand-made files."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings

from calib.errors import CalibError
from calib.formats.cameras import CameraSet
from calib.formats.convert import FORMATS, read_cameras, write_cameras
from calib.formats.document import Given
from calib.lens import Lens
from tests.calib.formats.files import ahead, assert_same_pictures, lens_only, mounted, through
from tests.calib.lenses import fisheyes, pinholes

ROS = """\
image_width: 800
image_height: 600
camera_name: narrow_stereo/left
camera_matrix: {rows: 3, cols: 3, data: [538.6, 0, 457.7, 0, 539.7, 297.0, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.08, 1e-05, -0.0001, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [500, 0, 450, -60, 0, 500, 300, 0, 0, 0, 1, 0]}
"""
# cam1 is 0.11 m to the right of cam0: what is at x in cam0 is at x - 0.11 in cam1.
KALIBR = """\
cam0:
  camera_model: pinhole
  intrinsics: [461.6, 460.1, 362.6, 246.0]
  distortion_model: radtan
  distortion_coeffs: [-0.27, 0.06, 0.0008, 0.0001]
  resolution: [752, 480]
  rostopic: /cam0/image_raw
cam1:
  camera_model: pinhole
  intrinsics: [458.6, 457.2, 367.2, 248.3]
  distortion_model: equidistant
  distortion_coeffs: [-0.01, 0.05, -0.04, 0.01]
  T_cn_cnm1:
  - [1.0, 0.0, 0.0, -0.11]
  - [0.0, 1.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  timeshift_cam_imu: -8.1e-05
  resolution: [752, 480]
"""


def read(folder: Path, text: str, asked: Given | None = None) -> CameraSet:
    path = folder / "found.yaml"
    path.write_text(text)
    return read_cameras([path], asked or Given())


@given(pinholes() | fisheyes())
@settings(max_examples=40)
def test_ros_keeps_a_lens(tmp_path_factory: pytest.TempPathFactory, lens: Lens) -> None:
    after, notes = through(tmp_path_factory.mktemp("ros"), lens_only(lens), "ros")
    assert_same_pictures(lens_only(lens), after)
    assert (after.cameras[0].name, notes, after.notes) == ("front", [], ())
    if len(lens.distortion) != 4 or lens.model == "fisheye":  # plumb_bob has a fifth, zero
        assert after.cameras[0].lens == lens or not any(lens.distortion)


@given(mounted(pinholes((0, 4)) | fisheyes()))
@settings(max_examples=40)
def test_kalibr_keeps_lenses_and_poses(
    tmp_path_factory: pytest.TempPathFactory, found: CameraSet
) -> None:
    after, notes = through(tmp_path_factory.mktemp("kalibr"), found, "kalibr")
    assert [c.lens for c in after.cameras] == [c.lens for c in found.cameras]
    assert [c.name for c in after.cameras] == [c.name for c in found.cameras]
    if len(found.cameras) > 1:
        assert_same_pictures(found, after)
    # What it can't hold is said, and enough to put it back.
    assert len(notes) == 1
    numbers = [float(x) for x in notes[0].split("--mount ")[1].split(",")]
    again = after.mounted(numbers[:3], *np.radians(numbers[3:]))
    for one, other in zip(found.cameras, again.cameras, strict=True):
        np.testing.assert_allclose(one.frame_from_camera, other.frame_from_camera, atol=1e-7)


def test_ros_file_of_another_program(tmp_path: Path) -> None:
    found = read(tmp_path, ROS)
    lens = found.cameras[0].lens
    assert lens == Lens(
        "pinhole", 800, 600, 538.6, 539.7, 457.7, 297.0, (-0.3, 0.08, 1e-5, -1e-4, 0)
    )
    assert found.cameras[0].name == "narrow_stereo_left"
    assert found.notes == (
        "found.yaml: projection_matrix of the rectified image: not kept",
        "found.yaml: camera 'narrow_stereo/left' is called 'narrow_stereo_left'",
    )


def test_kalibr_transform_goes_from_the_previous_camera(tmp_path: Path) -> None:
    found = read(tmp_path, KALIBR)
    assert [c.name for c in found.cameras] == ["cam0", "cam1"]
    np.testing.assert_allclose(found.cameras[1].frame_from_camera[:3, 3], [0.11, 0, 0])
    assert found.notes == (
        "found.yaml: cam0.rostopic of '/cam0/image_raw': not kept",
        "found.yaml: cam1.timeshift_cam_imu of -8.1e-05: not kept",
    )
    inverted = read(tmp_path, KALIBR.replace("-0.11]", "0.11]"))
    with pytest.raises(AssertionError):
        assert_same_pictures(found, inverted)


def test_kalibr_imu_frame_is_kept_and_must_agree_with_the_chain(tmp_path: Path) -> None:
    content = yaml.safe_load(KALIBR)
    # Camera looking along the IMU's x, 0.3 m ahead of it: imu x -> cam z, imu y -> -cam x.
    cam_from_imu = [[0, -1, 0, 0.0], [0, 0, -1, 0.0], [1, 0, 0, -0.3], [0, 0, 0, 1]]
    content["cam0"]["T_cam_imu"] = cam_from_imu
    found = read(tmp_path, yaml.safe_dump(content))
    np.testing.assert_allclose(found.cameras[0].frame_from_camera[:3, 3], [0.3, 0, 0])
    np.testing.assert_allclose(found.cameras[1].frame_from_camera[:3, 3], [0.3, -0.11, 0])
    after, notes = through(tmp_path, found, "kalibr")
    assert notes == []
    np.testing.assert_allclose(
        after.cameras[1].frame_from_camera, found.cameras[1].frame_from_camera, atol=1e-12
    )
    # An IMU 1 m up, level: the camera looks ahead from 0.3 m before it.
    on_car = found.mounted([0, 0, 1], 0, 0, 0)
    np.testing.assert_allclose(on_car.cameras[0].frame_from_camera[:3, 3], [0.3, 0, 1])
    np.testing.assert_allclose(on_car.cameras[0].frame_from_camera[:3, 2], [1, 0, 0])
    content["cam1"]["T_cam_imu"] = cam_from_imu  # denies the 0.11 m
    with pytest.raises(CalibError, match=r"cam1: T_cam_imu and T_cn_cnm1 place it 0\.11 apart"):
        read(tmp_path, yaml.safe_dump(content))


def test_a_single_camera_is_mounted_as_a_rig_file_places_it(tmp_path: Path) -> None:
    found = read(tmp_path, ROS).mounted([2, 0, 1.4], 0, 0, 0)
    pose = found.cameras[0].frame_from_camera
    assert pose is not None
    np.testing.assert_allclose(pose[:3, 3], [2, 0, 1.4])
    np.testing.assert_allclose(pose[:3, 2], [1, 0, 0])


def test_kalibr_refuses_what_radtan_lacks(tmp_path: Path) -> None:
    lens = Lens("pinhole", 640, 480, 500, 500, 320, 240, (-0.2, 0.1, 0, 0, 0.05))
    out = tmp_path / "a.yaml"
    with pytest.raises(CalibError, match=r"'front': distortion has 5 .* calibrate it with 4"):
        write_cameras(lens_only(lens), FORMATS["kalibr"], out)
    assert not out.exists()
    zero = Lens("pinhole", 640, 480, 500, 500, 320, 240, (-0.2, 0.1, 0, 0, 0))
    after, _ = through(tmp_path, lens_only(zero), "kalibr")
    np.testing.assert_array_equal(
        zero.project(ahead())[0], after.cameras[0].lens.project(ahead())[0]
    )


BAD: dict[str, tuple[str, str, str, list[str]]] = {
    "model": (ROS, "plumb_bob", "thin_prism", ["'thin_prism'", "convert it to plumb_bob"]),
    "count": (ROS, "plumb_bob", "rational_polynomial", ["D has 5 values", "takes 8"]),
    "data": (
        ROS,
        "cols: 5,",
        "cols: 4,",
        ["distortion_coefficients.data", "5 values", "4 numbers"],
    ),
    "size": (ROS, "image_width: 800", "image_width: 8.5", ["image_width is 8.5", "whole pixels"]),
    "NaN": (ROS, "457.7", ".nan", ["camera_matrix.data[2] is nan"]),
    "text": (ROS, "457.7", "left", ["camera_matrix.data[2] is 'left'", "give a number"]),
    "skew": (ROS, "538.6, 0, 457.7", "538.6, 2, 457.7", ["skew of 2"]),
    "transposed": (ROS, "297.0, 0, 0, 1]}", "297.0, 457.7, 297, 1]}", ["no camera matrix"]),
    "shape": (ROS, "{rows: 3, cols: 3, data: [538.6", "{rows: 9, cols: 1, data: [538.6", ["9x1"]),
    "omni": (
        KALIBR,
        "camera_model: pinhole",
        "camera_model: omni",
        ["cam0.camera_model is 'omni'"],
    ),
    "fov": (KALIBR, "radtan", "fov", ["cam0.distortion_model is 'fov'", "radtan"]),
    "swapped models": (KALIBR, "0.0008, 0.0001]", "0.0008]", ["distortion_coeffs", "4 numbers"]),
    "no transform": (KALIBR, "T_cn_cnm1", "T_cnm1_cn", ["cam1.T_cn_cnm1 is missing"]),
    "no rotation": (KALIBR, "[1.0, 0.0, 0.0, -0.11]", "[2.0, 0.0, 0.0, 0]", ["not a rotation"]),
    "three rows": (KALIBR, "  - [0.0, 0.0, 0.0, 1.0]\n", "", ["T_cn_cnm1", "(3 rows)", "4 rows"]),
    "gap": (KALIBR, "cam1:", "cam2:", ["no known format"]),
    "broken": (KALIBR, "cam1:", "cam1: [", ["not valid YAML", "line"]),
}


@pytest.mark.parametrize(("text", "old", "new", "said"), BAD.values(), ids=[*BAD])
def test_bad_file_gives_one_line(
    tmp_path: Path, text: str, old: str, new: str, said: list[str]
) -> None:
    assert old in text
    with pytest.raises(CalibError) as error:
        read(tmp_path, text.replace(old, new, 1))
    message = str(error.value)
    assert "\n" not in message
    for part in [str(tmp_path / "found.yaml"), *said]:
        assert part in message


def test_old_ros_file_without_a_model_needs_one_for_four_coefficients(tmp_path: Path) -> None:
    old = ROS.replace("distortion_model: plumb_bob\n", "")
    assert read(tmp_path, old).cameras[0].lens.model == "pinhole"
    four = old.replace("cols: 5", "cols: 4").replace("-0.0001, 0]", "-0.0001]")
    with pytest.raises(CalibError, match=r"distortion_model is missing.*--model"):
        read(tmp_path, four)
    assert read(tmp_path, four, Given("fisheye")).cameras[0].lens.model == "fisheye"
    assert read(tmp_path, four, Given("pinhole")).cameras[0].lens.model == "pinhole"
