"""Operations and parameters: by hand on a small graph, and torch and ONNX alike."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import perception
from export.onnx_file import write_onnx
from perception.cost import Cost, cost_of_network, cost_of_onnx
from perception.network import OctoNet
from perception.spec import PRESETS, Bucket

BUCKETS = {"large": Bucket(width=192, height=128), "small": Bucket(width=96, height=64)}
SPEC = PRESETS["nano"].model_copy(update={"buckets": BUCKETS})


def test_two_convolutions_by_hand(tmp_path: Path) -> None:
    """3 to 8 channels by 3x3 at stride 2, then 1x1 in two groups to 4."""
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (4, 4, 1, 1), "b2": (4,)}
    nodes = [
        helper.make_node("Conv", ["images", "w1", "b1"], ["x"], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Conv", ["y", "w2", "b2"], ["z"], group=2),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 4, "i", "j"])],
        [numpy_helper.from_array(np.zeros(s, np.float32), name) for name, s in shapes.items()],
    )
    path = tmp_path / "two.onnx"
    onnx.save(helper.make_model(graph), path)
    cost = cost_of_onnx(path, SPEC)
    cells = 96 * 64  # of the large bucket at stride 2
    assert cost.macs == {"large": cells * (8 * 27 + 4 * 4), "small": cells // 4 * (8 * 27 + 4 * 4)}
    assert cost.parameters == 8 * 27 + 8 + 4 * 4 + 4
    numbers = (8 * 27 + 3 * 128 * 192 + 8 * cells) + (4 * 4 + 8 * cells + 4 * cells)
    assert cost.traffic["large"] == 4 * numbers


def test_a_quantised_number_is_one_byte() -> None:
    weights = Path(perception.__path__[0]) / "weights"
    spec = PRESETS["nano"]
    full, int8 = (cost_of_onnx(weights / name, spec) for name in ("nano.onnx", "nano.int8.onnx"))
    assert int8.macs == full.macs and int8.parameters == full.parameters
    # All but what the last convolutions give, which stays in float.
    assert 0.25 < int8.traffic["large"] / full.traffic["large"] < 0.4


def test_torch_and_onnx_agree(tmp_path: Path) -> None:
    network = OctoNet(SPEC).eval()
    path = tmp_path / "nano.onnx"
    write_onnx(network, path)
    cost = cost_of_network(network)
    assert cost == cost_of_onnx(path, SPEC)
    assert cost.macs["large"] > 1e8 and cost.parameters > 1e6
    assert next(network.parameters()).device.type == "cpu"  # the caller's network is untouched


def test_what_only_training_uses_is_not_counted() -> None:
    network = OctoNet(SPEC)
    before = cost_of_network(network)
    network.unused = torch.nn.Conv2d(64, 64, 3)
    assert cost_of_network(network) == before
    network.scene.append(torch.nn.Conv2d(12, 12, 1))  # negative control: this one is run
    assert cost_of_network(network).parameters == before.parameters + 12 * 12 + 12


def test_mean_over_the_images_of_each_bucket() -> None:
    cost = Cost(parameters=7, macs={"large": 4_000_000_000, "small": 1_000_000_000}, traffic={})
    assert cost.gmac_per_image({"large": 1, "small": 2}) == pytest.approx(2)
    result = cost.to_json({"small": 5})
    assert result["gmac_per_image"] == 1 and result["gflop_per_image"] == 2
    assert result["gmac_by_bucket"] == {"large": 4, "small": 1} and result["parameters"] == 7
