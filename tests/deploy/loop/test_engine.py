"""Every engine of ONNX files: real files, and files that lie."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

from deploy.errors import EngineError
from deploy.loop import onnxruntime_engine
from deploy.loop.engine import Engine, load_engine
from deploy.loop.runtimes import CPU_ENGINES, PROVIDERS, missing
from perception.spec import SPEC_HASH_KEY, SPEC_KEY, ModelSpec

Load = Callable[..., Engine]


@pytest.fixture(params=sorted({*PROVIDERS, *CPU_ENGINES}))
def load(request: pytest.FixtureRequest) -> Load:
    """load_engine with each engine that can run here."""
    if reason := missing(request.param):
        pytest.skip(f"{request.param}: {reason}")
    return partial(load_engine, engine=request.param)


def images(spec: ModelSpec, n: int = 2, seed: int = 0) -> np.ndarray:
    shape = (n, 3 * spec.frames, 64, 96)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_outputs_are_those_of_the_spec_for_any_batch_and_size(
    load: Load, model: Path, spec: ModelSpec
):
    engine = load(model, threads=1)
    assert engine.spec == spec
    for n in (1, 4):
        outputs = engine.infer(images(spec, n))
        assert list(outputs) == [tensor.name for tensor in spec.outputs]
        assert outputs["scene"].shape == (n, len(spec.scene_classes), 16, 24)
        assert outputs["boxes"].shape == (n, spec.top_k, 4)


def test_equal_input_gives_equal_bytes_and_changed_input_does_not(
    load: Load, model: Path, spec: ModelSpec
):
    engine, again = load(model), load(model)
    first = engine.infer(images(spec))
    assert {k: v.tobytes() for k, v in first.items()} == {
        k: v.tobytes() for k, v in again.infer(images(spec)).items()
    }
    assert engine.infer(images(spec, seed=1))["scene"].tobytes() != first["scene"].tobytes()


def test_an_image_gives_the_same_whatever_lies_beside_it(load: Load, model: Path, spec: ModelSpec):
    engine = load(model)
    batch = images(spec, 4)
    alone = batch.copy()
    alone[[0, 1, 3]] = 0
    for name, array in engine.infer(batch).items():
        assert array[2].tobytes() == engine.infer(alone)[name][2].tobytes()


def test_loading_leaves_this_thread_its_denormals(load: Load, model: Path, spec: ModelSpec):
    load(model).infer(images(spec))
    tiny = np.float32(1e-38)
    assert tiny * np.float32(0.01) > 0


def test_two_frame_input(load: Load, make_model: Callable[..., Path], spec: ModelSpec):
    two = spec.model_copy(update={"frames": 2})
    outputs = load(make_model(two)).infer(images(two))
    assert outputs["scene"].shape[1] == len(spec.scene_classes)


def test_missing_and_foreign_files(load: Load, tmp_path: Path):
    with pytest.raises(EngineError, match=r"absent\.onnx: no such model"):
        load(tmp_path / "absent.onnx")
    for name, content in (("empty.onnx", b""), ("text.onnx", b"hello, this is text")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EngineError, match=name):
            load(tmp_path / name)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "octoview.spec"),
        ({SPEC_KEY: "{", SPEC_HASH_KEY: "0"}, "spec"),
        ({SPEC_KEY: '{"preset": "nano"}', SPEC_HASH_KEY: "0"}, "export the model again"),
    ],
)
def test_metadata_must_be_there_and_whole(
    load: Load,
    make_model: Callable[..., Path],
    spec: ModelSpec,
    metadata: dict[str, str],
    message: str,
):
    path = make_model(spec, metadata)
    with pytest.raises(EngineError, match=message) as caught:
        load(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_a_changed_spec_no_longer_matches_its_hash(
    load: Load, make_model: Callable[..., Path], spec: ModelSpec
):
    changed = spec.model_copy(update={"score_threshold": 0.5})
    path = make_model(spec, {SPEC_KEY: changed.to_json(), SPEC_HASH_KEY: spec.hash})
    with pytest.raises(EngineError, match="spec hash"):
        load(path)
    path = make_model(spec, {SPEC_KEY: spec.to_json()})
    with pytest.raises(EngineError, match="missing"):
        load(path)


def _of(spec: ModelSpec) -> dict[str, str]:
    return {SPEC_KEY: spec.to_json(), SPEC_HASH_KEY: spec.hash}


def test_a_graph_that_differs_from_its_spec(
    load: Load, make_model: Callable[..., Path], spec: ModelSpec
):
    two = spec.model_copy(update={"frames": 2})
    with pytest.raises(EngineError, match="3 channels, its spec says 6"):
        load(make_model(spec, _of(two)))

    path = make_model(spec)
    renamed = onnx.load(path)
    renamed.graph.input[0].name = "pictures"
    renamed.graph.node[0].input[0] = "pictures"
    onnx.save(renamed, path)
    with pytest.raises(EngineError, match="inputs are pictures, its spec says images"):
        load(path)

    fewer = spec.model_copy(update={"top_k": spec.top_k // 2})
    with pytest.raises(EngineError, match=r"output 'boxes' is \(2, 64, 4\).*\(2, 32, 4\)"):
        load(make_model(spec, _of(fewer))).infer(images(spec))


def test_an_operator_that_the_runtime_lacks_is_named(
    load: Load, make_model: Callable[..., Path], spec: ModelSpec
):
    path = make_model(spec)
    odd = onnx.load(path)
    odd.graph.node[0].op_type, odd.graph.node[0].domain = "Spiral", "org.example"
    odd.opset_import.append(onnx.helper.make_opsetid("org.example", 1))
    onnx.save(odd, path)
    with pytest.raises(EngineError, match=r"made\.onnx: is no model that .*Spiral.*; export") as e:
        load(path)
    assert "\n" not in str(e.value)


def test_a_failing_run_is_one_line(load: Load, model: Path, spec: ModelSpec):
    with pytest.raises(EngineError) as caught:
        load(model).infer(np.zeros((1, 5, 64, 96), np.float32))
    assert "\n" not in str(caught.value) and model.name in str(caught.value)


def test_batches_under_way_together(load: Load, model: Path, spec: ModelSpec):
    engine = load(model)
    batches = [images(spec, n, seed=n) for n in (1, 3)]
    pending = [engine.submit(batch) for batch in batches]
    for batch, call in zip(batches, pending, strict=True):
        assert call.result()["scene"].tobytes() == engine.infer(batch)["scene"].tobytes()


def test_memory_for_images(load: Load, model: Path, spec: ModelSpec):
    engine = load(model)
    memory = engine.allocate(images(spec).shape)
    assert memory.dtype == np.float32 and not memory.any()
    memory[:] = images(spec)
    assert engine.infer(memory)["scene"].tobytes() == engine.infer(images(spec))["scene"].tobytes()


def test_engines_agree(model: Path, spec: ModelSpec):
    pytest.importorskip("openvino", reason="openvino is not installed")
    batch = images(spec)
    one, other = (load_engine(model, engine=name).infer(batch) for name in CPU_ENGINES)
    np.testing.assert_allclose(one["scene"], other["scene"], atol=1e-3)
    # A control: what is compared does depend on the images.
    changed = load_engine(model, engine=CPU_ENGINES[0]).infer(batch[::-1].copy())
    assert np.abs(changed["scene"] - other["scene"]).max() > 0.1


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("name", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_a_provider_that_does_not_load_is_never_replaced(model: Path, name: str):
    """The runtime itself takes the CPU and warns; that is an error here."""
    if PROVIDERS[name] in onnxruntime_engine.ort.get_available_providers():
        pytest.skip("this onnxruntime has the provider")
    with pytest.raises(EngineError, match="takes CPUExecutionProvider instead of"):
        onnxruntime_engine.OnnxRuntimeEngine(model, name=name)


def test_metadata_that_are_no_text_are_refused(load: Load, model: Path, tmp_path: Path):
    content = model.read_bytes()
    key = content.index(b"octoview.spec_hash")
    path = tmp_path / "m.onnx"
    path.write_bytes(content[:key] + b"\xb5" + content[key + 1 :])
    with pytest.raises(EngineError, match=r"m\.onnx: .*(no text|hash is missing|can load)"):
        load(path)
