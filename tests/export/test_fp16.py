"""Typed FP16 computes what FP32 does, where it can; where it can't, that is found."""

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, numpy_helper

from export.errors import ExportError
from export.onnx_file import write_onnx
from export.precision import check_half, to_half
from perception.network import OctoNet
from perception.spec import PRESETS

SPEC = PRESETS["nano"]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> ModelProto:
    torch.manual_seed(0)
    network = OctoNet(SPEC)
    with torch.no_grad():  # settle batch norm, or activations explode
        for _ in range(20):
            network(torch.randn(2, 3, 64, 96))
    path = tmp_path_factory.mktemp("fp16") / "nano.onnx"
    write_onnx(network.eval(), path)
    return onnx.load(path)


@pytest.fixture(scope="module")
def half(full: ModelProto) -> ModelProto:
    return to_half(full)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 3, 64, 96)).astype(np.float32)


def _copy(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def test_half_agrees_with_full(full: ModelProto, half: ModelProto, images: np.ndarray) -> None:
    assert check_half(full, half, [images]) == []


def test_inputs_outputs_and_metadata_stay(full: ModelProto, half: ModelProto) -> None:
    assert list(half.graph.input) == list(full.graph.input)
    assert list(half.graph.output) == list(full.graph.output)
    assert list(half.metadata_props) == list(full.metadata_props)


def test_convolutions_are_half_and_decoding_is_not(half: ModelProto) -> None:
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(half, strict_mode=True).graph.value_info
    }
    types |= {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    for node in half.graph.node:
        if node.op_type == "Conv":
            assert {types[name] for name in node.input} == {TensorProto.FLOAT16}
        if node.op_type in ("Exp", "Sigmoid", "TopK", "ReduceMean", "GatherElements"):
            assert types[node.input[0]] == TensorProto.FLOAT


def test_the_file_is_half_as_large(full: ModelProto, half: ModelProto) -> None:
    assert half.ByteSize() < 0.55 * full.ByteSize()


def _scaled(model: ModelProto, factor: float) -> ModelProto:
    """The first convolution, and so everything behind it, many times larger."""
    changed = _copy(model)
    first = next(node for node in changed.graph.node if node.op_type == "Conv")
    for tensor in changed.graph.initializer:
        if tensor.name in first.input[1:]:
            large = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(large, tensor.name))
    return changed


def test_activations_past_the_end_of_half_precision_are_found(
    full: ModelProto, images: np.ndarray
) -> None:
    large = _scaled(full, 2e4)
    [failure] = check_half(large, to_half(large), [images])
    assert "not finite" in failure


def test_weights_past_the_end_of_half_precision_are_named(full: ModelProto) -> None:
    with pytest.raises(ExportError, match=r"weights '.*' reach .*; use --precision fp32"):
        to_half(_scaled(full, 1e7))


def test_another_network_is_not_taken_for_the_same(
    full: ModelProto, half: ModelProto, images: np.ndarray
) -> None:
    other = _copy(half)
    for tensor in other.graph.initializer:
        if tensor.name.startswith("scene.1.weight"):
            flipped = -numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(flipped, tensor.name))
    assert any("logits differ" in failure for failure in check_half(full, other, [images]))


def test_half_of_half_is_refused(half: ModelProto) -> None:
    with pytest.raises(ExportError, match="float16 already"):
        to_half(half)
