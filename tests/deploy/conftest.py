"""A small drawn world seen by the hw2 rig, and a stand-in network that tells its colours apart.

Both are real in the sense that matters: the world is cast through each camera's true lens, and
the network is an ONNX file that ONNX Runtime runs. Every camera's picture is different.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calib.rig import Camera, Rig, load_rig
from deploy.log.writer import LogWriter
from perception.spec import PRESETS, SPEC_HASH_KEY, SPEC_KEY, ModelSpec

TICKS = 4
PERIOD_NS = 27_777_778
START_NS = 1_700_000_000_000_000_000

# Colours (BGR) that the world is painted in and the stand-in network recognises.
PAINT = {
    "drivable": (96, 92, 90),
    "pavement": (176, 178, 180),
    "terrain": (60, 150, 90),
    "building": (90, 120, 170),
    "sky": (230, 190, 150),
    "vehicle": (200, 60, 20),
    "pedestrian": (40, 40, 220),
}
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


def write_model(path: Path, spec: ModelSpec, metadata: dict[str, str] | None = None) -> Path:
    """An ONNX file that honours `spec`: `scene` is the nearest PAINT colour of each 4x4 block,
    objects are the blobs of an object class."""
    colours = np.full((len(spec.scene_classes), 3), 1e3)
    for name, bgr in PAINT.items():
        rgb = np.array(bgr[::-1]) / 255
        colours[spec.scene_classes.index(name)] = (rgb - spec.mean) / spec.std
    known = np.abs(colours[:, 0]) < 1e3
    # -|x - c|^2 up to a term that all classes share is linear in x: a 1x1 convolution.
    weights = np.where(known[:, None], 2 * colours, 0) * 4
    bias = np.where(known, -(colours**2).sum(axis=1), -20) * 4
    object_channels = [spec.scene_classes.index(name) for name in spec.object_classes]

    def constant(name: str, value: object, dtype: type) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(value, dtype), name)

    constants = [
        constant("w", weights[..., None, None], np.float32),
        constant("b", bias, np.float32),
        constant("channel_start", [3 * spec.frames - 3], np.int64),
        constant("channel_end", [3 * spec.frames], np.int64),
        constant("axis1", [1], np.int64),
        constant("object_channels", object_channels, np.int64),
        constant("flat", [0, -1], np.int64),
        constant("k", [spec.top_k], np.int64),
        constant("zero", 0.0, np.float32),
        constant("two", 2, np.int64),
        constant("three", 3, np.int64),
        constant("gain", 2.0, np.float32),
        constant("one", 1.0, np.float32),
        constant("stride", 16.0, np.float32),
        constant("centre", 7.5, np.float32),
        constant("box", [-24, -20, 24, 20], np.float32),
        constant("foot", [0, 18], np.float32),
        constant("last", [-1], np.int64),
    ]
    node = helper.make_node
    pool = {
        size: {"kernel_shape": [size] * 2, "strides": [1, 1], "pads": [size // 2] * 4}
        for size in (3, 5, 9)
    }
    nodes = [
        node("Slice", ["images", "channel_start", "channel_end", "axis1"], ["now"]),
        node("AveragePool", ["now"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Conv", ["pooled", "w", "b"], ["scene"]),
        node("Softmax", ["scene"], ["probability"], axis=1),
        node("Gather", ["probability", "object_channels"], ["things"], axis=1),
        # Blobs: two sizes of mean, so that the middle of a large blob stands out as well.
        node("AveragePool", ["things"], ["coarse"], kernel_shape=[4, 4], strides=[4, 4]),
        node("AveragePool", ["coarse"], ["near"], count_include_pad=1, **pool[3]),
        node("AveragePool", ["coarse"], ["around"], count_include_pad=1, **pool[9]),
        node("Add", ["near", "around"], ["blobs"]),
        node("MaxPool", ["blobs"], ["highest"], **pool[5]),
        node("Equal", ["blobs", "highest"], ["is_peak"]),
        node("Where", ["is_peak", "blobs", "zero"], ["peaks"]),
        node("Reshape", ["peaks", "flat"], ["flat_peaks"]),
        node("TopK", ["flat_peaks", "k"], ["heights", "index"], axis=1),
        node("Mul", ["heights", "gain"], ["amplified"]),
        node("Min", ["amplified", "one"], ["scores"]),
        node("Shape", ["peaks"], ["shape"]),
        node("Gather", ["shape", "two"], ["rows"]),
        node("Gather", ["shape", "three"], ["columns"]),
        node("Mul", ["rows", "columns"], ["area"]),
        node("Div", ["index", "area"], ["labels"]),
        node("Mod", ["index", "area"], ["cell"]),
        node("Div", ["cell", "columns"], ["row"]),
        node("Mod", ["cell", "columns"], ["column"]),
        node("Unsqueeze", ["row", "last"], ["row1"]),
        node("Unsqueeze", ["column", "last"], ["column1"]),
        node("Concat", ["column1", "row1"], ["xy_index"], axis=-1),
        node("Cast", ["xy_index"], ["xy_float"], to=TensorProto.FLOAT),
        node("Mul", ["xy_float", "stride"], ["xy_scaled"]),
        node("Add", ["xy_scaled", "centre"], ["xy"]),
        node("Concat", ["xy", "xy"], ["xyxy"], axis=-1),
        node("Add", ["xyxy", "box"], ["boxes"]),
        node("Add", ["xy", "foot"], ["ground_points"]),
    ]
    types = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "stand_in",
        [helper.make_tensor_value_info(spec.input.name, TensorProto.FLOAT, spec.input.shape)],
        [helper.make_tensor_value_info(t.name, types[t.dtype], t.shape) for t in spec.outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata is None:
        metadata = {SPEC_KEY: spec.to_json(), SPEC_HASH_KEY: spec.hash}
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


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
