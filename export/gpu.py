"""The NVIDIA GPU of this machine, asked through `libcuda`, which comes with the driver."""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

from export.errors import ExportError

_LIBRARY = "libcuda.so.1"
_VERSION_FILE = Path("/proc/driver/nvidia/version")
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NO_DEVICE, _STUB = 100, 34


@dataclass(frozen=True)
class Gpu:
    """The first GPU that CUDA offers here; `CUDA_VISIBLE_DEVICES` chooses another."""

    name: str
    compute_capability: str
    """Such as `8.9`."""
    driver: str
    """The kernel module's version where Linux tells it, and the newest CUDA that it serves."""

    @property
    def key(self) -> str:
        """What a plan that was built on it is for."""
        return f"{self.name}, compute capability {self.compute_capability}"


def find_gpu() -> Gpu:
    """Raises ExportError, with the reason and a remedy, when there is no driver or no GPU."""
    try:
        cuda = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise ExportError("no NVIDIA driver here; install it, or run on the CPU") from error
    result = cuda.cuInit(0)
    count = ctypes.c_int()
    if result == 0:
        result = cuda.cuDeviceGetCount(ctypes.byref(count))
    if result in (_NO_DEVICE, _STUB) or (result == 0 and count.value == 0):
        raise ExportError(
            "the NVIDIA driver finds no GPU; check CUDA_VISIBLE_DEVICES, or run on the CPU"
        )
    if result:
        raise ExportError(
            f"the NVIDIA driver does not start (CUDA error {result}); install it again, restart, "
            "or run on the CPU"
        )
    device = ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), 0)
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, len(name), device)
    major, minor, newest = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    cuda.cuDriverGetVersion(ctypes.byref(newest))
    return Gpu(
        name.value.decode(errors="replace"),
        f"{major.value}.{minor.value}",
        f"{_kernel_module()}CUDA {cuda_version(newest.value)}",
    )


def cuda_version(number: int) -> str:
    """CUDA's way to count versions: 12040 is 12.4."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _kernel_module() -> str:
    try:
        text = _VERSION_FILE.read_text()
    except OSError:
        return ""
    found = re.search(r"\s(\d+\.\d+[.\d]*)\s", text)
    return f"{found[1]}, " if found else ""
