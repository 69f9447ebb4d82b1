"""Which runtimes this machine has, and the choice of one."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from deploy.errors import EngineError
from deploy.loop.cuda import Cuda
from export.errors import ExportError
from export.gpu import find_gpu
from export.tensorrt_file import SUFFIX, read_engine
from export.tensorrt_runtime import MODULES, REMEDIES

AUTO = "auto"
PROVIDERS = {
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime": "CPUExecutionProvider",
}
"""What ONNX Runtime calls the device of each of its engines."""
CPU_ENGINES = ("onnxruntime", "openvino")
REFERENCE = "onnxruntime"
"""What accuracy is measured with: any size of image, and the types that the file states."""
ENGINES = ("tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "onnxruntime-tensorrt", *CPU_ENGINES)
"""Names of engines in order of preference: `auto` takes the first that can run here. CUDA is before
TensorRT in ONNX Runtime, whose package names both whether or not their libraries are there."""


@dataclass(frozen=True)
class Choice:
    """An engine's name, and why it was taken: `as told`, or what spoke against those before it."""

    name: str
    why: str


def missing(engine: str) -> str | None:
    """Why the engine can't run here, with the remedy; None if it can, as far as can be told
    without loading a model."""
    if engine not in CPU_ENGINES and (reason := _no_gpu()):
        return reason
    if engine in MODULES:
        if find_spec(MODULES[engine]) is None:
            return f"not installed; {REMEDIES[engine]}"
        return _no_cuda()
    if engine == "openvino":
        return None if find_spec("openvino") else "not installed; pip install octoview[openvino]"
    if find_spec("onnxruntime") is None:
        return "not installed; pip install octoview again"
    if engine == "onnxruntime":
        return None
    import onnxruntime as ort

    if PROVIDERS[engine] in ort.get_available_providers():
        return None
    return (
        f"this onnxruntime {ort.__version__} was built without it; "
        "pip uninstall onnxruntime, pip install onnxruntime-gpu"
    )


def choose(name: str = AUTO, model: Path | None = None) -> Choice:
    """An engine for a name of ENGINES or `auto`; `model`: an engine file decides for itself.

    Raises EngineError for an unknown name, for an engine that can't run here, and for an engine
    file that is damaged or of another runtime than was asked for.
    """
    if name not in (AUTO, *ENGINES):
        raise EngineError(f"--engine {name}: unknown; choose {', '.join((AUTO, *ENGINES))}")
    if model is not None and model.suffix == SUFFIX:
        name, why = _of_file(model, name), "the engine file is made for it"
    elif name == AUTO:
        return _first()
    else:
        why = "as told"
    if reason := missing(name):
        raise EngineError(f"--engine {name}: {reason}")
    return Choice(name, why)


def _first() -> Choice:
    against: dict[str, list[str]] = {}
    for engine in ENGINES:
        reason = missing(engine)
        if reason is None:
            told = [f"not {', '.join(names)}: {why}" for why, names in against.items()]
            return Choice(engine, "; ".join(["the first that can run here", *told]))
        against.setdefault(reason.split("; ")[0], []).append(engine)
    raise EngineError("no engine can run here; pip install octoview again")


def _of_file(path: Path, name: str) -> str:
    try:
        module = read_engine(path).key.runtime
    except ExportError as error:
        raise EngineError(str(error)) from error
    engine = next((engine for engine, known in MODULES.items() if known == module), None)
    if engine is None or name not in (AUTO, engine):
        raise EngineError(f"{path}: is an engine file of {module}, not for --engine {name}")
    return engine


def _no_cuda() -> str | None:
    try:
        Cuda()
    except EngineError as error:
        return str(error)
    return None


@cache
def _no_gpu() -> str | None:
    """The driver of a running process does not change."""
    try:
        find_gpu()
    except ExportError as error:
        return str(error)
    return None
