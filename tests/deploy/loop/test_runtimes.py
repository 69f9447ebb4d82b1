"""The choice of an engine: what is taken, why, and what is said when it can't be."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.errors import EngineError
from deploy.loop import cuda, runtimes
from deploy.loop.engine import load_engine
from deploy.loop.runtimes import ENGINES, Choice, choose, missing
from export import gpu
from tests.deploy.loop.host_gpu import HostCuda
from tests.export.driver import build_driver


@pytest.fixture
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_LIBRARY", str(tmp_path / "absent.so"))
    runtimes._no_gpu.cache_clear()


@pytest.fixture
def a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for one finds one; nothing can run on it."""
    monkeypatch.setattr(gpu, "_LIBRARY", str(build_driver(tmp_path)))
    runtimes._no_gpu.cache_clear()


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch):
    yield
    runtimes._no_gpu.cache_clear()


def has(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: name in modules or None)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_is_taken_and_it_is_said_why(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    choice = choose("auto")
    assert choice.name == "onnxruntime"
    assert choice.why == (
        "the first that can run here; not tensorrt, tensorrt-rtx, onnxruntime-cuda, "
        "onnxruntime-tensorrt: no NVIDIA driver here"
    )
    assert load_engine(model).name.startswith("onnxruntime ")
    has(monkeypatch, "openvino")
    assert choose("openvino") == Choice("openvino", "as told")
    assert choose("auto").name == "openvino"
    assert choose("auto").why.endswith("not onnxruntime: not installed")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("engine", ENGINES[:4])
def test_an_engine_that_needs_a_gpu_is_not_replaced(engine: str, model: Path) -> None:
    with pytest.raises(EngineError, match=f"--engine {engine}: no NVIDIA driver here; install it"):
        load_engine(model, engine=engine)


@pytest.mark.usefixtures("a_gpu")
def test_what_a_gpu_needs_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch)
    assert missing("tensorrt") == f"not installed; {runtimes.REMEDIES['tensorrt']}"
    has(monkeypatch, "tensorrt_rtx", "onnxruntime")
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    assert "; install octoview[gpu]" in str(missing("tensorrt-rtx"))
    monkeypatch.setattr(cuda, "import_module", lambda name: HostCuda())
    assert missing("tensorrt-rtx") is None
    assert choose("auto").name == "tensorrt-rtx"
    assert "not tensorrt: not installed" in choose("auto").why


@pytest.mark.usefixtures("a_gpu")
def test_a_provider_that_this_onnxruntime_lacks() -> None:
    import onnxruntime as ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this onnxruntime has the provider")
    with pytest.raises(EngineError, match="was built without it; pip"):
        choose("onnxruntime-cuda")


def test_unknown_and_absent_engines_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="--engine onyx: unknown; choose auto, tensorrt"):
        choose("onyx")
    has(monkeypatch, "onnxruntime")
    with pytest.raises(EngineError, match="--engine openvino: not installed; pip install"):
        choose("openvino")


def test_the_lists_agree() -> None:
    assert {*runtimes.MODULES, *runtimes.PROVIDERS, "openvino"} == set(ENGINES)
    assert find_spec("onnxruntime") is not None
