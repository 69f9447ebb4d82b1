"""The real DGP scene: its 3D boxes, through our log and calib, land where its 2D boxes are."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from calib.rig import Camera, Rig
from deploy.importers.dgp import import_dgp
from deploy.log.boxes import Box, from_scene_update
from deploy.log.reader import LogReader

CAMERAS = ("CAMERA_01", "CAMERA_05", "CAMERA_06", "CAMERA_07", "CAMERA_08", "CAMERA_09")


@dataclass(frozen=True)
class Fit:
    """How the projection of one 3D box fits the 2D box of the same object."""

    camera: str
    iou: float
    centre_distance: float  # pixels


@pytest.fixture(scope="module")
def scene(shared_data: Path) -> Path:
    folder = shared_data / "dgp_scene"
    if not folder.is_dir():
        pytest.skip(f"no real scene: {folder} is absent")
    return folder


@pytest.fixture(scope="module")
def log(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> LogReader:
    path = tmp_path_factory.mktemp("dgp") / "real.mcap"
    assert import_dgp(scene, path, lambda done, total: None) == 18
    return LogReader(path)


def boxes_2d(scene: Path) -> list[dict[tuple[str, str], np.ndarray]]:
    """Of each instant: (camera, instance) -> x0 y0 x1 y1. Files pair by the order of names."""
    instants: list[dict[tuple[str, str], np.ndarray]] = [{}, {}, {}]
    for camera in CAMERAS:
        files = sorted((scene / "bounding_box_2d" / camera).glob("*.json"))
        for instant, file in zip(instants, files, strict=True):
            for found in json.loads(file.read_text())["annotations"]:
                x, y, w, h = (found["box"][key] for key in "xywh")
                corners = np.array([x, y, x + w, y + h], float)
                instant[camera, str(found["instance_id"])] = corners
    return instants


def projected(camera: Camera, box: Box) -> np.ndarray | None:
    """x0 y0 x1 y1 of the box's corners, clipped to the image; None if it is not in it."""
    pixels, visible = camera.project(box.corners)
    if np.isnan(pixels).any() or not visible.any():
        return None
    limits = (camera.lens.width, camera.lens.height)
    low, high = np.clip(pixels.min(0), 0, limits), np.clip(pixels.max(0), 0, limits)
    return np.concatenate([low, high])


def fit(camera: Camera, box: Box, expected: np.ndarray) -> Fit:
    found = projected(camera, box)
    if found is None:
        return Fit(camera.name, 0.0, float("inf"))
    low, high = np.maximum(found[:2], expected[:2]), np.minimum(found[2:], expected[2:])
    shared = np.prod(np.maximum(high - low, 0))
    areas = np.prod(found[2:] - found[:2]) + np.prod(expected[2:] - expected[:2])
    centres = (found[:2] + found[2:] - expected[:2] - expected[2:]) / 2
    return Fit(camera.name, shared / (areas - shared), float(np.hypot(*centres)))


def fits(log: LogReader, rig: Rig, scene: Path) -> list[Fit]:
    """One for every 2D box of the scene."""
    updates = list(log.messages(["/truth/objects"]))
    found = []
    for update, expected in zip(updates, boxes_2d(scene), strict=True):
        boxes = {box.id: box for box in from_scene_update(update.decode())}
        for (camera, instance), corners in expected.items():
            found.append(fit(rig[camera], boxes[instance], corners))
    return found


def swapped(rig: Rig, one: str, other: str) -> Rig:
    """The rig with two cameras' poses and lenses exchanged."""
    partner = {one: other, other: one}

    def renamed(camera: Camera) -> Camera:
        source = rig[partner.get(camera.name, camera.name)]
        return Camera(camera.name, source.lens, source.ego_from_camera, camera.rate_hz, "large")

    return Rig(rig.name, tuple(renamed(camera) for camera in rig))


def assert_boxes_land(found: list[Fit]) -> None:
    """Measured on the scene: median IoU 0.97, least 0.80, largest distance 2.2 pixels.

    What is missing to 1 is rounding to whole pixels (the least is 15 x 12 pixels large) and that
    the cameras took their images some milliseconds before the lidar did.
    """
    assert len(found) == 39
    assert {f.camera for f in found} == set(CAMERAS) - {"CAMERA_08"}  # sees no object
    assert np.median([f.iou for f in found]) > 0.95
    assert min(f.iou for f in found) > 0.75
    assert max(f.centre_distance for f in found) < 4


def test_boxes_land_on_their_objects(log: LogReader, scene: Path) -> None:
    assert_boxes_land(fits(log, log.rig, scene))


@pytest.mark.parametrize(
    ("one", "other"),
    [("CAMERA_05", "CAMERA_06"), ("CAMERA_01", "CAMERA_09"), ("CAMERA_01", "CAMERA_05")],
)
def test_swapped_cameras_do_not(log: LogReader, scene: Path, one: str, other: str) -> None:
    with pytest.raises(AssertionError):
        assert_boxes_land(fits(log, swapped(log.rig, one, other), scene))


def test_a_camera_turned_by_half_a_degree_does_not(log: LogReader, scene: Path) -> None:
    rig = log.rig
    turned = []
    for camera in rig:
        pose = camera.ego_from_camera.copy()
        angle = np.radians(0.5)
        yaw = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        pose[:3, :3] = yaw @ pose[:3, :3]
        turned.append(Camera(camera.name, camera.lens, pose, camera.rate_hz, camera.bucket))
    with pytest.raises(AssertionError):
        assert_boxes_land(fits(log, Rig(rig.name, tuple(turned)), scene))


def test_rig_and_images(log: LogReader, scene: Path) -> None:
    rig = log.rig
    assert rig.names == CAMERAS
    assert all(camera.bucket == "large" for camera in rig)
    assert rig["CAMERA_01"].rate_hz == pytest.approx(10, rel=0.01)
    ahead, behind = (rig[name].ego_from_camera[:3, 2] for name in ("CAMERA_01", "CAMERA_09"))
    assert ahead[0] > 0.99 and behind[0] < -0.99
    assert rig["CAMERA_05"].ego_from_camera[1, 2] > 0.7  # looks left
    assert all(1.3 < camera.ego_from_camera[2, 3] < 1.6 for camera in rig)  # on the roof
    images = list(log.images())
    assert len({image.stamp_ns for image in images}) == 3
    pixels = cv2.imdecode(np.frombuffer(images[0].data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None and pixels.shape == (1216, 1936, 3)
    originals = sorted((scene / "rgb" / "CAMERA_05").glob("*.jpg"))
    stored = [image.data for image in images if image.camera == "CAMERA_05"]
    assert stored == [file.read_bytes() for file in originals]


def test_road_lies_at_zero(log: LogReader, scene: Path) -> None:
    """Nearby vehicles stand on z = 0, give or take the slope of a real road."""
    bottoms = [
        box.corners[:, 2].min()
        for update in log.messages(["/truth/objects"])
        for box in from_scene_update(update.decode())
        if np.hypot(*box.ego_from_box[:2, 3]) < 25
    ]
    assert len(bottoms) >= 3
    assert np.abs(bottoms).max() < 0.5
