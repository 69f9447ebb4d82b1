"""Plans of ONNX files built on this machine for its own GPU, kept so that each is built once.

A plan is found by its whole key: model, precision, runtime and its version, GPU, driver. When any
of them changes it is built again; nothing is run because a file of its name exists.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from export.cache import cache_folder
from export.errors import ExportError
from export.gpu import Gpu
from export.tensorrt_file import SUFFIX, EngineFile, read_engine, read_model
from export.tensorrt_target import Precision, this_machine
from perception.spec import QUANTISATION_KEY

Progress = Callable[[str], None]


def natural_precision(model: bytes) -> Precision:
    """What an ONNX file is run in when nobody says: int8 when `octoview export` quantised it, else
    half precision, which is what a GPU is for."""
    return "int8" if QUANTISATION_KEY.encode() in model else "fp16"


def cached_engine(
    model: Path, runtime: ModuleType, gpu: Gpu, progress: Progress = lambda step: None
) -> EngineFile:
    """The engine file of an ONNX file for this machine, from the cache or built into it.

    `progress` is told why something is built. Raises ExportError as `build_engine` does.
    """
    content = read_model(model)
    target = this_machine(runtime, natural_precision(content), gpu)
    key = target.key(content)
    path = cache_folder() / f"{model.stem}-{target.precision}-{key.digest[:16]}{SUFFIX}"
    why = "no plan for this model, runtime, GPU and driver is here yet"
    if path.exists():
        try:
            found = read_engine(path)
        except ExportError as error:
            why = str(error)
        else:
            differences = found.key.differences(key)
            if not differences:
                return found
            why = f"{path} is for another ({'; '.join(differences)})"
    progress(f"{why}; building it, which can take minutes")
    try:
        from export.tensorrt import build_engine
    except ImportError as error:
        raise ExportError(
            f"{model}: building its plan needs the module '{error.name}'; install "
            "octoview[gpu], or give a file of `octoview export --engine`"
        ) from error

    build_engine(model, path, target, progress)
    built = read_engine(path)
    if built.key != key:
        raise ExportError(f"{model}: changed while its plan was built; try again")
    return built
