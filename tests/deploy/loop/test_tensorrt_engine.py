"""Engines on a GPU: on a stand-in that computes on the CPU, and with NVIDIA's own libraries as far
as they go without a driver."""

import gc
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from calib.rig import Rig
from deploy.errors import EngineError
from deploy.log.reader import EncodedImage
from deploy.loop import cuda as cuda_module
from deploy.loop import runtimes, tensorrt_engine
from deploy.loop.engine import load_engine
from deploy.loop.frames import EncodedSet
from deploy.loop.pipeline import Pipeline
from deploy.loop.runtimes import missing
from deploy.loop.tensorrt_engine import TensorRtEngine
from export.tensorrt_file import write_engine
from export.tensorrt_target import ahead_of_time
from perception.spec import ModelSpec
from tests.deploy.loop.host_gpu import (
    HERE,
    KEY,
    HostCuda,
    counted,
    engine_file,
    host_tensorrt,
)
from tests.export.driver import build_driver

ROOT = Path(__file__).resolve().parents[3]
Images = dict[str, bytes]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> HostCuda:
    host = HostCuda()
    monkeypatch.setattr(tensorrt_engine, "find_gpu", lambda: HERE)
    monkeypatch.setattr(tensorrt_engine, "load_runtime", lambda name: host_tensorrt(host))
    monkeypatch.setattr(cuda_module, "import_module", lambda name: host)
    return host


@pytest.fixture
def file(tmp_path: Path, model: Path, spec: ModelSpec) -> Path:
    return engine_file(tmp_path / "made.engine", model, spec)


def images(spec: ModelSpec, bucket: str, n: int = 4, seed: int = 0) -> np.ndarray:
    size = spec.bucket(bucket)
    shape = (n, 3 * spec.frames, size.height, size.width)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def same(a: dict, b: dict) -> bool:
    return {k: v.tobytes() for k, v in a.items()} == {k: v.tobytes() for k, v in b.items()}


def test_what_the_gpu_is_given_and_gives(
    gpu: HostCuda, file: Path, model: Path, spec: ModelSpec
) -> None:
    engine = TensorRtEngine(file, "tensorrt-rtx")
    assert engine.spec == spec and "fp32 on Stand-in RTX 4090" in engine.name
    reference = load_engine(model, engine="onnxruntime")
    for bucket in spec.buckets:
        for n in (1, 4):
            batch = images(spec, bucket, n)
            first = engine.infer(batch)
            assert same(first, reference.infer(batch))
            assert list(first) == [tensor.name for tensor in spec.outputs]
            changed = engine.infer(images(spec, bucket, n, seed=1))
            assert not same(first, changed), "and the first result is the caller's own"


def test_a_tick_is_one_launch_a_bucket_and_no_allocation(
    gpu: HostCuda, file: Path, rig: Rig, ticks: list[Images]
) -> None:
    pipeline = Pipeline(rig, TensorRtEngine(file, "tensorrt-rtx"))

    def tick(index: int) -> None:
        frames = {n: EncodedImage(n, index, data, "jpeg") for n, data in ticks[index].items()}
        pipeline.tick(EncodedSet(index, index, frames, frozenset()))

    with counted(gpu) as made:
        tick(0)
    assert made["cudaGraphInstantiate"] == 0, "all was made with the pipeline"
    with counted(gpu) as made:
        tick(1)
    assert made == {"cudaGraphLaunch": 2, "cudaStreamSynchronize": 2}


def test_the_loop_gives_what_it_gives_on_the_cpu(
    gpu: HostCuda, file: Path, model: Path, rig: Rig, ticks: list[Images]
) -> None:
    engines = TensorRtEngine(file, "tensorrt-rtx"), load_engine(model, engine="onnxruntime")
    pipelines = [Pipeline(rig, engine) for engine in engines]
    for index, seen in enumerate(ticks):
        frames = {n: EncodedImage(n, index, data, "jpeg") for n, data in seen.items()}
        one, other = (
            pipeline.tick(EncodedSet(index, index, frames, frozenset())) for pipeline in pipelines
        )
        assert one.ego.objects == other.ego.objects and one.ego.objects
        for name in rig.names:
            assert one.cameras[name].scene.tobytes() == other.cameras[name].scene.tobytes()


def test_buckets_are_under_way_together(
    gpu: HostCuda, file: Path, model: Path, spec: ModelSpec
) -> None:
    engine, reference = TensorRtEngine(file, "tensorrt-rtx"), load_engine(model)
    batches = [images(spec, bucket) for bucket in spec.buckets]
    pending = [engine.submit(batch) for batch in batches]
    assert sum(bool(steps) for steps in gpu.streams.values()) == 2
    for batch, call in reversed(list(zip(batches, pending, strict=True))):
        assert same(call.result(), reference.infer(batch))


def test_memory_goes_with_the_engine(gpu: HostCuda, file: Path, spec: ModelSpec) -> None:
    engine = TensorRtEngine(file, "tensorrt-rtx")
    filled = engine.allocate(images(spec, "small").shape)
    assert not filled.any() and gpu.memory and gpu.streams and gpu.graphs
    del engine
    gc.collect()
    assert not gpu.streams and not gpu.graphs
    assert len(gpu.memory) == 1, "what somebody still holds"
    filled[:] = 1
    del filled
    assert not gpu.memory


def test_images_that_no_plan_is_for(gpu: HostCuda, file: Path, spec: ModelSpec) -> None:
    engine = TensorRtEngine(file, "tensorrt-rtx")
    for shape in ((1, 3, 64, 96), (17, 3, 240, 320), (1, 6, 240, 320)):
        with pytest.raises(EngineError, match="its plans are for 640x480, 320x240 and at most 16"):
            engine.infer(np.zeros(shape, np.float32))


@pytest.mark.parametrize("call", ["cudaHostAlloc", "cudaGraphLaunch", "cudaStreamSynchronize"])
def test_a_call_that_fails_is_one_line(
    gpu: HostCuda, file: Path, spec: ModelSpec, call: str
) -> None:
    engine = TensorRtEngine(file, "tensorrt-rtx")
    gpu.failing = call
    with pytest.raises(EngineError, match=rf"GPU: {call}: unspecified launch failure \(cuda"):
        engine.infer(images(spec, "small", 1))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("version", "1.6.0.1", "version 1.6.0.1, not 1.7.1.116"),
        ("gpu", "Other GPU, compute capability 8.9", "gpu Other GPU"),
        ("gpu", "compute capability 12.0 12.1", "gpu compute capability 12.0 12.1, not Stand-in"),
        ("driver", "535.1, CUDA 12.2", "driver 535.1, CUDA 12.2, not 570.86.10"),
        ("runtime", "tensorrt", "runtime tensorrt, not tensorrt_rtx"),
    ],
)
def test_an_engine_file_of_elsewhere_is_refused(
    gpu: HostCuda,
    tmp_path: Path,
    model: Path,
    spec: ModelSpec,
    field: str,
    value: str,
    words: str,
) -> None:
    path = engine_file(tmp_path / "old.engine", model, spec, replace(KEY, **{field: value}))
    with pytest.raises(EngineError, match=r"old\.engine: can't run here \(") as caught:
        TensorRtEngine(path, "tensorrt-rtx")
    assert words in str(caught.value) and "export it again on this machine" in str(caught.value)


def test_one_that_was_built_ahead_of_time_runs_on_its_gpus(
    gpu: HostCuda, tmp_path: Path, model: Path, spec: ModelSpec
) -> None:
    key = replace(KEY, gpu="compute capability 8.9 12.0", driver="any")
    path = engine_file(tmp_path / "ahead.engine", model, spec, key)
    assert TensorRtEngine(path, "tensorrt-rtx").infer(images(spec, "small", 1))


def test_plans_that_do_not_load_or_are_not_the_spec_s(
    gpu: HostCuda, tmp_path: Path, model: Path, spec: ModelSpec
) -> None:
    metadata = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    path = tmp_path / "bad.engine"
    write_engine(path, KEY, metadata, dict.fromkeys(spec.buckets, b""))
    with pytest.raises(EngineError, match="can't load the plan of bucket 'large': the plan is emp"):
        TensorRtEngine(path, "tensorrt-rtx")
    free_sides = model.read_bytes()
    write_engine(path, KEY, metadata, dict.fromkeys(spec.buckets, free_sides))
    with pytest.raises(EngineError, match=r"input 'images' is float32 Nx3xNxN, its spec says"):
        TensorRtEngine(path, "tensorrt-rtx")


def command(*words: object, driver: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`octoview` in a process of its own, `driver` being the folder of a libcuda."""
    libraries = {} if driver is None else {"LD_LIBRARY_PATH": str(driver)}
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **libraries},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def real_file(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Built by TensorRT-RTX itself, for compute capability 8.9."""
    pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")
    from export.tensorrt import build_engine
    from export.tensorrt_runtime import load_runtime

    path = tmp_path_factory.mktemp("real") / "real.engine"
    build_engine(model, path, ahead_of_time(load_runtime("tensorrt-rtx"), "fp32", ["8.9"]))
    return path


@pytest.mark.skipif(missing("tensorrt-rtx") is None, reason="a GPU is here")
def test_without_a_driver(real_file: Path, model: Path) -> None:
    for path in (real_file, model):
        with pytest.raises(EngineError, match="no NVIDIA driver here"):
            TensorRtEngine(path, "tensorrt-rtx")
    with pytest.raises(EngineError, match="--engine tensorrt-rtx: no NVIDIA driver here"):
        load_engine(real_file)


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"cuda": 11040}, "serves CUDA 11.4, cuda-bindings needs 12 or later; update the driver"),
        ({"result": 100}, "--engine tensorrt-rtx: the NVIDIA driver finds no GPU"),
    ],
)
def test_up_to_the_driver(
    real_file: Path, log: Path, tmp_path: Path, says: dict, message: str
) -> None:
    """NVIDIA's own runtime, TensorRT-RTX and plan; only the driver stands in."""
    pytest.importorskip("cuda.bindings", reason="pip install octoview[gpu]")
    build_driver(tmp_path, **says)
    done = command(
        *("replay", log, "--model", real_file, "--out", tmp_path / "out"), driver=tmp_path
    )
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    [line] = [line for line in done.stderr.splitlines() if line.startswith("octoview: ")]
    assert message in line


@pytest.mark.skipif(missing("tensorrt-rtx") is not None, reason=str(missing("tensorrt-rtx")))
def test_on_a_gpu(model: Path, spec: ModelSpec) -> None:
    """Never run yet: no GPU was at hand."""
    engine = TensorRtEngine(model, "tensorrt-rtx")
    reference = load_engine(model, engine="onnxruntime")
    for bucket in spec.buckets:
        batch = images(spec, bucket)
        np.testing.assert_allclose(
            engine.infer(batch)["scene"], reference.infer(batch)["scene"], atol=0.5
        )


def test_an_engine_file_chooses_its_runtime(
    file: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "missing", lambda name: None)
    assert runtimes.choose("auto", file).name == "tensorrt-rtx"
    with pytest.raises(EngineError, match="is an engine file of tensorrt_rtx, not for --engine o"):
        runtimes.choose("openvino", file)
