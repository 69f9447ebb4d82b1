"""What a network costs: multiply-adds and bytes an image, and parameters.

Counted are convolutions with their biases, batch norm folded into them as it is when the network
runs: all of the arithmetic but about a hundredth. Torch and ONNX give equal numbers.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from perception.spec import ModelSpec

if TYPE_CHECKING:
    from perception.network import OctoNet


@dataclass(frozen=True)
class Cost:
    parameters: int
    macs: dict[str, int]
    """Multiply-adds of one image by bucket of the spec."""
    traffic: dict[str, int]
    """Bytes that one image's convolutions read and write, by bucket: weights, inputs and outputs
    once each, four bytes a number, or one where it is quantised."""

    def gmac_per_image(self, images_by_bucket: Mapping[str, int]) -> float:
        """Mean over images of these buckets, in units of 1e9. One GMAC is two GFLOP."""
        total = sum(n * self.macs[bucket] for bucket, n in images_by_bucket.items())
        return total / sum(images_by_bucket.values()) / 1e9

    def to_json(self, images_by_bucket: Mapping[str, int]) -> dict[str, Any]:
        gmac = self.gmac_per_image(images_by_bucket)
        return {
            "parameters": self.parameters,
            "gmac_per_image": gmac,
            "gflop_per_image": 2 * gmac,
            "gmac_by_bucket": {bucket: macs / 1e9 for bucket, macs in self.macs.items()},
        }


class _Convolution(NamedTuple):
    kernel: Sequence[int]
    """Outputs, inputs / groups, rows, columns."""
    inputs: Sequence[int]
    outputs: Sequence[int]
    bytes_in: int = 4
    """A number of the kernel and of the inputs."""
    bytes_out: int = 4


def _cost(by_bucket: Mapping[str, list[_Convolution]]) -> Cost:
    macs = {
        bucket: sum(math.prod(c.outputs) * math.prod(c.kernel[1:]) for c in convolutions)
        for bucket, convolutions in by_bucket.items()
    }
    traffic = {
        bucket: sum(
            (math.prod(c.kernel) + math.prod(c.inputs)) * c.bytes_in
            + math.prod(c.outputs) * c.bytes_out
            for c in convolutions
        )
        for bucket, convolutions in by_bucket.items()
    }
    any_bucket = next(iter(by_bucket.values()))
    parameters = sum(math.prod(c.kernel) + c.kernel[0] for c in any_bucket)
    return Cost(parameters, macs, traffic)


def cost_of_network(network: "OctoNet") -> Cost:
    """Cost of a torch network in eval mode: what only training uses is not counted."""
    import torch

    # On the meta device shapes are computed and nothing else is.
    twin = copy.deepcopy(network).to("meta").eval()
    found: list[_Convolution] = []
    for module in twin.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda conv, given, out: found.append(
                    _Convolution(conv.weight.shape, given[0].shape, out.shape)
                )
            )
    by_bucket = {}
    for name, size in network.spec.buckets.items():
        channels = 3 * network.spec.frames
        twin(torch.zeros(1, channels, size.height, size.width, device="meta"))
        by_bucket[name] = found.copy()
        found.clear()
    return _cost(by_bucket)


def cost_of_onnx(path: Path, spec: ModelSpec) -> Cost:
    """Cost of an ONNX file that `octoview export` made."""
    import onnx

    by_bucket: dict[str, list[_Convolution]] = {}
    for name, size in spec.buckets.items():
        model = onnx.load(path)
        sides = (1, 3 * spec.frames, size.height, size.width)
        for dimension, side in zip(
            model.graph.input[0].type.tensor_type.shape.dim, sides, strict=True
        ):
            dimension.dim_value = side
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        shapes = {
            value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        } | {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        quantised = {
            name
            for node in graph.node
            if node.op_type in ("QuantizeLinear", "DequantizeLinear")
            for name in (node.input[0], node.output[0])
        }
        # A ReLU runs in its convolution, and what it gives is what is written.
        relus = {node.input[0]: node.output[0] for node in graph.node if node.op_type == "Relu"}
        by_bucket[name] = [
            _Convolution(
                shapes[node.input[1]],
                shapes[node.input[0]],
                shapes[node.output[0]],
                bytes_in=1 if node.input[0] in quantised else 4,
                bytes_out=1 if relus.get(node.output[0], node.output[0]) in quantised else 4,
            )
            for node in graph.node
            if node.op_type == "Conv"
        ]
    return _cost(by_bucket)
