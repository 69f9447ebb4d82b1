"""The native kernels, where `pip install` found a compiler. Without them the reference serves.

`deploy/native/_native.pyi` lists what they offer; docs/native.md says how they are built.
"""

from importlib.util import find_spec

MODULE = "deploy.native._native"


def is_built() -> bool:
    """Whether the compiled module is installed."""
    return find_spec(MODULE) is not None
