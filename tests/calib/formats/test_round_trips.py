"""Every format carries what it can: points fall on the same pixels after a file and back."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import CalibError
from calib.formats.cameras import EGO, CameraSet, FoundCamera
from calib.formats.convert import FORMATS, write_cameras
from calib.formats.document import Given
from calib.lens import Lens
from calib.pose import ego_from_camera
from tests.calib.formats.files import assert_same_pictures, lens_only, mounted, through
from tests.calib.lenses import fisheyes, pinholes

# Formats, and the lenses that they can hold.
LENSES = {"ros": (0, 4, 5, 8), "foxglove": (0, 4, 5, 8), "opencv": (0, 4, 5, 8)}
POSED = {"kalibr": (0, 4), "kitti": (0, 4, 5), "dgp": (0, 4, 5, 8), "nuscenes": (0,)}
WITH_FISHEYE = ("ros", "foxglove", "opencv", "kalibr", "camera")
NAMELESS = ("kitti", "kitti-object")


def sizes(found: CameraSet, key: str) -> Given:
    """What to say again for the formats that have no image size."""
    if key not in ("dgp", "nuscenes", "kitti-object"):
        return Given()
    names = [
        f"image_{index:02}" if key in NAMELESS else camera.name
        for index, camera in enumerate(found.cameras)
    ]
    both = [(camera.lens.width, camera.lens.height) for camera in found.cameras]
    return Given(sizes=dict(zip(names, both, strict=True)))


@pytest.mark.parametrize("key", [*LENSES, "camera"])
@given(data=st.data())
@settings(max_examples=25)
def test_a_lens_survives(
    tmp_path_factory: pytest.TempPathFactory, key: str, data: st.DataObject
) -> None:
    counts = LENSES.get(key, (0, 4, 5, 8))
    before = lens_only(data.draw(pinholes(counts) | fisheyes()), "a")
    after, notes = through(tmp_path_factory.mktemp(key), before, key)
    assert_same_pictures(before, after)
    assert (after.cameras[0].name, after.notes, notes) == ("a", (), [])
    if key == "camera":
        assert after.cameras[0].lens == before.cameras[0].lens


@pytest.mark.parametrize("key", POSED)
@given(data=st.data())
@settings(max_examples=25)
def test_lenses_and_poses_survive(
    tmp_path_factory: pytest.TempPathFactory, key: str, data: st.DataObject
) -> None:
    lenses = pinholes(POSED[key])
    before = data.draw(mounted(lenses | fisheyes() if key in WITH_FISHEYE else lenses))
    after, notes = through(tmp_path_factory.mktemp(key), before, key, sizes(before, key))
    assert notes, "each of them loses something, and says so"
    if after.frame is not None:
        assert_same_pictures(before, after)
    if key not in NAMELESS:
        assert [c.name for c in after.cameras] == [c.name for c in before.cameras]
    if key in ("nuscenes", "dgp"):  # the poses themselves, not only between the cameras
        for one, other in zip(before.cameras, after.cameras, strict=True):
            np.testing.assert_allclose(
                one.frame_from_camera, other.frame_from_camera, rtol=0, atol=1e-12
            )


@given(st.lists(pinholes((0,)), min_size=1, max_size=3), st.integers(0, 9))
@settings(max_examples=25)
def test_rectified_cameras_survive_kitti_object(
    tmp_path_factory: pytest.TempPathFactory, lenses: list[Lens], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rotation = ego_from_camera([0, 0, 0], *rng.uniform(-1, 1, 3))
    cameras = []
    for index, lens in enumerate(lenses):
        pose = rotation.copy()
        pose[:3, 3] = rng.uniform(-2, 2, 3)
        cameras.append(FoundCamera(f"c{index}", lens, pose))
    before = CameraSet(tuple(cameras), EGO)
    folder = tmp_path_factory.mktemp("object")
    after, notes = through(folder, before, "kitti-object", sizes(before, "kitti-object"))
    assert_same_pictures(before, after)
    assert any("no camera names: c0 is 0" in note for note in notes)


TWO = CameraSet(
    (
        FoundCamera(
            "front",
            Lens("pinhole", 640, 480, 500, 505, 322, 238),
            ego_from_camera([2, 0, 1.4], 0, -0.05, 0),
        ),
        FoundCamera(
            "left",
            Lens("pinhole", 640, 480, 480, 481, 318, 243),
            ego_from_camera([1, 0.8, 1.3], 1.1, -0.1, 0.02),
        ),
    ),
    EGO,
)


@pytest.mark.parametrize("key", POSED)
def test_an_inverted_transform_is_noticed(tmp_path: Path, key: str) -> None:
    """Negative control of the tests above: the second camera's pose inverted on the way."""
    after, _ = through(tmp_path, TWO, key, sizes(TWO, key))
    assert_same_pictures(TWO, after)
    second = after.cameras[1]
    assert second.frame_from_camera is not None
    inverted = replace(second, frame_from_camera=np.linalg.inv(second.frame_from_camera))
    with pytest.raises(AssertionError):
        assert_same_pictures(TWO, replace(after, cameras=(after.cameras[0], inverted)))


@pytest.mark.parametrize("key", [*POSED, "rig"])
def test_through_two_formats_after_each_other(tmp_path: Path, key: str) -> None:
    found = replace(
        TWO, cameras=tuple(replace(c, rate_hz=30.0, bucket="small") for c in TWO.cameras)
    )
    first, _ = through(tmp_path, found, key, sizes(found, key))
    second, _ = through(tmp_path, first, "kalibr")
    assert_same_pictures(TWO, second)


FISH = Lens("fisheye", 640, 480, 300, 300, 320, 240, (0.0, 0.0, 0.0, 0.0))
EIGHT = Lens("pinhole", 640, 480, 500, 500, 320, 240, (0.1, 0.1, 0, 0, 0.1, 0.1, 0.1, 0.1))
WRONG = {
    "fisheye into kitti": ("kitti", FISH, "is a fisheye, and KITTI's D"),
    "fisheye into kitti-object": ("kitti-object", FISH, "is a fisheye with distortion"),
    "fisheye into dgp": ("dgp", FISH, "is a fisheye, and DGP's lens is Brown-Conrady"),
    "fisheye into nuscenes": ("nuscenes", FISH, "nuScenes' images have none; undistort"),
    "rational into kitti": ("kitti", EIGHT, "has 8 coefficients and KITTI's D 5"),
    "rational into kalibr": ("kalibr", EIGHT, "has 8 coefficients and Kalibr's radtan 4"),
    "distorted into nuscenes": ("nuscenes", EIGHT, "nuScenes' images have none; undistort"),
}


@pytest.mark.parametrize(("key", "lens", "said"), WRONG.values(), ids=[*WRONG])
def test_what_would_make_a_wrong_camera_is_refused(
    tmp_path: Path, key: str, lens: Lens, said: str
) -> None:
    first = replace(TWO.cameras[0], lens=lens)
    with pytest.raises(CalibError) as error:
        write_cameras(replace(TWO, cameras=(first,)), FORMATS[key], tmp_path / "a")
    assert said in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_cameras_that_look_apart_are_not_rectified(tmp_path: Path) -> None:
    with pytest.raises(CalibError, match="'left' looks another way than 'front'"):
        write_cameras(TWO, FORMATS["kitti-object"], tmp_path / "a.txt")


def test_an_opencv_file_says_its_model(tmp_path: Path) -> None:
    for lens, flag in ((EIGHT, 0), (FISH, 1)):
        written, _ = write_cameras(lens_only(lens), FORMATS["opencv"], tmp_path / "a.yaml")
        storage = cv2.FileStorage(str(written[0]), cv2.FILE_STORAGE_READ)
        assert storage.getNode("fisheye_model").real() == flag
        np.testing.assert_array_equal(storage.getNode("camera_matrix").mat(), lens.matrix)
        D = storage.getNode("distortion_coefficients").mat()
        np.testing.assert_array_equal(D, [lens.distortion])
