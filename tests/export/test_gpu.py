"""What is said of a GPU, by a driver that is a real library and stands in for NVIDIA's."""

from pathlib import Path
from typing import Any

import pytest

from export import gpu
from export.errors import ExportError
from export.gpu import Gpu, cuda_version, find_gpu
from tests.export.driver import build_driver


def test_name_capability_and_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_LIBRARY", str(build_driver(tmp_path, capability="12.0")))
    monkeypatch.setattr(gpu, "_VERSION_FILE", tmp_path / "version")
    assert find_gpu() == Gpu("Stand-in RTX 4090", "12.0", "CUDA 12.8")
    assert find_gpu().key == "Stand-in RTX 4090, compute capability 12.0"
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.10  Wed Jan 15 20:22:39 UTC 2025\n"
        "GCC version:  gcc version 12.2.0\n"
    )
    assert find_gpu().driver == "570.86.10, CUDA 12.8"


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"result": 100}, "finds no GPU; check CUDA_VISIBLE_DEVICES"),
        ({"result": 34}, "finds no GPU"),
        ({"count": 0}, "finds no GPU"),
        ({"result": 999}, r"does not start \(CUDA error 999\)"),
    ],
)
def test_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(gpu, "_LIBRARY", str(build_driver(tmp_path, **says)))
    with pytest.raises(ExportError, match=message):
        find_gpu()


def test_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_LIBRARY", str(tmp_path / "absent.so"))
    with pytest.raises(ExportError, match="no NVIDIA driver here; install it, or run on the CPU"):
        find_gpu()


def test_cuda_counts_in_thousands() -> None:
    assert cuda_version(12040) == "12.4" and cuda_version(11080) == "11.8"
