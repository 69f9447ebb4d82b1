"""Typed FP16: the same graph with its convolutions in half precision, written into its types.

A strongly typed TensorRT network computes in exactly the types of its ONNX file, so the file
decides what is rounded. Everything up to the heads runs in half precision. What comes after
stays in FP32, since half precision has 11 bits: exp of a box side, sigmoid of a score, and
pixels, which above 1024 it counts in whole steps only.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.errors import ExportError

Infer = Callable[[NDArray[np.float32]], dict[str, NDArray]]

_KEPT = {"ReduceMean"}
"""A sum over a whole image may pass 65504, half precision's largest number."""
_TYPED_INPUTS = {"Resize": 1, "Shape": 0}
"""Operators that take their later inputs, or any, whatever type the rest has."""
_HALF_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class HalfTolerance:
    """How far FP16 may be from FP32 on the same images: wide enough for noise seen by untrained
    weights, where classes are nearly tied. It finds a broken file; accuracy is measured apart."""

    scene_error: float = 0.02
    """Mean difference of the scene logits over their standard deviation."""
    scene_agreement: float = 0.98
    """Least share of cells whose most likely class is the same."""
    score: float = 0.02
    """Largest difference between the sorted scores of an image."""


def to_half(model: ModelProto) -> ModelProto:
    """A copy of `model` whose convolutions, and all floats that lead to one, are float16.

    Inputs, outputs and metadata stay as they are. Raises ExportError when a weight does not fit
    into half precision, or when the model is quantised or half precision already.
    """
    half = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    graph = half.graph
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in graph.node):
        raise ExportError("the model is quantised already; make its FP16 form from the FP32 model")
    types = _types(graph)
    if TensorProto.FLOAT16 in types.values():
        raise ExportError("the model holds float16 already; give the FP32 model")
    floats = {name for name, kind in types.items() if kind == TensorProto.FLOAT}
    lowered = _nodes_that_lead_to_a_convolution(graph, floats)

    initializers = {tensor.name: tensor for tensor in graph.initializer}
    made_half = {name for node in lowered.values() for name in node.output}
    nodes: list[NodeProto] = []
    casts: dict[str, str] = {}

    def typed(name: str, want_half: bool) -> str:
        """Another name of the tensor, of the wanted type; a cast or weight is made once."""
        if name not in floats or (name in made_half) == want_half:
            return name
        if name in casts:
            return casts[name]
        casts[name] = other = f"{name}.{'half' if want_half else 'float'}"
        if name in initializers:
            graph.initializer.append(_half_weights(initializers[name], other))
        else:
            to = TensorProto.FLOAT16 if want_half else TensorProto.FLOAT
            nodes.append(helper.make_node("Cast", [name], [other], f"{other}/Cast", to=to))
        return other

    outputs = {value.name for value in graph.output}
    for index, node in enumerate(graph.node):
        for position in range(_TYPED_INPUTS.get(node.op_type, len(node.input))):
            node.input[position] = typed(node.input[position], index in lowered)
        nodes.append(node)
        for position, name in enumerate(node.output):
            if index in lowered and name in outputs:  # an output keeps its name and its type
                node.output[position] = f"{name}.half"
                cast = helper.make_node(
                    "Cast", [f"{name}.half"], [name], f"{name}/Cast", to=TensorProto.FLOAT
                )
                nodes.append(cast)
                made_half.discard(name)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # their types have changed
    _drop_unused_weights(graph)
    onnx.checker.check_model(half, full_check=True)
    return half


def check_half(
    full: ModelProto,
    half: ModelProto,
    batches: Iterable[NDArray[np.float32]],
    tolerance: HalfTolerance = HalfTolerance(),
) -> list[str]:
    """What is wrong with `half` beside `full`, both run by ONNX Runtime on the CPU, on batches
    of images (N, C, H, W) float32. Empty when it may be used."""
    run_full, run_half = _runner(full), _runner(half)
    failures = []
    for batch in batches:
        expected, actual = run_full(batch), run_half(batch)
        if any(not np.isfinite(value).all() for value in actual.values()):
            return ["an output is not finite: an activation is too large for FP16"]
        spread = float(expected["scene"].std()) or 1.0
        error = float(np.abs(expected["scene"] - actual["scene"]).mean()) / spread
        agreement = float((expected["scene"].argmax(1) == actual["scene"].argmax(1)).mean())
        score = float(np.abs(expected["scores"] - actual["scores"]).max())
        if error > tolerance.scene_error:
            failures.append(
                f"scene logits differ by {error:.2g} of their spread in FP16 "
                f"(limit {tolerance.scene_error:g})"
            )
        if agreement < tolerance.scene_agreement:
            failures.append(
                f"scene classes agree on {agreement:.4f} in FP16 "
                f"(limit {tolerance.scene_agreement:g})"
            )
        if score > tolerance.score:
            failures.append(f"scores differ by {score:.2g} in FP16 (limit {tolerance.score:g})")
    return failures


def _types(graph: GraphProto) -> dict[str, int]:
    """Element type of every tensor of the graph."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        types[value.name] = value.type.tensor_type.elem_type
    return types


def _nodes_that_lead_to_a_convolution(graph: GraphProto, floats: set[str]) -> dict[int, NodeProto]:
    """Nodes by index that compute floats for a convolution, convolutions included."""
    lowered: dict[int, NodeProto] = {}
    wanted: set[str] = set()  # tensors from which a convolution's input is made
    for index in range(len(graph.node) - 1, -1, -1):  # a graph's nodes are in order
        node = graph.node[index]
        if node.op_type != "Conv" and not wanted & set(node.output):
            continue
        wanted |= set(node.input)
        if node.op_type not in _KEPT and set(node.output) <= floats:
            lowered[index] = node
    return lowered


def _half_weights(weights: TensorProto, name: str) -> TensorProto:
    values = numpy_helper.to_array(weights)
    largest = float(np.abs(values).max(initial=0))
    if largest > _HALF_MAX:
        raise ExportError(
            f"weights '{weights.name}' reach {largest:.3g}, FP16 ends at {_HALF_MAX:.0f}; "
            "use --precision fp32"
        )
    return numpy_helper.from_array(values.astype(np.float16), name)


def _drop_unused_weights(graph: GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _runner(model: ModelProto) -> Infer:
    options = onnxruntime.SessionOptions()
    # Optimised, it would cancel neighbouring casts and compute in FP32 what is to be checked.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    image = session.get_inputs()[0].name

    def infer(batch: NDArray[np.float32]) -> dict[str, NDArray]:
        return dict(zip(names, session.run(names, {image: batch}), strict=True))

    return infer
