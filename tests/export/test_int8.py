"""INT8 on a small network: what it must keep, what it must refuse, and what stops it."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import perception
from export.accuracy import AccuracyChange
from export.errors import ExportError
from export.export import Likeness, export_int8, onnxruntime_infer, texture_batches
from export.int8 import (
    find_ranges,
    insert_pairs,
    layer_groups,
    quantise,
    to_signed,
)
from export.onnx_file import write_onnx
from perception.checkpoint import save_network
from perception.data.normalise import normalise
from perception.network import OctoNet
from perception.spec import (
    PRESETS,
    QUANTISATION_KEY,
    SPEC_HASH_KEY,
    SPEC_KEY,
    TRAINED_ON_KEY,
    Bucket,
)

SPEC = PRESETS["nano"].model_copy(
    update={
        "width_multiplier": 0.125,
        "decoder_channels": 16,
        "buckets": {"large": Bucket(width=96, height=64), "small": Bucket(width=64, height=96)},
    }
)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(8, 3, *side)).astype(np.float32) for side in ((64, 96), (96, 64))]


@pytest.fixture(scope="module")
def network() -> OctoNet:
    torch.manual_seed(0)
    network = OctoNet(SPEC)
    with torch.no_grad():  # settle batch norm, or activations explode
        for _ in range(20):
            network(torch.randn(2, 3, 64, 96))
    return network.eval()


@pytest.fixture(scope="module")
def model(network: OctoNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "nano.onnx"
    write_onnx(network, path, {TRAINED_ON_KEY: "0123456789abcdef"})
    return path


@pytest.fixture(scope="module")
def int8(model: Path, images: list[np.ndarray]) -> Path:
    path = model.with_name("int8.onnx")
    insert_pairs(model, path, find_ranges(model, images, "minmax"))
    return path


@pytest.fixture(scope="module")
def shipped() -> Path:
    """Trained: through a network of random weights, rounding grows beyond what is telling."""
    return Path(perception.__path__[0]) / "weights" / "nano.onnx"


@pytest.fixture(scope="module")
def texture() -> np.ndarray:
    return list(texture_batches(PRESETS["nano"]))[-1]


@pytest.fixture(scope="module")
def shipped_int8(
    shipped: Path, texture: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("int8") / "nano.int8.onnx"
    insert_pairs(shipped, path, find_ranges(shipped, [texture], "minmax"))
    return path


def scene(path: Path, images: np.ndarray) -> np.ndarray:
    return onnxruntime_infer(path)(images)["scene"]


def spread(error: np.ndarray, of: np.ndarray) -> float:
    return float(np.abs(error).mean() / of.std())


def test_only_what_runtimes_take(int8: Path) -> None:
    graph = onnx.load(int8).graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            zero = constants[node.input[2]]
            assert not zero.any()
            assert zero.dtype == (np.int8 if node.input[0] == "images" else np.uint8)
        elif node.op_type == "Conv":
            assert made_by[node.input[0]].op_type == "DequantizeLinear"
            weight = made_by[node.input[1]]
            assert constants[weight.input[1]].size == constants[weight.input[0]].shape[0]
            assert constants[node.input[2]].dtype == np.float32
        elif node.op_type in ("TopK", "Sigmoid", "GatherElements"):
            assert all(made_by[i].op_type != "DequantizeLinear" for i in node.input if i in made_by)


def test_close_to_float_and_a_wrong_range_is_not(
    shipped: Path, texture: np.ndarray, tmp_path: Path
) -> None:
    expected = scene(shipped, texture)
    ranges = dict(find_ranges(shipped, [texture], "minmax"))
    path = tmp_path / "int8.onnx"
    insert_pairs(shipped, path, ranges)
    assert 0 < spread(scene(path, texture) - expected, expected) < 0.1
    low, high = ranges["images"]
    insert_pairs(shipped, path, ranges | {"images": (low / 10, high / 10)})
    assert spread(scene(path, texture) - expected, expected) > 0.3


def test_openvino_computes_what_onnxruntime_computes(
    shipped_int8: Path, texture: np.ndarray
) -> None:
    """Not so with int8 in place of uint8, where concatenated ReLUs are taken for unsigned."""
    openvino = pytest.importorskip("openvino", reason="pip install openvino")
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    expected = scene(shipped_int8, texture)
    actual = openvino.Core().compile_model(shipped_int8, "CPU", options)(texture)["scene"]
    assert spread(actual - expected, expected) < 0.05


def test_signed_form_has_the_same_ranges(
    shipped_int8: Path, texture: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "signed.onnx"
    signed = to_signed(onnx.load(shipped_int8))
    onnx.save(signed, path)
    types = {c.data_type for c in signed.graph.initializer}
    assert onnx.TensorProto.UINT8 not in types and onnx.TensorProto.INT8 in types
    expected = scene(shipped_int8, texture)
    assert 0 < spread(scene(path, texture) - expected, expected) < 0.2


def test_the_judge_chooses_and_facts_go_along(
    model: Path, images: list[np.ndarray], tmp_path: Path
) -> None:
    groups = layer_groups(onnx.load(model))
    hurt = next(iter(groups))

    def judge(path: Path) -> float:
        made_by = {name: n for n in onnx.load(path).graph.node for name in n.output}
        first = next(n for n in made_by.values() if n.name == groups[hurt][0])
        return float(first.input[0] not in made_by)  # its input comes straight from outside

    path = tmp_path / "int8.onnx"
    result = quantise(model, path, images, SPEC, judge)
    assert result.in_float == (hurt,) and result.images == 16
    assert judge(path) == 1.0
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert metadata[SPEC_KEY] == SPEC.to_json() and metadata[SPEC_HASH_KEY] == SPEC.hash
    assert metadata[TRAINED_ON_KEY] == "0123456789abcdef"
    assert json.loads(metadata[QUANTISATION_KEY])["in_float"] == [hurt]


def test_likeness_falls_with_the_error(
    model: Path, int8: Path, images: list[np.ndarray], tmp_path: Path
) -> None:
    judge = Likeness(onnxruntime_infer(model), images, len(SPEC.scene_classes))
    assert judge(model) == 1.0
    rough = {
        name: (4 * low, 4 * high)
        for name, (low, high) in find_ranges(model, images, "minmax").items()
    }
    insert_pairs(model, tmp_path / "rough.onnx", rough)
    assert judge(tmp_path / "rough.onnx") < judge(int8) < 1.0


def test_too_few_or_black_images_are_refused(
    model: Path, images: list[np.ndarray], tmp_path: Path
) -> None:
    out = tmp_path / "int8.onnx"
    with pytest.raises(ExportError, match="8 of 8 images"):
        quantise(model, out, images[:1], SPEC, lambda path: 0.0)
    black = np.stack([normalise(np.full((64, 96, 3), 3, np.uint8), SPEC)] * 16)
    with pytest.raises(ExportError, match="0 of 16 images show something"):
        quantise(model, out, [black], SPEC, lambda path: 0.0)
    assert not out.exists()


def test_a_failed_gate_leaves_no_file(
    network: OctoNet, images: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, out = tmp_path / "nano.safetensors", tmp_path / "int8.onnx"
    save_network(network, checkpoint)
    enough = [np.concatenate([batch, 0.5 * batch]) for batch in images]

    def upside_down(path: Path):
        infer = onnxruntime_infer(path)
        return lambda batch: infer(np.ascontiguousarray(batch[:, :, ::-1]))

    result = export_int8(checkpoint, out, enough, [], {"broken": upside_down})
    assert any("scene classes agree" in failure for failure in result.failures)
    assert [path.name for path in tmp_path.iterdir()] == ["nano.safetensors"]


@pytest.mark.parametrize(
    ("mean_iou", "map50", "lost"),
    [
        ((0.686, 0.680), (0.60, 0.59), []),
        ((0.686, 0.670), (0.60, 0.59), ["mean_iou falls from 0.686 to 0.670"]),
        ((0.686, 0.700), (0.60, 0.58), ["map50 falls from 0.600 to 0.580"]),
        ((0.686, 0.670), (float("nan"), float("nan")), ["mean_iou falls"]),
    ],
)
def test_what_may_be_lost(mean_iou, map50, lost: list[str]) -> None:
    failures = AccuracyChange("CamVid", 101, mean_iou, map50).failures
    assert len(failures) == len(lost)
    assert all(text in failure for text, failure in zip(lost, failures, strict=True))


def test_tensorrt_rtx_builds_it_in_its_signed_form(shipped_int8: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")
    from export.tensorrt import build_engine
    from export.tensorrt_runtime import load_runtime
    from export.tensorrt_target import ahead_of_time

    target = ahead_of_time(load_runtime("tensorrt-rtx"), "int8", ["8.9"])
    key = build_engine(shipped_int8, tmp_path / "nano.engine", target)
    assert key.precision == "int8" and (tmp_path / "nano.engine").stat().st_size > 1e6
