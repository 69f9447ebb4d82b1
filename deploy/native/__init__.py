"""The native kernels, where `pip install` found a compiler. Without them the reference serves.

`deploy/native/_native.pyi` lists what they offer; docs/native.md says how they are built.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from deploy.errors import EngineError

MODULE = "deploy.native._native"
CUDA_LIBRARY = Path(__file__).with_name("liboctoview_cuda.so")
"""Built where the CUDA toolkit is."""
Kernels = Literal["auto", "native", "reference"]
"""`auto`: native where they are built."""


def is_built() -> bool:
    """Whether the compiled module is installed."""
    return find_spec(MODULE) is not None


def take_native(kernels: Kernels) -> bool:
    """Whether `kernels` means the native ones here. Raises EngineError for "native" where they
    are not built."""
    if kernels == "native" and not is_built():
        raise EngineError(
            "native kernels are not built; install a C++17 compiler and octoview again, or "
            "choose the reference"
        )
    return kernels != "reference" and is_built()
