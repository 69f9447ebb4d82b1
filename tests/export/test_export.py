"""The parity gate passes a faithful file, and stops every kind of unfaithful one."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.errors import ExportError
from export.export import export_onnx, onnxruntime_infer, texture_batches
from export.onnx_file import write_onnx
from export.parity import Outputs, check_parity
from perception.checkpoint import load_tensors, save_network, save_tensors
from perception.network import OctoNet
from perception.spec import PRESETS, SPEC_HASH_KEY, SPEC_KEY, TRAINED_ON_KEY, Bucket, ModelSpec

SPEC = PRESETS["nano"].model_copy(
    update={
        "buckets": {"large": Bucket(width=128, height=96), "small": Bucket(width=96, height=64)}
    }
)


@pytest.fixture(scope="module")
def network() -> OctoNet:
    torch.manual_seed(0)
    network = OctoNet(SPEC)
    for head in (network.heat, network.box, network.ground):
        torch.nn.init.normal_(head.weight, std=0.05)  # as lively as a trained head
    with torch.no_grad():  # settle batch norm, or activations explode
        for _ in range(20):
            network(torch.randn(2, 3, 64, 96))
    return network.eval()


@pytest.fixture(scope="module")
def onnx_path(network: OctoNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "nano.onnx"
    write_onnx(network, path)
    return path


def test_reloaded_file_carries_spec_names_and_shapes(onnx_path: Path) -> None:
    model = onnx.load(onnx_path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert ModelSpec.from_json(metadata[SPEC_KEY]) == SPEC
    assert metadata[SPEC_HASH_KEY] == SPEC.hash
    for value, tensor in zip(model.graph.output, SPEC.outputs, strict=True):
        dims = value.type.tensor_type.shape.dim
        assert value.name == tensor.name
        assert tuple(d.dim_value or d.dim_param for d in dims) == tensor.shape


def test_faithful_file_passes_in_every_bucket(network: OctoNet, onnx_path: Path) -> None:
    parity = check_parity(network, onnxruntime_infer(onnx_path), texture_batches(SPEC))
    assert parity.failures == ()
    assert parity.images == 8
    assert parity.objects_matched == parity.objects == 8 * SPEC.top_k // 4


def test_batch_size_and_image_size_are_free(network: OctoNet, onnx_path: Path) -> None:
    infer = onnxruntime_infer(onnx_path)
    for batch, height, width in ((1, 64, 64), (3, 100, 132)):
        images = torch.randn(batch, 3, height, width)
        with torch.no_grad():
            expected = network(images)["scene"].numpy()
        np.testing.assert_allclose(infer(images.numpy())["scene"], expected, atol=5e-3)


def _shifted(outputs: Outputs) -> Outputs:
    return outputs | {"scene": outputs["scene"] + 0.1}


def _wrong_classes(outputs: Outputs) -> Outputs:
    return outputs | {"labels": (outputs["labels"] + 1) % 3}


def _moved_boxes(outputs: Outputs) -> Outputs:
    return outputs | {"boxes": outputs["boxes"] + 1}


def _not_a_number(outputs: Outputs) -> Outputs:
    return outputs | {"scores": outputs["scores"] * np.nan}


def _swapped_cameras(outputs: Outputs) -> Outputs:
    return {name: value[::-1] for name, value in outputs.items()}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (_shifted, "logits differ"),
        (_wrong_classes, "not matched"),
        (_moved_boxes, "not matched"),
        (_not_a_number, "not finite"),
        (_swapped_cameras, "alone differs"),
    ],
)
def test_unfaithful_outputs_are_stopped(
    network: OctoNet, onnx_path: Path, fault, message: str
) -> None:
    infer = onnxruntime_infer(onnx_path)
    parity = check_parity(network, lambda x: fault(infer(x)), texture_batches(SPEC))
    assert any(message in failure for failure in parity.failures)


def test_constant_outputs_are_stopped(network: OctoNet, onnx_path: Path) -> None:
    infer = onnxruntime_infer(onnx_path)
    batch = next(iter(texture_batches(SPEC)))
    kept = infer(batch)

    def constant(images: np.ndarray) -> Outputs:
        return {name: value[: len(images)] for name, value in kept.items()}

    parity = check_parity(network, constant, [batch])
    assert any("changed image does not change" in failure for failure in parity.failures)


def test_export_leaves_a_file_only_when_the_gate_passes(
    network: OctoNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, path = tmp_path / "nano.safetensors", tmp_path / "nano.onnx"
    save_network(network, checkpoint)
    other = tmp_path / "other.onnx"
    torch.manual_seed(1)
    write_onnx(OctoNet(SPEC), other)  # weights of another network: the file to catch
    with monkeypatch.context() as patch:
        patch.setattr(
            "export.export.write_onnx", lambda _, target, __: target.write_bytes(other.read_bytes())
        )
        assert export_onnx(checkpoint, path)["onnxruntime"].failures
        assert sorted(p.name for p in tmp_path.iterdir()) == ["nano.safetensors", "other.onnx"]
    assert export_onnx(checkpoint, path)["onnxruntime"].failures == ()
    assert path.is_file()


def test_folder_that_is_not_there_is_named(network: OctoNet, tmp_path: Path) -> None:
    checkpoint = tmp_path / "nano.safetensors"
    save_network(network, checkpoint)
    with pytest.raises(ExportError, match="no such folder"):
        export_onnx(checkpoint, tmp_path / "absent" / "nano.onnx")


def test_training_images_go_along(network: OctoNet, tmp_path: Path) -> None:
    checkpoint, path = tmp_path / "nano.safetensors", tmp_path / "nano.onnx"
    save_network(network, checkpoint)
    tensors, header = load_tensors(checkpoint)
    save_tensors(tensors, header | {TRAINED_ON_KEY: "0123456789abcdef"}, checkpoint)
    assert export_onnx(checkpoint, path)["onnxruntime"].failures == ()
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert metadata[TRAINED_ON_KEY] == "0123456789abcdef"
    assert ModelSpec.from_json(metadata[SPEC_KEY]) == SPEC
