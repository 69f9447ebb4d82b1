"""ONNX to TensorRT or TensorRT-RTX: one strongly typed plan per resolution bucket.

The two are one Python API under two module names. TensorRT times kernels on the GPU that it
builds for. TensorRT-RTX builds without any GPU, for the compute capabilities it is told, and
compiles the rest where the plan runs.

A plan has its bucket's height and width built in and a batch that may vary. One plan with a
profile per bucket would hold the weights once, but would compute every shape at run time, and
TensorRT would choose its kernels without knowing the size of any image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import onnx
from onnx import ModelProto

from export.errors import ExportError
from export.int8 import to_signed
from export.precision import check_half, to_half
from export.tensorrt_file import EngineKey, model_hash, read_spec, write_engine
from perception.spec import ModelSpec, TensorSpec

Precision = Literal["fp32", "fp16", "int8"]
MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
"""Python module of each engine."""
OLDEST = {"tensorrt": (10, 3), "tensorrt_rtx": (1, 2)}
USUAL_BATCH = 4
"""Cameras per bucket of the hw2 rig: what kernels are chosen for."""
MOST_CAMERAS = 16


@dataclass(frozen=True)
class Target:
    """What to build for."""

    runtime: ModuleType
    precision: Precision
    gpu: str
    driver: str
    compute_capabilities: tuple[str, ...] = ()
    """Such as `8.9`; TensorRT-RTX alone. Empty: the GPU of this machine."""
    max_batch: int = MOST_CAMERAS

    def key(self, model: bytes) -> EngineKey:
        return EngineKey(
            model=model_hash(model),
            precision=self.precision,
            runtime=self.runtime.__name__,
            version=self.runtime.__version__,
            gpu=self.gpu,
            driver=self.driver,
            max_batch=self.max_batch,
        )


def ahead_of_time(
    runtime: ModuleType, precision: Precision, compute_capabilities: Sequence[str]
) -> Target:
    """A target that needs no GPU now. Raises ExportError for an unknown compute capability, and
    for a runtime that can't build without a GPU."""
    if not hasattr(runtime, "ComputeCapability"):
        raise ExportError(
            f"{runtime.__name__} builds for the GPU of this machine alone; leave out "
            "--compute-capability, or take --engine tensorrt-rtx"
        )
    wanted = tuple(sorted(set(compute_capabilities), key=_by_number))
    for capability in wanted:
        _compute_capability(runtime, capability)
    gpu = f"compute capability {' '.join(wanted)}"
    return Target(runtime, precision, gpu, "any", wanted)


def load_runtime(engine: str) -> ModuleType:
    """The Python module of `tensorrt` or `tensorrt-rtx`. Raises ExportError when it is missing,
    broken or too old."""
    name = MODULES[engine]
    try:
        runtime = import_module(name)
    except ImportError as error:
        remedy = (
            "pip install tensorrt-rtx"
            if engine == "tensorrt-rtx"
            else "install TensorRT (JetPack has it; on a desktop pip install tensorrt)"
        )
        raise ExportError(f"--engine {engine}: {error}; {remedy}") from error
    except OSError as error:
        raise ExportError(
            f"--engine {engine}: its libraries do not load ({error}); install {engine} again"
        ) from error
    found = tuple(int(part) for part in runtime.__version__.split(".")[:2])
    if found < OLDEST[name]:
        oldest = ".".join(map(str, OLDEST[name]))
        raise ExportError(f"{name} {runtime.__version__} is too old; install {oldest} or later")
    return runtime


def build_engine(
    model: Path, out: Path, target: Target, progress: Callable[[str], None] = lambda step: None
) -> EngineKey:
    """Build every bucket's plan from `model`, an ONNX file of `octoview export`, into `out`.

    For int8 the model must hold Q/DQ pairs. Returns the key. Raises ExportError, and leaves
    `out` as it was, when the model is not ours, has an operator that the runtime lacks, or loses
    too much in FP16.
    """
    content = read_model(model)
    loaded = parse_model(model, content)
    metadata = {entry.key: entry.value for entry in loaded.metadata_props}
    spec = read_spec(model, metadata)
    if not out.parent.is_dir():
        raise ExportError(f"{out.parent}: no such folder; make it or choose another --out")
    if out.is_dir():
        raise ExportError(f"{out}: is a folder; name a file, such as {out / 'nano.engine'}")
    typed = _typed(model, loaded, spec, target.precision, progress).SerializeToString()
    plans = {}
    for bucket in spec.buckets:
        progress(f"building {bucket}")
        plans[bucket] = _build_plan(model, typed, spec, bucket, target)
    key = target.key(content)
    write_engine(out, key, metadata, plans)
    return key


def read_model(path: Path) -> bytes:
    """Raises ExportError when there is no such file."""
    if not path.is_file():
        raise ExportError(f"{path}: no such model; check the path, or `octoview export` one")
    return path.read_bytes()


def parse_model(path: Path, content: bytes) -> ModelProto:
    """Raises ExportError when the content is no ONNX model."""
    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's exceptions share no base
        raise ExportError(
            f"{path}: is no ONNX model ({_first_line(str(error))}); "
            "give a file of `octoview export`"
        ) from error
    return model


def _typed(
    path: Path,
    model: ModelProto,
    spec: ModelSpec,
    precision: Precision,
    progress: Callable[[str], None],
) -> ModelProto:
    """The model whose types say what `precision` asks for."""
    quantised = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    if quantised != (precision == "int8"):
        raise ExportError(
            f"{path}: has {'' if quantised else 'no '}Q/DQ pairs, so --precision {precision} "
            + ("is not for it; take int8" if quantised else "needs it quantised first")
        )
    if precision == "int8":
        return to_signed(model)
    if precision == "fp32":
        return model
    progress("half precision")
    half = to_half(model)
    smallest = min(spec.buckets.values(), key=lambda bucket: bucket.width * bucket.height)
    shape = (1, 3 * spec.frames, smallest.height, smallest.width)
    # Normalised colours have about this spread; the gate on real frames is `octoview export`'s.
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    failures = check_half(model, half, [noise])
    if failures:
        raise ExportError(f"{path}: {failures[0]}; use --precision fp32")
    return half


def _build_plan(path: Path, model: bytes, spec: ModelSpec, bucket: str, target: Target) -> bytes:
    trt = target.runtime
    problems: list[str] = []
    logger = _quiet_logger(trt, problems)
    builder = trt.Builder(logger)
    # TensorRT 11 has no other networks and ignores the flag.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model) or network.num_outputs == 0:
        raise ExportError(f"{path}: {trt.__name__} {trt.__version__} {_refusal(parser)}")
    size = spec.bucket(bucket)
    channels = spec.input.shape[1]
    network.get_input(0).shape = (-1, channels, size.height, size.width)
    check_tensors(path, network_tensors(network), spec, bucket)

    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    usual = min(USUAL_BATCH, target.max_batch)
    batches = (1, usual, target.max_batch)
    profile.set_shape(
        spec.input.name, *((batch, channels, size.height, size.width) for batch in batches)
    )
    config.add_optimization_profile(profile)
    if target.compute_capabilities:
        config.num_compute_capabilities = len(target.compute_capabilities)
        for index, capability in enumerate(target.compute_capabilities):
            config.set_compute_capability(_compute_capability(trt, capability), index)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = _first_line(problems[0]) if problems else "it gave no reason"
        raise ExportError(
            f"{path}: {trt.__name__} {trt.__version__} can't build bucket '{bucket}' for "
            f"{target.gpu}: {reason}; try another --precision, or another release of it"
        )
    return bytes(plan)


FoundTensor = tuple[str, str, tuple[int, ...]]
"""Name, type as NumPy calls it, and shape, -1 where it varies."""
_DTYPES = {"FLOAT": "float32", "INT64": "int64"}


def network_tensors(network: Any) -> tuple[list[FoundTensor], list[FoundTensor]]:
    """Inputs and outputs of a TensorRT network definition."""

    def found(tensor: Any) -> FoundTensor:
        return tensor.name, _dtype(tensor.dtype), tuple(tensor.shape)

    return (
        [found(network.get_input(i)) for i in range(network.num_inputs)],
        [found(network.get_output(i)) for i in range(network.num_outputs)],
    )


def check_tensors(
    path: Path,
    found: tuple[list[FoundTensor], list[FoundTensor]],
    spec: ModelSpec,
    bucket: str,
) -> None:
    """Names, types and sizes against the spec. Raises ExportError for the first that differs."""
    for kind, tensors, expected in zip(
        ("input", "output"), found, ((spec.input,), spec.outputs), strict=True
    ):
        by_name = {name: (dtype, shape) for name, dtype, shape in tensors}
        names = [tensor.name for tensor in expected]
        if sorted(by_name) != sorted(names):
            raise ExportError(
                f"{path}: {kind}s are {', '.join(by_name)}, its spec says {', '.join(names)}; "
                "export the model again"
            )
        for tensor in expected:
            wanted = tensor.dtype, tensor_shape(tensor, spec, bucket)
            if by_name[tensor.name] != wanted:
                raise ExportError(
                    f"{path}: {kind} '{tensor.name}' is {_words(by_name[tensor.name])}, its spec "
                    f"says {_words(wanted)}; export the model again"
                )


def tensor_shape(
    tensor: TensorSpec, spec: ModelSpec, bucket: str, batch: int = -1
) -> tuple[int, ...]:
    """The tensor's shape for images of a bucket."""
    size, stride = spec.bucket(bucket), spec.output_stride
    sizes = {
        "batch": batch,
        "height": size.height,
        "width": size.width,
        f"height/{stride}": size.height // stride,
        f"width/{stride}": size.width // stride,
    }
    return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in tensor.shape)


def _words(tensor: tuple[str, tuple[int, ...]]) -> str:
    dtype, shape = tensor
    return f"{dtype} {'x'.join('N' if side == -1 else str(side) for side in shape)}"


def _dtype(dtype: Any) -> str:
    return _DTYPES.get(dtype.name, dtype.name.lower())


def _quiet_logger(runtime: Any, problems: list[str]) -> Any:
    """A logger that prints nothing and keeps the errors."""
    errors = (runtime.ILogger.ERROR, runtime.ILogger.INTERNAL_ERROR)

    class Keeper(runtime.ILogger):
        def __init__(self) -> None:
            runtime.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in errors:
                problems.append(message)

    return Keeper()


def _refusal(parser: Any) -> str:
    """Why the parser refused, and the remedy."""
    if parser.num_errors == 0:
        return "finds no network in it; export the model again"
    error = parser.get_error(0)
    node = f"node '{error.node_name()}' ({error.node_operator()})"
    return (
        f"refuses {node}: {_first_line(error.desc())}; "
        "export the model again, or run it with ONNX Runtime"
    )


def _compute_capability(runtime: Any, capability: str) -> Any:
    known = {
        f"{name[2:-1]}.{name[-1]}": value
        for name, value in runtime.ComputeCapability.__members__.items()
        if name.startswith("SM")
    }
    if capability not in known:
        raise ExportError(
            f"--compute-capability {capability}: {runtime.__name__} {runtime.__version__} builds "
            f"for {', '.join(known)}; choose among them"
        )
    return known[capability]


def _by_number(capability: str) -> tuple[int, str]:
    major = capability.split(".")[0]
    return (int(major) if major.isdigit() else 0, capability)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:200] if text.strip() else "no reason given"
