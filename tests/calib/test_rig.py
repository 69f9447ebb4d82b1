"""Rigs and their files: exact round trip, and one clear line for every bad file."""

import copy
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import CalibError, RigError
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig, load_rig, save_rig
from tests.calib.lenses import fisheyes, pinholes

GOOD: dict[str, Any] = {
    "name": "two",
    "cameras": [
        {
            "name": "front",
            "rate_hz": 30,
            "bucket": "large",
            "lens": {
                "model": "pinhole",
                "width": 1280,
                "height": 960,
                "fx": 1000,
                "fy": 1000,
                "cx": 640,
                "cy": 480,
                "distortion": [-0.1, 0.01, 0.0, 0.0],
            },
            "pose": {"position": [2, 0, 1.4], "yaw_deg": 10, "pitch_deg": -5, "roll_deg": 1},
        },
        {
            "name": "back",
            "rate_hz": 30,
            "bucket": "large",
            "lens": {
                "model": "fisheye",
                "width": 1280,
                "height": 960,
                "fx": 500,
                "fy": 500,
                "cx": 640,
                "cy": 480,
                "distortion": [0, 0, 0, 0],
            },
            "ego_from_camera": [[0, 0, -1, -0.9], [1, 0, 0, 0], [0, -1, 0, 0.9], [0, 0, 0, 1]],
        },
    ],
}
IDENTITY = np.eye(4).tolist()
MISSING = object()


def write(folder: Path, content: Any) -> Path:
    path = folder / "rig.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_good_file_loads(tmp_path: Path):
    rig = load_rig(write(tmp_path, GOOD))
    assert (rig.name, rig.names, len(rig)) == ("two", ("front", "back"), 2)
    assert [camera.name for camera in rig] == ["front", "back"]
    assert rig["front"].lens.distortion == (-0.1, 0.01, 0.0, 0.0)
    np.testing.assert_array_equal(
        rig["front"].ego_from_camera, ego_from_camera([2, 0, 1.4], *np.radians([10, -5, 1]))
    )
    np.testing.assert_array_equal(
        rig["back"].ego_from_camera, GOOD["cameras"][1]["ego_from_camera"]
    )


@st.composite
def rigs(draw: st.DrawFn) -> Rig:
    cameras = []
    for index in range(draw(st.integers(1, 4))):
        angles = [draw(st.floats(-np.pi, np.pi)) for _ in range(3)]
        position = [draw(st.floats(-9, 9)) for _ in range(3)]
        lens = draw(st.one_of(pinholes(), fisheyes()))
        rate = draw(st.floats(0.1, 240))
        pose = ego_from_camera(position, *angles)
        cameras.append(Camera(f"camera_{index}", lens, pose, rate, "small"))
    return Rig(draw(st.text(max_size=20)), tuple(cameras))


@given(rigs())
@settings(max_examples=40)
def test_saved_rig_loads_exactly(tmp_path_factory: pytest.TempPathFactory, rig: Rig):
    folder = tmp_path_factory.mktemp("rig")
    save_rig(rig, folder / "rig.yaml")
    assert load_rig(folder / "rig.yaml") == rig
    assert [path.name for path in folder.iterdir()] == ["rig.yaml"]


def test_built_in_rig_loads_by_name_and_survives_saving(tmp_path: Path):
    rig = load_rig("hw2")
    save_rig(rig, tmp_path / "again.yaml")
    assert load_rig(tmp_path / "again.yaml") == rig


def test_swapped_cameras_are_noticed():
    """Whichever two hw2 cameras trade places or lenses, the same scene falls on other pixels."""
    rig = load_rig("hw2")
    x, y = np.meshgrid(np.linspace(-30, 30, 41), np.linspace(-30, 30, 41))
    scene = np.stack([x, y, np.full_like(x, 0.5)], axis=-1)
    for one, other in itertools.combinations(rig, 2):
        pixels, visible = one.project(scene)
        for swap in ({"ego_from_camera": other.ego_from_camera}, {"lens": other.lens}):
            swapped = replace(one, **swap)
            assert swapped != one
            moved, still_visible = swapped.project(scene)
            both = visible & still_visible
            shift = np.linalg.norm(moved[both] - pixels[both], axis=-1)
            assert (visible != still_visible).any() or shift.max() > 1, (one.name, other.name, swap)


def test_order_matters():
    rig = load_rig("hw2")
    assert Rig(rig.name, rig.cameras[::-1]) != rig


def test_unknown_camera_is_named_with_the_known_ones():
    with pytest.raises(RigError, match="rig 'hw2' has no camera 'roof', only main, narrow, wide"):
        load_rig("hw2")["roof"]


# Where in GOOD, what to put there, and what the message must say.
BAD_VALUES: dict[str, tuple[list[Any], Any, list[str]]] = {
    "NaN focal length": (["cameras", 0, "lens", "fx"], float("nan"), ["'front'", "fx is nan"]),
    "NaN coefficient": (
        ["cameras", 1, "lens", "distortion"],
        [0, float("nan"), 0, 0],
        ["'back'", "distortion[1] is nan"],
    ),
    "wrong coefficient count": (
        ["cameras", 0, "lens", "distortion"],
        [0.1, 0.2, 0.3],
        ["'front'", "distortion has 3 values", "takes 0 or 4 or 5 or 8"],
    ),
    "text for a number": (["cameras", 0, "lens", "cx"], "left", ["'front'", "lens.cx", "'left'"]),
    "fraction of a pixel": (["cameras", 0, "lens", "width"], 640.5, ["lens.width", "640.5"]),
    "zero width": (["cameras", 0, "lens", "width"], 0, ["'front'", "width is 0"]),
    "unknown lens model": (
        ["cameras", 1, "lens", "model"],
        "sphere",
        ["'back'", "lens.model", "'sphere'", "'pinhole' or 'fisheye'"],
    ),
    "missing key": (["cameras", 1, "lens", "fy"], MISSING, ["'back'", "lens.fy is missing"]),
    "unknown lens key": (["cameras", 1, "lens", "skew"], 0.5, ["'back'", "lens.skew", "0.5"]),
    "unknown camera key": (["cameras", 0, "fov"], 90, ["'front'", "fov is an unknown key", "90"]),
    "unknown rig key": (["maker"], "us", ["maker is an unknown key", "'us'"]),
    "duplicate name": (["cameras", 1, "name"], "front", ["'front' is listed twice"]),
    "name unfit for a topic": (["cameras", 1, "name"], "a/b", ["'a/b'", "use letters"]),
    "name of two lines": (["cameras", 1, "name"], "a\nb", ["'a\\nb'", "use letters"]),
    "name not text": (["cameras", 1, "name"], False, ["cameras[1]", "name is False"]),
    "nameless": (["cameras", 1, "name"], MISSING, ["cameras[1]", "name is missing"]),
    "zero rate": (["cameras", 0, "rate_hz"], 0, ["'front'", "rate_hz is 0"]),
    "infinite rate": (["cameras", 0, "rate_hz"], float("inf"), ["'front'", "rate_hz", "inf"]),
    "empty bucket": (["cameras", 0, "bucket"], "", ["'front'", "bucket is empty"]),
    "short position": (
        ["cameras", 0, "pose", "position"],
        [1, 2],
        ["'front'", "[1, 2]; give 3 values"],
    ),
    "NaN angle": (["cameras", 0, "pose", "yaw_deg"], float("nan"), ["'front'", "yaw_deg", "nan"]),
    "angle in another unit": (["cameras", 0, "pose", "yaw_rad"], 1, ["'front'", "pose.yaw_rad"]),
    "both poses": (["cameras", 0, "ego_from_camera"], IDENTITY, ["'front'", "one of the two"]),
    "no pose": (["cameras", 0, "pose"], MISSING, ["'front'", "one of the two"]),
    "three rows": (
        ["cameras", 1, "ego_from_camera"],
        IDENTITY[:3],
        ["'back'", "[4, 4, 4] numbers", "4 rows of 4"],
    ),
    "not a rotation": (
        ["cameras", 1, "ego_from_camera"],
        np.diag([1.0, 1.0, 1.1, 1.0]).tolist(),
        ["'back'", "not a rotation", "0.21"],
    ),
    "mirrored": (
        ["cameras", 1, "ego_from_camera"],
        np.diag([1.0, 1.0, -1.0, 1.0]).tolist(),
        ["'back'", "determinant -1", "right-handed"],
    ),
    "camera is text": (["cameras", 1], "back", ["cameras[1]", "'back'; write it as keys"]),
    "no cameras": (["cameras"], [], ["0 entries", "1 to 16"]),
    "cameras is a number": (["cameras"], 3, ["cameras is 3"]),
}


@pytest.mark.parametrize(("place", "value", "said"), BAD_VALUES.values(), ids=[*BAD_VALUES])
def test_bad_value_gives_one_line(tmp_path: Path, place: list[Any], value: Any, said: list[str]):
    content = copy.deepcopy(GOOD)
    holder: Any = content
    for key in place[:-1]:
        holder = holder[key]
    if value is MISSING:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    path = write(tmp_path, content)
    assert_one_line(path, [str(path), *said])


def test_seventeen_cameras_are_too_many(tmp_path: Path):
    cameras = [GOOD["cameras"][0] | {"name": f"camera_{index}"} for index in range(17)]
    path = write(tmp_path, {"name": "many", "cameras": cameras})
    assert_one_line(path, [str(path), "17 entries", "1 to 16"])


BAD_FILES: dict[str, tuple[str, list[str]]] = {
    "empty": ("", ["None; write it as keys and values"]),
    "list": ("- 1\n", ["[1]; write it as keys and values"]),
    "broken YAML": ("name: two\ncameras: [\n", ["line 3", "not valid YAML"]),
    "tab": ("name:\n\t- x\n", ["line 2", "not valid YAML"]),
    "control character": ("name: \x07\n", ["not valid YAML"]),
    "impossible date": ("name: 2024-13-45\n", ["not valid YAML"]),
    "too deep": ("[" * 5000, ["not valid YAML"]),
    "key twice": ("name: one\nname: two\n", ["line 2", "'name' is given twice"]),
    "foreign tag": ("name: !!python/object:os.system x\n", ["line 1", "not valid YAML"]),
}


@pytest.mark.parametrize(("text", "said"), BAD_FILES.values(), ids=[*BAD_FILES])
def test_bad_file_gives_one_line(tmp_path: Path, text: str, said: list[str]):
    path = write(tmp_path, text)
    assert_one_line(path, [str(path), *said])


def test_missing_file_names_the_built_in_rigs(tmp_path: Path):
    assert_one_line(tmp_path / "none.yaml", ["none.yaml: no such file", "hw2"])


def test_folder_is_not_a_rig(tmp_path: Path):
    assert_one_line(tmp_path, [str(tmp_path), "cannot be read"])


def test_binary_file_is_not_a_rig(tmp_path: Path):
    path = tmp_path / "rig.yaml"
    path.write_bytes(b"\x89MCAP0\r\n\xff\xfe")
    assert_one_line(path, [str(path), "not valid YAML"])


def test_unwritable_place_is_named(tmp_path: Path):
    with pytest.raises(RigError, match="cannot be written") as error:
        save_rig(load_rig("hw2"), tmp_path / "absent" / "rig.yaml")
    assert "\n" not in str(error.value)


def assert_one_line(path: Path, said: list[str]) -> None:
    with pytest.raises(CalibError) as error:
        load_rig(path)
    message = str(error.value)
    assert "\n" not in message
    for part in said:
        assert part in message
