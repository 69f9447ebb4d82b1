"""`octoview export` to engine files, through the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from deploy.commands import export as command
from deploy.loop import cuda, runtimes, tensorrt_engine
from export import gpu, tensorrt
from export.tensorrt_file import EngineKey, read_engine
from export.tensorrt_target import Target
from perception.spec import ModelSpec
from tests.deploy.command_line import Octoview, command_line
from tests.deploy.loop.host_gpu import HERE, HostCuda, engine_file, host_tensorrt

pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")
RTX = ("--engine", "tensorrt-rtx")


@pytest.fixture
def octoview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Octoview]:
    """On a machine without a GPU, whatever this one has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpu, "_LIBRARY", "absent.so")
    runtimes._no_gpu.cache_clear()
    yield command_line(monkeypatch, capsys, "export")
    runtimes._no_gpu.cache_clear()


@pytest.mark.parametrize("gpus", [("8.9 12.0",), ("8.9", "12.0"), ("8.9,12.0",)], ids=str)
@pytest.mark.parametrize("file_last", [False, True])
def test_an_onnx_file_becomes_an_engine(
    octoview: Octoview, model: Path, tmp_path: Path, gpus: tuple[str, ...], file_last: bool
) -> None:
    first, last = ((), (model,)) if file_last else ((model,), ())
    words = (*first, *RTX, "--compute-capability", *gpus, *last)
    done = octoview(*words, "--out", "made.engine", "--json", "key.json")
    assert done.code == 0, done.err
    assert "tensorrt_rtx 1" in done.out and done.out.endswith("wrote made.engine\n")
    assert "parity: not measured, since the engine can't run here: no NVIDIA driver" in done.out
    key = json.loads((tmp_path / "key.json").read_text())
    assert key["gpu"] == "compute capability 8.9 12.0"
    assert read_engine(tmp_path / "made.engine").key.gpu == key["gpu"]


@pytest.mark.parametrize("wrong", [False, True])
def test_where_the_engine_runs_it_is_compared_and_a_wrong_one_is_not_written(
    octoview: Octoview,
    model: Path,
    spec: ModelSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: bool,
) -> None:
    """On a GPU that stands in; TensorRT builds nothing here."""
    host = HostCuda()
    plan = tmp_path / "plan.onnx"
    loaded = onnx.load(model)
    if wrong:
        (bias,) = (tensor for tensor in loaded.graph.initializer if tensor.name == "b")
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias)[::-1].copy(), "b"))
    onnx.save(loaded, plan)

    def build(source: Path, out: Path, target: Target) -> EngineKey:
        engine_file(out, plan, spec, target.key(source.read_bytes()))
        return target.key(source.read_bytes())

    monkeypatch.setattr(tensorrt, "build_engine", build)
    for module in (command, tensorrt_engine):
        monkeypatch.setattr(module, "find_gpu", lambda: HERE)
    for module in (command, runtimes):
        monkeypatch.setattr(module, "missing", lambda name: None)
    monkeypatch.setattr(tensorrt_engine, "load_runtime", lambda name: host_tensorrt(host))
    monkeypatch.setattr(cuda, "import_module", lambda name: host)
    done = octoview(model, *RTX, "--out", "made.engine")
    assert "Parity of made.engine, against ONNX Runtime" in done.out
    assert (done.code, (tmp_path / "made.engine").exists()) == ((1, False) if wrong else (0, True))
    assert ("made.engine was not written" in done.out) == wrong
    assert not list(tmp_path.glob(".export-*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (RTX, "no NVIDIA driver here; name GPUs with --compute-capability, such as 8.9"),
        (("--engine", "tensorrt"), "no NVIDIA driver here; run it on the machine that it is for"),
        ((*RTX, "--compute-capability", "9.0"), "compute capability 9.0: tensorrt_rtx"),
        ((*RTX, "--compute-capability", "8.9", "--precision", "int8"), "has no Q/DQ pairs"),
        (("--precision", "fp16"), "add --engine tensorrt-rtx"),
        (("8.9",), "give one checkpoint, not 2"),
        (("--precision", "int8"), "--precision int8 starts from weights (.safetensors)"),
    ],
)
def test_bad_input_is_one_line_and_nothing_written(
    octoview: Octoview, model: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = octoview(model, *words, "--out", "made.engine")
    assert done.code == 2
    [line] = done.err.splitlines()
    assert line.startswith("octoview: ") and message in line
    assert list(tmp_path.iterdir()) == []
