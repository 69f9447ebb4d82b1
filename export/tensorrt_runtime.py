"""What TensorRT and TensorRT-RTX share: one Python API under two module names.

Imports neither of them, nor onnx, until it is asked to: machines that only run plans need little.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from export.errors import ExportError
from perception.spec import ModelSpec, TensorSpec

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
"""Python module of each engine."""
REMEDIES = {
    "tensorrt": "install TensorRT (JetPack has it; on a desktop pip install tensorrt)",
    "tensorrt-rtx": "pip install tensorrt-rtx",
}
OLDEST = {"tensorrt": (10, 3), "tensorrt_rtx": (1, 2)}

FoundTensor = tuple[str, str, tuple[int, ...]]
"""Name, type as NumPy calls it, and shape, -1 where it varies."""
_DTYPES = {"FLOAT": "float32", "INT64": "int64"}


def load_runtime(engine: str) -> ModuleType:
    """The Python module of `tensorrt` or `tensorrt-rtx`. Raises ExportError when it is missing,
    broken or too old."""
    name = MODULES[engine]
    try:
        runtime = import_module(name)
    except ImportError as error:
        raise ExportError(f"--engine {engine}: {error}; {REMEDIES[engine]}") from error
    except OSError as error:
        raise ExportError(
            f"--engine {engine}: its libraries do not load ({error}); install {engine} again"
        ) from error
    found = tuple(int(part) for part in runtime.__version__.split(".")[:2])
    if found < OLDEST[name]:
        oldest = ".".join(map(str, OLDEST[name]))
        raise ExportError(f"{name} {runtime.__version__} is too old; install {oldest} or later")
    return runtime


def quiet_logger(runtime: Any, problems: list[str]) -> Any:
    """A logger that prints nothing and keeps the errors."""
    errors = (runtime.ILogger.ERROR, runtime.ILogger.INTERNAL_ERROR)

    class Keeper(runtime.ILogger):
        def __init__(self) -> None:
            runtime.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in errors:
                problems.append(message)

    return Keeper()


def network_tensors(network: Any) -> tuple[list[FoundTensor], list[FoundTensor]]:
    """Inputs and outputs of a TensorRT network definition."""

    def found(tensor: Any) -> FoundTensor:
        return tensor.name, _dtype(tensor.dtype), tuple(tensor.shape)

    return (
        [found(network.get_input(i)) for i in range(network.num_inputs)],
        [found(network.get_output(i)) for i in range(network.num_outputs)],
    )


def plan_tensors(runtime: Any, plan: Any) -> tuple[list[FoundTensor], list[FoundTensor]]:
    """Inputs and outputs of a deserialised plan (ICudaEngine)."""
    names = [plan.get_tensor_name(index) for index in range(plan.num_io_tensors)]

    def found(mode: Any) -> list[FoundTensor]:
        return [
            (name, _dtype(plan.get_tensor_dtype(name)), tuple(plan.get_tensor_shape(name)))
            for name in names
            if plan.get_tensor_mode(name) == mode
        ]

    return found(runtime.TensorIOMode.INPUT), found(runtime.TensorIOMode.OUTPUT)


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


def first_line(text: str) -> str:
    """A runtime's message, cut to a line."""
    return text.strip().splitlines()[0][:200] if text.strip() else "no reason given"


def _words(tensor: tuple[str, tuple[int, ...]]) -> str:
    dtype, shape = tensor
    return f"{dtype} {'x'.join('N' if side == -1 else str(side) for side in shape)}"


def _dtype(dtype: Any) -> str:
    return _DTYPES.get(dtype.name, dtype.name.lower())
