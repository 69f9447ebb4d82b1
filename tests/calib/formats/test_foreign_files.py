"""Files as other programs write them: what their numbers mean, and one clear line for bad ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import CalibError
from calib.formats.cameras import CameraSet
from calib.formats.convert import FORMATS, read_cameras
from calib.formats.document import Given
from calib.lens import Lens
from tests.calib.formats.test_ros_and_kalibr import KALIBR, ROS

SIZE = Given(sizes={"": (1600, 900)})

# The front camera of nuScenes looks ahead: x right, y down, z forward in x forward, y left, z up.
NUSCENES = [
    {"token": "a", "sensor_token": "l", "translation": [0.9, 0, 1.8], "rotation": [1, 0, 0, 0],
     "camera_intrinsic": []},
    {"token": "b", "sensor_token": "f", "translation": [1.7, 0.1, 1.5],
     "rotation": [0.5, -0.5, 0.5, -0.5],
     "camera_intrinsic": [[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]]},
]  # fmt: skip
DGP = {
    "names": ["LIDAR", "FRONT"],
    "intrinsics": [{"fx": 0.0}, {"fx": 1063.0, "fy": 1065.0, "cx": 944.0, "cy": 612.0, "k1": -0.1}],
    "extrinsics": [
        {"rotation": {"qw": 1.0}, "translation": {}},
        {"rotation": {"qw": 0.5, "qx": -0.5, "qy": 0.5, "qz": -0.5}, "translation": {"x": 1.5}},
    ],
}
FOXGLOVE = {
    "timestamp": {"sec": 1, "nsec": 2}, "frame_id": "front", "width": 640, "height": 480,
    "distortion_model": "kannala_brandt", "D": [0.1, 0.02, 0.0, 0.0],
    "K": [300, 0, 320, 0, 301, 240, 0, 0, 1],
    "R": [1, 0, 0, 0, 1, 0, 0, 0, 1], "P": [300, 0, 320, 0, 0, 301, 240, 0, 0, 0, 1, 0],
}  # fmt: skip
# Camera 01 is 0.54 m to the right of camera 00.
KITTI = """\
calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
S_00: 1.392000e+03 5.120000e+02
K_00: 9.842439e+02 0.000000e+00 6.900000e+02 0.000000e+00 9.808141e+02 2.331966e+02 0.0 0.0 1.0
D_00: -3.728755e-01 2.037299e-01 2.219027e-03 1.383707e-03 -7.233722e-02
R_00: 1.000000e+00 0.000000e+00 0.000000e+00 0.0 1.0 0.0 0.0 0.0 1.0
T_00: 2.573699e-16 -1.059758e-16 1.614870e-16
S_rect_00: 1.242000e+03 3.750000e+02
P_rect_00: 7.215377e+02 0 6.095593e+02 0 0 7.215377e+02 1.728540e+02 0 0 0 1 0
S_01: 1.392000e+03 5.120000e+02
K_01: 9.895267e+02 0 7.020000e+02 0 9.878386e+02 2.455590e+02 0 0 1
D_01: -3.644661e-01 1.790019e-01 1.148107e-03 -6.298563e-04 -5.314062e-02
R_01: 1 0 0 0 1 0 0 0 1
T_01: -5.4e-01 0 0
S_rect_01: 1.242000e+03 3.750000e+02
P_rect_01: 7.215377e+02 0 6.095593e+02 -3.875744e+02 0 7.215377e+02 1.728540e+02 0 0 0 1 0
"""
OPENCV = """\
%YAML:1.0
---
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 302.5, 0., 496.6, 0., 320.7, 331.2, 0., 0., 1. ]
dist_coeffs: !!opencv-matrix
   rows: 4
   cols: 1
   dt: d
   data: [ -0.0437, 0.0217, -0.0264, 0.0084 ]
resolution: !!opencv-matrix
   rows: 2
   cols: 1
   dt: i
   data: [ 960, 640 ]
scale_xy: !!opencv-matrix
   rows: 2
   cols: 1
   dt: f
   data: [ 7.0e-01, 8.0e-01 ]
"""


def read(folder: Path, content: Any, asked: Given | None = None, key: str = "") -> CameraSet:
    path = folder / "found"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_cameras([path], asked or Given(), FORMATS[key] if key else None)


def place(found: CameraSet, index: int) -> np.ndarray:
    pose = found.cameras[index].frame_from_camera
    assert pose is not None
    return pose


def test_nuscenes_quaternions_begin_with_w(tmp_path: Path) -> None:
    found = read(tmp_path, NUSCENES, SIZE)
    assert [c.name for c in found.cameras] == ["f"]
    np.testing.assert_allclose(place(found, 0)[:3, 3], [1.7, 0.1, 1.5])
    np.testing.assert_allclose(place(found, 0)[:3, 2], [1, 0, 0], atol=1e-12)  # looks ahead
    np.testing.assert_allclose(place(found, 0)[:3, 0], [0, -1, 0], atol=1e-12)
    assert found.notes == ("found: 1 sensors that are no cameras: not kept",)
    (tmp_path / "sensor.json").write_text(
        json.dumps([{"token": "f", "channel": "CAM_FRONT", "modality": "camera"}])
    )
    assert read(tmp_path, NUSCENES, SIZE).cameras[0].name == "CAM_FRONT"


def test_a_table_of_several_drives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibError, match="camera 'f' is there 2 times"):
        read(tmp_path, NUSCENES + NUSCENES[1:], SIZE)


def test_dgp_poses_are_in_the_frame_of_the_lidar(tmp_path: Path) -> None:
    found = read(tmp_path, DGP, Given(sizes={"FRONT": (1936, 1216)}))
    assert found.cameras[0].lens.distortion[0] == -0.1
    np.testing.assert_allclose(place(found, 0)[:3, 2], [1, 0, 0], atol=1e-12)
    assert found.frame is not None and not found.frame.optical
    on_car = found.mounted([0, 0, 0.3], 0, 0, 0)  # the lidar's frame is 0.3 m up
    np.testing.assert_allclose(place(on_car, 0)[:3, 3], [1.5, 0, 0.3])
    np.testing.assert_allclose(place(on_car, 0)[:3, 2], [1, 0, 0], atol=1e-12)


def test_foxglove(tmp_path: Path) -> None:
    found = read(tmp_path, FOXGLOVE)
    lens = Lens("fisheye", 640, 480, 300, 301, 320, 240, (0.1, 0.02, 0, 0))
    assert (found.cameras[0].lens, found.cameras[0].name, found.notes) == (lens, "front", ())


def test_kitti_raw_is_before_rectification(tmp_path: Path) -> None:
    found = read(tmp_path, KITTI)
    assert [c.name for c in found.cameras] == ["image_00", "image_01"]
    lens = found.cameras[0].lens
    assert (lens.width, lens.height, lens.fx, len(lens.distortion)) == (1392, 512, 984.2439, 5)
    np.testing.assert_allclose(place(found, 1)[:3, 3], [0.54, 0, 0])
    assert found.notes[0] == "found: calib_time, corner_dist: not kept"
    assert "before rectification" in found.notes[1]


def test_kitti_rectified_has_the_baseline_in_its_last_column(tmp_path: Path) -> None:
    found = read(tmp_path, KITTI, key="kitti-object")
    lens = found.cameras[1].lens
    assert (lens.width, lens.height, lens.fx, lens.distortion) == (1242, 375, 721.5377, ())
    np.testing.assert_allclose(place(found, 1)[:3, 3], [387.5744 / 721.5377, 0, 0])
    point = np.array([1.0, 2.0, 10.0, 1.0])
    P = np.array([[721.5377, 0, 609.5593, -387.5744], [0, 721.5377, 172.854, 0], [0, 0, 1, 0]])
    u, v, w = P @ point
    there = np.linalg.inv(place(found, 1)) @ point
    np.testing.assert_allclose(lens.project(there[:3])[0], [u / w, v / w])


def test_surround_view_file_needs_its_model(tmp_path: Path) -> None:
    with pytest.raises(CalibError, match=r"fisheye_model is missing, and 4 coeff.*--model"):
        read(tmp_path, OPENCV)
    found = read(tmp_path, OPENCV, Given("fisheye"))
    lens = Lens("fisheye", 960, 640, 302.5, 320.7, 496.6, 331.2, (-0.0437, 0.0217, -0.0264, 0.0084))
    assert found.cameras[0].lens == lens
    assert found.notes == ("found: scale_xy: not kept",)
    assert read(tmp_path, OPENCV, Given("pinhole")).cameras[0].lens.model == "pinhole"


def edit(content: Any, old: str, new: str) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    assert old in text
    return text.replace(old, new, 1)


FISHEYE = Given("fisheye")
BAD: dict[str, tuple[str, Given, list[str]]] = {
    "nuscenes: no size": (json.dumps(NUSCENES), Given(), ["'f'", "no image size", "--size"]),
    "nuscenes: length 2": (
        edit(NUSCENES, "0.5, -0.5, 0.5, -0.5", "1, -1, 1, -1"), SIZE,
        ["[1].rotation", "length is 2", "length 1"]),
    "nuscenes: degrees": (
        edit(NUSCENES, "0.5, -0.5, 0.5, -0.5", "0, -90, 90"), SIZE, ["[1].rotation", "4 numbers"]),
    "nuscenes: 2 rows": (
        edit(NUSCENES, ", [0, 0, 1]]", "]"), SIZE, ["[1].camera_intrinsic", "2 rows", "3 rows"]),
    "nuscenes: NaN": (
        edit(NUSCENES, "1.7", "NaN"), SIZE, ["[1].translation[0] is nan", "finite"]),
    "nuscenes: only lidar": (json.dumps(NUSCENES[:1]), SIZE, ["has no cameras"]),
    "dgp: no size": (json.dumps(DGP), Given(), ["'FRONT'", "--size"]),
    "dgp: quaternion": (edit(DGP, '"qx": -0.5', '"qx": -5'), SIZE, ["extrinsics.1", "length is"]),
    "dgp: fewer": (edit(DGP, '"LIDAR", ', ""), SIZE, ["differ in number"]),
    "dgp: another lens": (edit(DGP, '"k1"', '"fisheye": 1, "k1"'), SIZE, ["'fisheye' is set"]),
    "dgp: skew": (edit(DGP, '"k1"', '"skew": 3, "k1"'), SIZE, ["'skew' is set"]),
    "dgp: NaN": (edit(DGP, "1063.0", "NaN"), SIZE, ["intrinsics.1.fx", "finite"]),
    "foxglove: model": (
        edit(FOXGLOVE, "kannala_brandt", "fisheye62"), Given(), ["'fisheye62'", "convert it to"]),
    "foxglove: mixed up": (
        edit(FOXGLOVE, "kannala_brandt", "rational_polynomial"), Given(), ["D has 4", "takes 8"]),
    "foxglove: 8 of K": (edit(FOXGLOVE, "[300, 0, ", "[300, "), Given(), ["K is", "9 numbers"]),
    "foxglove: infinite": (
        edit(FOXGLOVE, "0.02", "Infinity"), Given(), ["D[1] is inf", "finite"]),
    "foxglove: cut off": (json.dumps(FOXGLOVE)[:-30], Given(), ["not valid JSON", "--from"]),
    "kitti: 8 of K": (edit(KITTI, "0.0 0.0 1.0\n", "0.0 1.0\n"), Given(), ["K_00", "9 numbers"]),
    "kitti: no D": (edit(KITTI, "D_01", "E_01"), Given(), ["D_01 is missing"]),
    "kitti: word": (edit(KITTI, "9.842439e+02", "left"), Given(), ["K_00[0] is 'left'"]),
    "kitti: NaN": (edit(KITTI, "-5.4e-01", "nan"), Given(), ["T_01[0] is 'nan'"]),
    "kitti: mirrored": (
        edit(KITTI, "R_01: 1 0 0 0 1", "R_01: 1 0 0 0 -1"), Given(), ["R_01 is not a rotation"]),
    "kitti: twice": (edit(KITTI, "S_01", "S_00"), Given(), ["S_00 is given twice"]),
    "kitti: no size": (edit(KITTI, "S_01", "U_01"), Given(), ["'image_01'", "--size"]),
    "opencv: too few": (
        edit(OPENCV, "331.2, 0., 0., 1.", "331.2"), FISHEYE, ["camera_matrix is no whole matrix"]),
    "opencv: no matrix": (
        edit(OPENCV, "camera_matrix", "kamera"), FISHEYE, ["camera_matrix is missing"]),
    "opencv: NaN": (edit(OPENCV, "302.5", ".Nan"), FISHEYE, ["camera_matrix[0] is nan"]),
    "opencv: cut off": (OPENCV[:150], FISHEYE, ["OpenCV can't read it"]),
    "opencv: prism": (
        edit(edit(OPENCV, "rows: 4", "rows: 12"), "0.0084 ]", "0,0,0,0,0,0,0,0,0.1 ]"),
        Given("pinhole"), ["thin prism"]),
    "opencv: five for a fisheye": (
        edit(edit(OPENCV, "rows: 4", "rows: 5"), "0.0084 ]", "0, 0.1 ]"), FISHEYE,
        ["distortion has 5 values", "a fisheye takes 4"]),
    "opencv: transposed": (
        edit(OPENCV, "496.6, 0., 320.7, 331.2, 0., 0., 1.", "0., 0., 320.7, 0., 496.6, 331.2, 1."),
        FISHEYE, ["no camera matrix"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "asked", "said"), BAD.values(), ids=[*BAD])
def test_bad_file_gives_one_line(tmp_path: Path, text: str, asked: Given, said: list[str]) -> None:
    with pytest.raises(CalibError) as error:
        read(tmp_path, text, asked)
    message = str(error.value)
    assert "\n" not in message
    for part in [str(tmp_path / "found"), *said]:
        assert part in message


WHOLE = {
    "nuscenes": json.dumps(NUSCENES),
    "dgp": json.dumps(DGP),
    "foxglove": json.dumps(FOXGLOVE),
    "kitti": KITTI,
    "kitti-object": KITTI,
    "opencv": OPENCV,
    "ros": ROS,
    "kalibr": KALIBR,
}
VALUES = ["", "0", "-1", "1e999", ".nan", "[]", "{}", "null", "x", ": ", "\n", '"', "[[", "9" * 400]


@pytest.mark.parametrize("key", WHOLE)
@given(data=st.data())
@settings(max_examples=60)
def test_damaged_file_ends_in_one_line_or_a_camera(
    tmp_path_factory: pytest.TempPathFactory, key: str, data: st.DataObject
) -> None:
    text = WHOLE[key]
    start = data.draw(st.integers(0, len(text) - 1))
    end = min(len(text), start + data.draw(st.integers(0, 40)))
    damaged = text[:start] + data.draw(st.sampled_from(VALUES)) + text[end:]
    folder = tmp_path_factory.mktemp("damaged")
    asked = {"opencv": FISHEYE, "nuscenes": SIZE, "dgp": SIZE}
    try:
        found = read(folder, damaged, asked.get(key, Given()), key)
    except CalibError as error:
        assert "\n" not in str(error)
    else:
        for camera in found.cameras:
            assert np.isfinite(camera.lens.matrix).all()


def test_size_that_denies_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibError, match="640x480 in the file and 1600x900 in --size"):
        read(tmp_path, FOXGLOVE, SIZE)


def test_real_surround_view_files(shared_data: Path) -> None:
    folder = shared_data / "calib" / "surround_fisheye" / "yaml"
    found = read_cameras(sorted(folder.glob("*.yaml")), Given("fisheye"))
    assert [c.name for c in found.cameras] == ["back", "front", "left", "right"]
    assert {(c.lens.width, c.lens.height) for c in found.cameras} == {(960, 640)}
    assert "front.yaml: project_matrix, scale_xy, shift_xy: not kept" in found.notes


def test_real_dgp_calibration(shared_data: Path) -> None:
    path = next((shared_data / "dgp_scene" / "calibration").glob("*.json"))
    found = read_cameras([path], Given(sizes={"": (1936, 1216)}))
    assert len(found.cameras) == 6
    assert found.cameras[0].name == "CAMERA_01"
    assert place(found, 0)[0, 2] > 0.99  # looks ahead
