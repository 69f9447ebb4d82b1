"""A network as one ONNX file: named tensors, free axes, its spec in the metadata."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import nn

from export import checksum
from perception.network import OctoNet
from perception.spec import SPEC_HASH_KEY, SPEC_KEY, TensorSpec

OPSET = 17
"""ONNX operator set; TensorRT 10.3 (JetPack 6) and later read it."""


def write_onnx(network: OctoNet, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write `network` in eval mode to `path`.

    Tensors are named as `ModelSpec` says, so one file serves every resolution bucket and any
    number of cameras. `metadata` goes into the file beside the spec. Folder must exist.
    """
    spec = network.spec
    example = torch.zeros(2, int(spec.input.shape[1]), 64, 96)
    about = {SPEC_KEY: spec.to_json(), SPEC_HASH_KEY: spec.hash}
    write_graph(
        network, (example,), (spec.input,), spec.outputs, {**(metadata or {}), **about}, path
    )


def write_graph(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    metadata: Mapping[str, str],
    path: Path,
) -> None:
    """Write `module` in eval mode, traced on `example`, with tensors named and sized as told."""
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but the newer one fixes top-K's shapes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            example,
            path,
            input_names=[tensor.name for tensor in inputs],
            output_names=[tensor.name for tensor in outputs],
            dynamic_axes={tensor.name: _named_axes(tensor) for tensor in (*inputs, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(path)
    _drop_identities(model.graph)
    for info, tensor in zip(model.graph.output, outputs, strict=True):
        _state_shape(info, tensor)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    checksum.seal(path)


def _drop_identities(graph: onnx.GraphProto) -> None:
    """Name shared constants directly: the exporter puts an Identity between equal biases, and a
    bias that is no constant is one that quantisers and TensorRT stumble over."""
    constants = {constant.name for constant in graph.initializer}
    shared = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Identity" and node.input[0] in constants
    }
    for node in [node for node in graph.node if node.output and node.output[0] in shared]:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [shared.get(name, name) for name in node.input]


def _named_axes(tensor: TensorSpec) -> dict[int, str]:
    return {axis: size for axis, size in enumerate(tensor.shape) if isinstance(size, str)}


def _state_shape(info: onnx.ValueInfoProto, tensor: TensorSpec) -> None:
    """Replace the exporter's invented axis names by the spec's shape."""
    for dimension, size in zip(info.type.tensor_type.shape.dim, tensor.shape, strict=True):
        if isinstance(size, int):
            dimension.dim_value = size
        else:
            dimension.dim_param = size
