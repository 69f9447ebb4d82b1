"""A stand-in network: it tells the colours of the drawn world apart and costs next to nothing.

python -m tests.deploy.stand_in out/stand_in.onnx
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.checksum import seal
from perception.spec import PRESETS, SPEC_HASH_KEY, SPEC_KEY, ModelSpec

# Colours (BGR) that the drawn world is painted in and the network recognises.
PAINT = {
    "drivable": (96, 92, 90),
    "pavement": (176, 178, 180),
    "terrain": (60, 150, 90),
    "building": (90, 120, 170),
    "sky": (230, 190, 150),
    "vehicle": (200, 60, 20),
    "pedestrian": (40, 40, 220),
}


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


if __name__ == "__main__":
    seal(write_model(Path(sys.argv[1]), PRESETS["nano"]))
