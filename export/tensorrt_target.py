"""What plans are built for: a runtime, a precision, and one GPU or several kinds of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from export.cache import cache_folder
from export.errors import ExportError
from export.gpu import Gpu
from export.tensorrt_file import ANY_DRIVER, EngineKey, model_hash
from export.tensorrt_runtime import MODULES

Precision = Literal["fp32", "fp16", "int8"]
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
    timings: Path | None = None
    """Where the times of kernels on this GPU are kept between builds; TensorRT alone has any."""

    def key(self, model: bytes) -> EngineKey:
        """The key of an engine file made from `model`, the bytes of an ONNX file."""
        return EngineKey(
            model=model_hash(model),
            precision=self.precision,
            runtime=self.runtime.__name__,
            version=self.runtime.__version__,
            gpu=self.gpu,
            driver=self.driver,
            max_batch=self.max_batch,
        )


def this_machine(runtime: ModuleType, precision: Precision, gpu: Gpu) -> Target:
    """A target that is the GPU of this machine, with its driver of today. Raises ExportError
    for a GPU that the runtime does not build for, and when there is no place for a cache."""
    if runtime.__name__ == MODULES["tensorrt-rtx"]:
        compute_capability(runtime, gpu.compute_capability)
        return Target(runtime, precision, gpu.key, gpu.driver, (gpu.compute_capability,))
    about = f"{runtime.__version__} {gpu.key} {gpu.driver}"
    name = f"timings-{hashlib.sha256(about.encode()).hexdigest()[:16]}.bin"
    return Target(runtime, precision, gpu.key, gpu.driver, timings=cache_folder() / name)


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
        compute_capability(runtime, capability)
    gpu = f"compute capability {' '.join(wanted)}"
    return Target(runtime, precision, gpu, ANY_DRIVER, wanted)


def compute_capability(runtime: Any, capability: str) -> Any:
    """The runtime's own constant for `8.9`. Raises ExportError for one that it does not know."""
    known = {
        f"{name[2:-1]}.{name[-1]}": value
        for name, value in runtime.ComputeCapability.__members__.items()
        if name.startswith("SM")
    }
    if capability not in known:
        raise ExportError(
            f"compute capability {capability}: {runtime.__name__} {runtime.__version__} builds "
            f"for {', '.join(known)}; choose among them, or another engine"
        )
    return known[capability]


def _by_number(capability: str) -> tuple[int, str]:
    major = capability.split(".")[0]
    return (int(major) if major.isdigit() else 0, capability)
