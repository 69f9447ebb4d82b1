"""TensorRT-RTX plans are built without a GPU; their networks are held to the ModelSpec.

Running a plan needs a driver, so nothing here says that a plan computes what it should.
"""

import re
import zipfile
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export import tensorrt
from export.errors import ExportError
from export.int8 import find_ranges, insert_pairs
from export.onnx_file import write_onnx
from export.tensorrt import build_engine
from export.tensorrt_file import read_engine
from export.tensorrt_runtime import check_tensors, load_runtime
from export.tensorrt_target import Precision, ahead_of_time
from perception.network import OctoNet
from perception.spec import PRESETS, SPEC_KEY

pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx")


SIZES = {
    "nano": [("large", 480, 640), ("small", 240, 320)],
    "base": [("large", 960, 1280), ("small", 480, 640)],
}


def outputs(rows: int, columns: int) -> list[tuple[str, str, tuple[int, ...]]]:
    return [
        ("scene", "float32", (-1, 12, rows, columns)),
        ("boxes", "float32", (-1, 64, 4)),
        ("scores", "float32", (-1, 64)),
        ("labels", "int64", (-1, 64)),
        ("ground_points", "float32", (-1, 64, 2)),
    ]


@pytest.fixture(scope="module")
def rtx() -> ModuleType:
    return load_runtime("tensorrt-rtx")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both presets with settled random weights, and their INT8 forms: `nano`, `nano.int8`, ..."""
    folder, paths = tmp_path_factory.mktemp("models"), {}
    for name, spec in PRESETS.items():
        torch.manual_seed(0)
        network = OctoNet(spec)
        with torch.no_grad():  # settle batch norm, or activations explode
            for _ in range(10):
                network(torch.randn(2, 3, 64, 96))
        paths[name] = folder / f"{name}.onnx"
        write_onnx(network.eval(), paths[name])
        paths[f"{name}.int8"] = folder / f"{name}.int8.onnx"
        noise = np.random.default_rng(0).normal(size=(2, 3, 64, 96)).astype(np.float32)
        ranges = find_ranges(paths[name], [noise], "minmax")
        insert_pairs(paths[name], paths[f"{name}.int8"], ranges)
    return paths


@pytest.mark.parametrize("preset", ["nano", "base"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_both_presets_build_for_8_9(
    rtx: ModuleType,
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    preset: str,
    precision: Precision,
) -> None:
    out = tmp_path / "made.engine"
    found = []
    monkeypatch.setattr(
        tensorrt,
        "check_tensors",
        lambda path, tensors, spec, bucket: found.append((bucket, *tensors)),
    )
    model = models[f"{preset}.int8" if precision == "int8" else preset]
    key = build_engine(model, out, ahead_of_time(rtx, precision, ["8.9"]))
    # What TensorRT says of the network that it builds, with nothing taken from our own shapes.
    assert found == [
        (bucket, [("images", "float32", (-1, 3, height, width))], outputs(height // 4, width // 4))
        for bucket, height, width in SIZES[preset]
    ]
    made = read_engine(out)
    assert made.key == key and made.spec == PRESETS[preset]
    assert key.gpu == "compute capability 8.9" and key.precision == precision
    plans = [made.plan(bucket) for bucket in made.spec.buckets]
    # The weights are in each plan, in the precision that was asked for.
    assert len(plans) == 2
    if precision != "int8":
        weights = models[preset].stat().st_size / (2 if precision == "fp16" else 1)
        assert all(0.8 * weights < len(plan) < 1.8 * weights for plan in plans)
    assert [path.name for path in tmp_path.iterdir()] == ["made.engine"]


@pytest.mark.parametrize(
    ("model", "precision", "datatype"), [("nano", "fp16", "Half"), ("nano.int8", "int8", "Int8")]
)
def test_what_the_convolutions_are_computed_in(
    rtx: ModuleType,
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    precision: Precision,
    datatype: str,
) -> None:
    """By TensorRT-RTX's own list of the layers that it has built."""
    said: list[str] = []

    class Listener(rtx.ILogger):  # type: ignore[name-defined]
        def __init__(self) -> None:
            rtx.ILogger.__init__(self)

        def log(self, severity: object, message: str) -> None:
            said.extend(message.splitlines())

    class Detailed(rtx.Builder):  # type: ignore[name-defined]
        def create_builder_config(self) -> object:
            config = super().create_builder_config()
            config.profiling_verbosity = rtx.ProfilingVerbosity.DETAILED
            return config

    monkeypatch.setattr(tensorrt, "quiet_logger", lambda runtime, problems: Listener())
    monkeypatch.setattr(rtx, "Builder", Detailed)
    build_engine(models[model], tmp_path / "made.engine", ahead_of_time(rtx, precision, ["8.9"]))
    convolutions = [line for line in said if "LayerType: correlation" in line]
    first = [re.search(r"Inputs: .*?Datatype: (\w+)", line) for line in convolutions]
    found = Counter(match[1] for match in first if match)
    assert len(convolutions) > 100 and set(found) == {datatype}


def test_one_plan_serves_several_gpus(
    rtx: ModuleType, models: dict[str, Path], tmp_path: Path
) -> None:
    target = ahead_of_time(rtx, "fp32", ["12.0", "8.9", "8.9"])
    assert target.gpu == "compute capability 8.9 12.0"
    build_engine(models["nano"], tmp_path / "made.engine", target)


def test_another_model_version_or_gpu_is_another_key(
    rtx: ModuleType, models: dict[str, Path]
) -> None:
    content = models["nano"].read_bytes()
    key = ahead_of_time(rtx, "fp32", ["8.9"]).key(content)
    assert key == ahead_of_time(rtx, "fp32", ["8.9"]).key(content)
    assert not key.differences(key)
    for other, field in (
        (ahead_of_time(rtx, "fp32", ["8.9"]).key(content + b" "), "model"),
        (ahead_of_time(rtx, "fp16", ["8.9"]).key(content), "precision"),
        (ahead_of_time(rtx, "fp32", ["12.0"]).key(content), "gpu"),
    ):
        [difference] = key.differences(other)
        assert difference.startswith(field)


def test_compute_capabilities_that_can_not_be_built_for_are_named(rtx: ModuleType) -> None:
    with pytest.raises(ExportError, match=r"compute capability 9\.0: .* builds for 7\.5, 8\.0"):
        ahead_of_time(rtx, "fp32", ["8.9", "9.0"])


def _without_checksum(model: Path) -> onnx.ModelProto:
    """An exported model that may be changed."""
    loaded = onnx.load(model)
    loaded.metadata_props.pop()
    return loaded


def _with_node(model: Path, out: Path, node: onnx.NodeProto, opset: tuple[str, int]) -> Path:
    """`model` with `scene` passed through one more node."""
    changed = _without_checksum(model)
    for other in changed.graph.node:
        other.output[:] = ["before" if name == "scene" else name for name in other.output]
    changed.graph.node.append(node)
    changed.opset_import.append(helper.make_opsetid(*opset))
    onnx.save(changed, out)
    return out


def test_an_operator_that_the_runtime_lacks_is_named(
    rtx: ModuleType, models: dict[str, Path], tmp_path: Path
) -> None:
    node = helper.make_node("Spiral", ["before"], ["scene"], "odd one", domain="org.example")
    model = _with_node(models["nano"], tmp_path / "odd.onnx", node, ("org.example", 1))
    with pytest.raises(ExportError, match=r"odd\.onnx: .* refuses .*Spiral") as caught:
        build_engine(model, tmp_path / "made.engine", ahead_of_time(rtx, "fp32", ["8.9"]))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["odd.onnx"]


def test_models_that_are_not_ours_are_refused(
    rtx: ModuleType, models: dict[str, Path], tmp_path: Path
) -> None:
    target = ahead_of_time(rtx, "fp32", ["8.9"])
    out = tmp_path / "made.engine"
    bare = onnx.load(models["nano"])
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    (tmp_path / "text.onnx").write_bytes(b"hello, this is text")
    for name, message in (
        ("gone.onnx", "no such model"),
        ("text.onnx", "is no ONNX model"),
        ("bare.onnx", f"has no '{SPEC_KEY}'"),
    ):
        with pytest.raises(ExportError, match=message):
            build_engine(tmp_path / name, out, target)
    with pytest.raises(ExportError, match="has no Q/DQ pairs, so --precision int8 needs"):
        build_engine(models["nano"], out, ahead_of_time(rtx, "int8", ["8.9"]))
    assert not out.exists()


def test_an_output_that_differs_from_the_spec_is_refused(
    rtx: ModuleType, models: dict[str, Path], tmp_path: Path
) -> None:
    halved = _without_checksum(models["nano"])
    for tensor in halved.graph.node:
        tensor.output[:] = ["before" if name == "scene" else name for name in tensor.output]
    ends = numpy_helper.from_array(np.array([3], np.int64), "ends")
    zero = numpy_helper.from_array(np.array([0], np.int64), "starts")
    axis = numpy_helper.from_array(np.array([1], np.int64), "channel")
    halved.graph.initializer.extend([ends, zero, axis])
    halved.graph.node.append(
        helper.make_node("Slice", ["before", "starts", "ends", "channel"], ["scene"])
    )
    halved.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3
    assert halved.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    path = tmp_path / "fewer.onnx"
    onnx.save(halved, path)
    with pytest.raises(ExportError, match=r"output 'scene' is float32 Nx3x120x160, its spec says"):
        build_engine(path, tmp_path / "made.engine", ahead_of_time(rtx, "fp32", ["8.9"]))


def test_names_are_held_to_the_spec() -> None:
    spec = PRESETS["nano"]
    image = ("pictures", "float32", (-1, 3, 480, 640))
    with pytest.raises(ExportError, match="inputs are pictures, its spec says images"):
        check_tensors(Path("x.onnx"), ([image], []), spec, "large")


def test_damaged_engine_files_are_refused(
    rtx: ModuleType, models: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "made.engine"
    build_engine(models["nano"], path, ahead_of_time(rtx, "fp32", ["8.9"]))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (b"", b"text", whole[: len(whole) // 2], bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(ExportError, match=r"made\.engine: is no engine file"):
            read_engine(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", '{"schema": "octoview.engine/9"}')
    with pytest.raises(ExportError, match=r"schema is octoview\.engine/9"):
        read_engine(path)
    with pytest.raises(ExportError, match="no such engine"):
        read_engine(tmp_path / "gone.engine")
