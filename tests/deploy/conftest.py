"""A small drawn world seen by the hw2 rig, and a stand-in network that tells its colours apart.

Both are real in the sense that matters: the world is cast through each camera's true lens, and
the network (stand_in.py) is an ONNX file that ONNX Runtime runs. Every camera's picture is
different.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from calib.rig import Camera, Rig, load_rig
from deploy.log.writer import LogWriter
from perception.spec import PRESETS, ModelSpec
from tests.deploy.stand_in import PAINT, write_model

TICKS = 4
PERIOD_NS = 27_777_778
START_NS = 1_700_000_000_000_000_000

ROAD_HALF_WIDTH = 5.5
# Class, centre x, y, length, width, height in metres, ego frame at the first tick.
THINGS = (
    ("vehicle", 14.0, 2.5, 4.5, 1.9, 1.6),
    ("vehicle", 9.0, -6.0, 4.5, 1.9, 1.6),
    ("vehicle", -9.0, 2.4, 4.5, 1.9, 1.6),
    ("pedestrian", 7.0, 6.0, 0.7, 0.7, 1.8),
    ("building", 20.0, 17.0, 40.0, 4.0, 7.0),
    ("building", 0.0, -18.0, 30.0, 4.0, 6.0),
)


def cast(camera: Camera, tick: int) -> np.ndarray:
    """What `camera` sees of the world at `tick`, BGR uint8 at the lens's own size.

    The world is cast at a third of the size: tests need its places, not its detail.
    """
    width, height = camera.lens.width // 4, camera.lens.height // 4
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = (np.stack([columns, rows], axis=-1) + 0.5) * 4 - 0.5
    rays = camera.unproject(pixels)
    origin = camera.ego_from_camera[:3, 3] + (0.8 * tick, 0, 0)
    image = np.empty((height, width, 3), np.float64)
    image[:] = PAINT["sky"]
    nearest = np.full((height, width), np.inf)
    with np.errstate(all="ignore"):
        ground = np.where(rays[..., 2] < 0, -origin[2] / rays[..., 2], np.inf)
        x, y = (origin[axis] + ground * rays[..., axis] for axis in (0, 1))
        for name, where in (
            ("terrain", ground < 200),
            ("pavement", (ground < 200) & (np.abs(y) < ROAD_HALF_WIDTH + 2)),
            ("drivable", (ground < 200) & (np.abs(y) < ROAD_HALF_WIDTH)),
        ):
            image[where] = PAINT[name]
        image *= np.where((np.floor(x / 2) + np.floor(y / 2)) % 2 == 0, 1.0, 0.94)[..., None]
        nearest = np.minimum(nearest, ground)
        for name, cx, cy, length, wide, tall in THINGS:
            low = np.array([cx - length / 2, cy - wide / 2, 0.0])
            high = np.array([cx + length / 2, cy + wide / 2, tall])
            sides = np.stack([(low - origin) / rays, (high - origin) / rays])
            near, far = sides.min(axis=0).max(axis=-1), sides.max(axis=0).min(axis=-1)
            hit = (near < far) & (near > 0) & (near < nearest + 0.05)
            image[hit] = PAINT[name]
            nearest = np.where(hit, near, nearest)
    noise = np.random.default_rng((sum(camera.name.encode()), tick)).normal(0, 3, image.shape)
    small = np.clip(image + noise, 0, 255).astype(np.uint8)
    return cv2.resize(small, (camera.lens.width, camera.lens.height))


def jpeg(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return data.tobytes()


def write_log(path: Path, rig: Rig, ticks: list[dict[str, bytes]]) -> Path:
    """A log with the given images per tick; a camera that a tick lacks delivers nothing."""
    with LogWriter(path) as log:
        log.rig(rig, START_NS)
        for index, images in enumerate(ticks):
            for name, data in images.items():
                log.image(name, START_NS + index * PERIOD_NS, data, "jpeg")
    return path


@pytest.fixture(scope="session")
def rig() -> Rig:
    return load_rig("hw2")


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return PRESETS["nano"]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, spec: ModelSpec) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "stand_in.onnx", spec)


@pytest.fixture(scope="session")
def ticks(rig: Rig) -> list[dict[str, bytes]]:
    """JPEG of every camera for each tick."""
    return [{c.name: jpeg(cast(c, tick)) for c in rig} for tick in range(TICKS)]


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory, rig: Rig, ticks: list[dict[str, bytes]]) -> Path:
    return write_log(tmp_path_factory.mktemp("log") / "drawn.mcap", rig, ticks)


@pytest.fixture
def make_log(tmp_path: Path, rig: Rig) -> Callable[..., Path]:
    """Write a log from images per tick."""

    def make(images: list[dict[str, bytes]], name: str = "made.mcap") -> Path:
        return write_log(tmp_path / name, rig, images)

    return make


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Write a stand-in network, with other metadata if given."""

    def make(spec: ModelSpec, metadata: dict[str, str] | None = None) -> Path:
        return write_model(tmp_path / "made.onnx", spec, metadata)

    return make
