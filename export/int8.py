"""INT8: the ONNX file of `export_onnx` in, the same file with Q/DQ pairs out.

Ranges and insertion are ONNX Runtime's (onnxruntime.quantization). What is chosen here, by
measuring, is how ranges are found and which layers stay in float.

Activations after a ReLU are uint8 from zero, others (the images) int8 around zero; weights are
int8 with a scale for each output channel, biases stay float. This is exact in OpenVINO, which
mistakes int8 for uint8 where ReLUs are concatenated (2026.4: a quarter of a standard deviation
off), and the form that ONNX Runtime has fast kernels for. TensorRT takes int8 alone: `to_signed`.
"""

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    create_calibrator,
)
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from export import checksum
from export.errors import ExportError
from perception.data.normalise import denormalise
from perception.spec import CHECKSUM_KEY, QUANTISATION_KEY, ModelSpec

LEAST_IMAGES = 16
"""Images that show something; fewer know too little of the ranges."""

Images = NDArray[np.float32]
Judge = Callable[[Path], float]
"""How good an ONNX file is, at most 1."""
Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest value of each activation, by name."""

METHODS = {
    "minmax": (CalibrationMethod.MinMax, {}),
    "percentile": (CalibrationMethod.Percentile, {"percentile": 99.99}),
    "entropy": (CalibrationMethod.Entropy, {}),
}
_BETWEEN = ("Concat", "MaxPool", "Add", "Resize")
"""Operators that can stay in eight bits between two convolutions."""
_TYPES = ("Conv", *_BETWEEN)
_WORTH = 0.005
_MOST_FLOAT = 3
_DARK = 16
_FLAT = 4


@dataclass(frozen=True)
class Quantised:
    """What was chosen. `scores` are of the methods with all layers in eight bits; `gains` say how
    much better the best of them gets with a group of layers in float; those of `in_float` are."""

    method: str
    images: int
    in_float: tuple[str, ...]
    scores: dict[str, float]
    gains: dict[str, float]


def quantise(
    model: Path,
    out: Path,
    images: Sequence[Images],
    spec: ModelSpec,
    judge: Judge,
    progress: Callable[[str], None] = lambda step: None,
) -> Quantised:
    """Write `out`, the INT8 form of `model`, with all of its metadata.

    images: float32 batches (N, C, H, W) as the network takes them, best of every bucket.
    judge: picks one of METHODS, then is asked once for each group of layers (the stem, an
    inception module, a head, ...) with that group alone left in float. Up to three groups that
    gain at least 0.005 stay in float.

    Raises ExportError for images that are too few or show nothing.
    """
    count = _check_images(images, spec)
    groups = layer_groups(onnx.load(model))
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"

        def score(ranges: Ranges, in_float: Sequence[str]) -> float:
            insert_pairs(model, trial, ranges, in_float)
            return judge(trial)

        found, scores = {}, {}
        for method in METHODS:
            progress(f"ranges by {method}")
            found[method] = find_ranges(model, images, method)
            scores[method] = score(found[method], ())
        best = max(scores, key=scores.__getitem__)
        gains = {}
        for group, nodes in groups.items():
            progress(f"{group} in float")
            gains[group] = score(found[best], nodes) - scores[best]
        worth = sorted((g for g in gains if gains[g] >= _WORTH), key=gains.__getitem__)
        kept = tuple(worth[::-1][:_MOST_FLOAT])
        result = Quantised(best, count, kept, scores, gains)
        in_float = [node for group in kept for node in groups[group]]
        about = {QUANTISATION_KEY: json.dumps(asdict(result), sort_keys=True)}
        insert_pairs(model, out, found[best], in_float, about)
    return result


def layer_groups(model: ModelProto) -> dict[str, list[str]]:
    """Convolutions by the part of the network that they belong to, in order.

    The exporter names nodes after their modules: `/trunk/3a/branch1/...` belongs to `trunk/3a`.
    """
    groups: dict[str, list[str]] = {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            parts = node.name.strip("/").split("/")[:-1]
            groups.setdefault("/".join(parts[:2]), []).append(node.name)
    return groups


def find_ranges(model: Path, images: Sequence[Images], method: str) -> Ranges:
    """What each activation reaches on `images`, by a name of METHODS."""
    kind, options = METHODS[method]
    with tempfile.TemporaryDirectory() as folder:
        augmented = str(Path(folder) / "augmented.onnx")
        calibrator = create_calibrator(model, list(_TYPES), augmented, kind, extra_options=options)
        # One batch at a time: the calibrator holds every activation of what it is given, and
        # takes no two image sizes together. Its progress goes to stdout, where nobody wants it.
        with contextlib.redirect_stdout(io.StringIO()):
            for batch in images:
                calibrator.collect_data(_Reader(calibrator.infer_session, batch))
            data = calibrator.compute_data()
    values = {name: found.range_value for name, found in data.items()}
    return {name: (float(np.min(low)), float(np.max(high))) for name, (low, high) in values.items()}


def insert_pairs(
    model: Path,
    out: Path,
    ranges: Ranges,
    in_float: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write `model` with Q/DQ pairs to `out`; nodes named in `in_float` get none.

    Convolutions, and what lies between them, are quantised. What the last convolutions give, and
    the decoding after them, stays in float.
    """
    graph = load_model_with_shape_infer(model)
    keep = {entry.key: entry.value for entry in graph.metadata_props}
    keep.pop(CHECKSUM_KEY, None)
    limits = {name: _whole(*limit) for name, limit in _joined(graph, ranges).items()}
    signed = [name for name, (low, _) in limits.items() if low < 0]
    skip = set(in_float)
    quantizer = QDQQuantizer(
        graph,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, _as_arrays(limits)),
        nodes_to_quantize=[name for name in _before_last_convolutions(graph) if name not in skip],
        nodes_to_exclude=list(in_float),
        op_types_to_quantize=list(_TYPES),
        extra_options={
            "WeightSymmetric": True,
            "QuantizeBias": False,
            # ReLU comes first: one pair after it, where the range is that of what is used.
            "OpTypesToExcludeOutputQuantization": ["Conv", "Add"],
            "TensorQuantOverrides": {
                name: [{"quant_type": QuantType.QInt8, "symmetric": True}] for name in signed
            },
        },
    )
    result = quantizer.quantize_model()
    quantizer.model.topological_sort()
    onnx.helper.set_model_props(result, {**keep, **(metadata or {})})
    onnx.checker.check_model(result)
    onnx.save(result, out)
    checksum.seal(out)


def to_signed(model: ModelProto) -> ModelProto:
    """A copy in which uint8 activations are int8 around zero, over the same range: the form that
    TensorRT takes. Half of their steps stay unused."""
    signed = ModelProto()
    signed.CopyFrom(model)
    constants = {constant.name: constant for constant in signed.graph.initializer}
    pairs = [n for n in signed.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    # By tensor, since a pair shares its constants.
    zeros = {n.input[2] for n in pairs if constants[n.input[2]].data_type == onnx.TensorProto.UINT8}
    scales = {n.input[1] for n in pairs if n.input[2] in zeros}
    for name in zeros:
        zero = numpy_helper.to_array(constants[name])
        if zero.any():
            raise ExportError(f"'{name}' is {int(zero)}; quantise with `octoview export` again")
        constants[name].CopyFrom(numpy_helper.from_array(zero.astype(np.int8), name))
    for name in scales:
        wider = numpy_helper.to_array(constants[name]) * np.float32(255 / 127)
        constants[name].CopyFrom(numpy_helper.from_array(wider.astype(np.float32), name))
    return signed


class _Reader(CalibrationDataReader):
    """One batch, image by image, so that memory stays small."""

    def __init__(self, session: object, batch: Images) -> None:
        name = session.get_inputs()[0].name  # type: ignore[attr-defined]
        self._images: Iterator[dict[str, Images]] = iter([{name: image[None]} for image in batch])

    def get_next(self) -> dict[str, Images] | None:
        return next(self._images, None)


def _before_last_convolutions(model: ModelProto) -> list[str]:
    """Convolutions and what leads to one: the decoding leads to none."""
    needed: set[str] = set()
    names = []
    for node in reversed(model.graph.node):
        leads = any(name in needed for name in node.output)
        if node.op_type == "Conv" or leads:
            needed.update(node.input)
            if node.op_type in _TYPES:
                names.append(node.name)
    return names[::-1]


def _joined(model: ModelProto, ranges: Ranges) -> dict[str, tuple[float, float]]:
    """What is concatenated shares one range, so that joining moves bytes and rescales none."""
    joined = dict(ranges)
    for node in reversed(model.graph.node):  # a concatenation may end in another
        if node.op_type == "Concat" and node.output[0] in joined:
            for name in node.input:
                if name in joined:
                    joined[name] = joined[node.output[0]]
    return joined


def _whole(low: float, high: float) -> tuple[float, float]:
    """From zero when there is nothing below it, else as far below as above."""
    limit = max(-low, high)
    return (-limit, limit) if low < 0 else (0.0, limit)


def _as_arrays(ranges: Ranges) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    return {
        name: (np.array(low, np.float32), np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }


def _check_images(images: Sequence[Images], spec: ModelSpec) -> int:
    """How many there are. Raises ExportError unless enough of them show something."""
    count = usable = 0
    for image in (image for batch in images for image in batch):
        count += 1
        picture = image[:, (image != 0).any(axis=0)]  # zeros are the letterbox
        if picture.size:
            low, high = np.percentile(denormalise(picture, spec), (1, 99))
            usable += bool(high >= _DARK and high - low >= _FLAT)
    if usable < LEAST_IMAGES:
        raise ExportError(
            f"INT8: {usable} of {count} images show something (the others are black or of one "
            f"colour), at least {LEAST_IMAGES} must; give more images like those of the road"
        )
    return count
