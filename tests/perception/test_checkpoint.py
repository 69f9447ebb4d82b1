"""Weights on disk: what was written is what is loaded, or nothing is."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from perception.checkpoint import load_tensors, save_tensors
from perception.errors import CheckpointError
from perception.spec import CHECKSUM_KEY

TENSORS = {"a": torch.arange(12, dtype=torch.float32).reshape(3, 4), "b": torch.tensor([7])}
HEADER = {"octoview.note": "of a test"}
WEIGHTS = Path(__file__).parents[2] / "perception" / "weights"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "weights.safetensors"
    save_tensors(TENSORS, HEADER, path)
    return path


def test_what_was_written_is_loaded(saved: Path) -> None:
    tensors, header = load_tensors(saved)
    assert header == HEADER and tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@given(st.data())
def test_no_changed_bit_of_a_weight_is_loaded(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(saved.read_bytes())
    first = 8 + int.from_bytes(content[:8], "little")
    content[data.draw(st.integers(first, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    damaged = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    damaged.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged\.safetensors: damaged: its SHA-256 is"):
        load_tensors(damaged)


def test_another_header_is_not_loaded(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(saved.read_bytes().replace(b"of a test", b"of a rest"))
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_tensors(path)


def test_weights_of_another_tool_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    save_file(TENSORS, path, metadata=HEADER)
    assert load_tensors(path)[1] == HEADER


@pytest.mark.parametrize("name", ["nano", "surround"])
def test_shipped_weights_say_what_they_are(name: str) -> None:
    content = (WEIGHTS / f"{name}.safetensors").read_bytes()
    assert f'"{CHECKSUM_KEY}":'.encode() in content[: int.from_bytes(content[:8], "little")]
    load_tensors(WEIGHTS / f"{name}.safetensors")
