"""A file that is not the one of its SHA256SUMS is told apart, through links too."""

import subprocess
from pathlib import Path

import pytest

from calib.checksums import SUMS, differs
from perception.checkpoint import load_tensors
from perception.errors import CheckpointError

WEIGHTS = Path(__file__).resolve().parents[2] / "perception/weights"


def test_the_shipped_models_are_listed_and_theirs() -> None:
    """New weights? In that folder: sha256sum *.onnx *.safetensors > SHA256SUMS"""
    models = {path.name for path in WEIGHTS.iterdir() if path.suffix in (".onnx", ".safetensors")}
    listed = {line.split()[1] for line in (WEIGHTS / SUMS).read_text().splitlines()}
    assert listed == models
    assert not any(differs(WEIGHTS / name) for name in models)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.onnx").write_bytes(b"one")
    (tmp_path / "b.onnx").write_bytes(b"two")
    sums = subprocess.run(["sha256sum", "a.onnx"], cwd=tmp_path, capture_output=True, check=True)
    (tmp_path / SUMS).write_bytes(sums.stdout)
    return tmp_path


def test_one_changed_bit_is_seen(folder: Path) -> None:
    path = folder / "a.onnx"
    (folder / "link.onnx").symlink_to(path)
    assert not differs(path)
    path.write_bytes(b"onf")
    assert differs(path) and differs(folder / "link.onnx")


def test_a_file_that_nobody_listed_is_the_users_own(folder: Path) -> None:
    assert not differs(folder / "b.onnx")
    (folder / SUMS).unlink()
    assert not differs(folder / "a.onnx")


def test_changed_weights_are_not_loaded(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for name in ("surround.safetensors", SUMS):
        (tmp_path / name).write_bytes((WEIGHTS / name).read_bytes())
    path = tmp_path / "surround.safetensors"
    assert load_tensors(path)[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"surround\.safetensors: has another hash"):
        load_tensors(path)
