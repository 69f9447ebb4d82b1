"""The gate of the surround head passes a faithful file and stops unfaithful ones."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.surround import check_head, export_head, onnxruntime_head, openvino_head, write_head
from perception.errors import SpecError
from perception.spec import PRESETS
from perception.surround.checkpoint import save_head
from perception.surround.network import SurroundHead
from perception.surround.spec import SurroundSpec

SPEC = SurroundSpec(x_min=-16, x_max=24, y_min=-12, y_max=12, cell=1.6, width=8)


@pytest.fixture(scope="module")
def head() -> SurroundHead:
    torch.manual_seed(1)
    head = SurroundHead(SPEC).eval()
    torch.nn.init.normal_(head.classify.weight, std=3.0)
    return head


@pytest.fixture(scope="module")
def path(head: SurroundHead, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("surround") / "head.onnx"
    write_head(head, path)
    return path


def test_a_faithful_file_passes_and_carries_its_spec(head: SurroundHead, path: Path) -> None:
    parity = check_head(head, onnxruntime_head(path))
    assert parity.failures == () and parity.largest < 1e-3
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert SurroundSpec.from_metadata(metadata) == SPEC
    shape = model.graph.output[0].type.tensor_type.shape.dim
    assert tuple(side.dim_value for side in shape) == SPEC.output.shape
    assert {node.domain for node in model.graph.node} == {""}  # standard operators only
    metadata["octoview.surround"] = metadata["octoview.surround"].replace("0.6", "0.7")
    with pytest.raises(SpecError, match="differs from its hash"):
        SurroundSpec.from_metadata(metadata)


def test_openvino_passes_too(head: SurroundHead, path: Path) -> None:
    pytest.importorskip("openvino", reason="pip install openvino")
    assert check_head(head, openvino_head(path)).failures == ()


def test_other_weights_a_constant_and_a_fixed_rig_are_stopped(
    head: SurroundHead, path: Path, tmp_path: Path
) -> None:
    infer = onnxruntime_head(path)
    torch.manual_seed(2)
    other = SurroundHead(SPEC)
    torch.nn.init.normal_(other.classify.weight, std=3.0)
    save_head(other.eval(), tmp_path / "other.safetensors")
    assert "logits differ" in check_head(other, infer).failures[0]
    first: dict[int, np.ndarray] = {}

    def baked_rig(scene: np.ndarray, lookup: np.ndarray) -> np.ndarray:
        return infer(scene, first.setdefault(len(scene), lookup))

    assert any("another calibration" in text for text in check_head(head, baked_rig).failures)
    constant = infer(np.zeros((1, 12, 8, 8), np.float32), np.zeros((1, 3, *SPEC.shape, 3), "f"))
    failures = check_head(head, lambda scene, lookup: constant).failures
    assert any("other pictures" in text for text in failures)

    def by_place(scene: np.ndarray, lookup: np.ndarray) -> np.ndarray:
        return infer(np.concatenate([scene[:1]] * len(scene)), lookup)

    assert any("order of the cameras" in text for text in check_head(head, by_place).failures)


def test_nothing_is_written_when_an_engine_differs(head: SurroundHead, tmp_path: Path) -> None:
    save_head(head, tmp_path / "head.safetensors")
    out = tmp_path / "head.onnx"

    def broken(path: Path):
        infer = onnxruntime_head(path)
        return lambda scene, lookup: infer(scene, lookup) + 0.1

    parities = export_head(tmp_path / "head.safetensors", out, {"broken": broken})
    assert parities["broken"].failures and not out.exists()
    export_head(tmp_path / "head.safetensors", out, {"onnxruntime": onnxruntime_head})
    assert out.exists() and sorted(p.name for p in tmp_path.iterdir()) == [
        "head.onnx",
        "head.safetensors",
    ]


def test_the_grid_of_the_default_spec_is_that_of_the_map() -> None:
    assert SurroundSpec().shape == (100, 150) and SurroundSpec().points().shape == (3, 100, 150, 3)
    assert PRESETS["nano"].scene_classes == SurroundSpec().scene_classes
