"""The cache of plans: built once for a key, never trusted for another.

TensorRT-RTX itself builds the plans; a stand-in says what GPU and driver are here.
"""

import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from export import tensorrt_cache
from export.cache import cache_folder
from export.errors import ExportError
from export.gpu import Gpu
from export.tensorrt import build_engine
from export.tensorrt_cache import cached_engine, natural_precision
from export.tensorrt_file import EngineFile, read_engine
from export.tensorrt_runtime import load_runtime
from export.tensorrt_target import ahead_of_time, this_machine
from perception.spec import PRESETS, QUANTISATION_KEY
from tests.deploy.stand_in import write_model

pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")
WEIGHTS = Path(tensorrt_cache.__file__).parents[1] / "perception" / "weights"
HERE = Gpu("Stand-in RTX 4090", "8.9", "570.86.10, CUDA 12.8")


@pytest.fixture(scope="module")
def rtx() -> ModuleType:
    return load_runtime("tensorrt-rtx")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "octoview"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "mine.onnx", PRESETS["nano"])


def take(model: Path, rtx: ModuleType, gpu: Gpu = HERE) -> tuple[EngineFile, list[str]]:
    """The engine file, and what was said."""
    said: list[str] = []
    return cached_engine(model, rtx, gpu, said.append), said


def test_built_once_and_again_when_anything_changes(
    rtx: ModuleType, model: Path, cache: Path
) -> None:
    first, said = take(model, rtx)
    assert "building it" in said[0] and first.path.parent == cache
    assert first.spec == PRESETS["nano"] and first.key.precision == "fp16"
    assert (first.key.gpu, first.key.driver) == (HERE.key, HERE.driver)
    before = first.path.stat().st_mtime_ns
    again, said = take(model, rtx)
    assert said == [] and again.path == first.path and again.path.stat().st_mtime_ns == before
    newer, said = take(model, rtx, replace(HERE, driver="580.1, CUDA 13.0"))
    assert said and newer.path != first.path
    assert newer.key.differences(first.key) == [f"driver 580.1, CUDA 13.0, not {HERE.driver}"]
    assert {path.name for path in cache.iterdir()} == {first.path.name, newer.path.name}


def test_a_file_under_the_right_name_is_not_trusted_for_it(
    rtx: ModuleType, model: Path, cache: Path
) -> None:
    first, _ = take(model, rtx)
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[: len(whole) // 2])
    found, said = take(model, rtx)
    assert "is no engine file that can be read" in said[0] and found.key == first.key
    build_engine(model, first.path, ahead_of_time(rtx, "fp32", ["12.0"]))
    found, said = take(model, rtx)
    assert "is for another (precision fp32, not fp16; gpu compute" in said[0]
    assert found.key == first.key and read_engine(first.path).key == first.key


def test_a_build_that_fails_leaves_nothing(
    rtx: ModuleType, model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = model.with_name("bare.onnx")
    import onnx

    loaded = onnx.load(model)
    del loaded.metadata_props[:]
    onnx.save(loaded, bare)
    for path, message in ((bare, "has no 'octoview.spec'"), (model.with_name("no"), "no such mo")):
        with pytest.raises(ExportError, match=message):
            take(path, rtx)
    assert list(cache.iterdir()) == []
    with pytest.raises(ExportError, match=r"compute capability 9\.0: .* builds for 7\.5"):
        take(model, rtx, Gpu("H100", "9.0", "any"))


def test_the_precision_of_a_file() -> None:
    assert natural_precision((WEIGHTS / "nano.onnx").read_bytes()) == "fp16"
    quantised = (WEIGHTS / "nano.int8.onnx").read_bytes()
    assert QUANTISATION_KEY.encode() in quantised and natural_precision(quantised) == "int8"


def test_a_folder_that_can_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ExportError, match=r"can't be made .*set XDG_CACHE_HOME"):
        cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    assert cache_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_timings_are_kept_and_a_foreign_file_is_begun_anew(
    rtx: ModuleType, model: Path, tmp_path: Path
) -> None:
    """TensorRT-RTX takes the calls, though it has nothing to time."""
    target = replace(this_machine(rtx, "fp32", HERE), timings=tmp_path / "timings.bin")
    build_engine(model, tmp_path / "made.engine", target)
    assert target.timings is not None
    kept = target.timings.read_bytes()
    assert kept
    target.timings.write_bytes(b"something else" * 100)
    build_engine(model, tmp_path / "made.engine", target)
    assert target.timings.read_bytes() != b"something else" * 100
    with zipfile.ZipFile(tmp_path / "made.engine") as archive:
        assert archive.testzip() is None


def test_tensorrt_times_kernels_per_gpu_driver_and_release(cache: Path) -> None:
    def timings(version: str = "10.3.0", gpu: Gpu = HERE) -> Path | None:
        runtime = ModuleType("tensorrt")
        runtime.__version__ = version  # type: ignore[attr-defined]
        target = this_machine(runtime, "fp16", gpu)
        assert target.compute_capabilities == ()
        return target.timings

    assert timings() == timings()
    others = timings("10.4.0"), timings(gpu=replace(HERE, driver="x"))
    assert len({timings(), *others}) == 3
