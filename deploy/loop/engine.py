"""Engine: the one interface behind which a network runs, and the choice of an implementation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from perception.spec import ModelSpec


class Engine(Protocol):
    """A loaded network. What goes in and comes out is written in its `spec`."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """All that the artefact says about itself; keys stand in perception/spec.py."""
        ...

    @property
    def name(self) -> str:
        """Runtime and version, such as `onnxruntime 1.23.2 CPU`."""
        ...

    @property
    def threads(self) -> int:
        """Processor threads that one call uses."""
        ...

    def infer(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
        """Run one batch.

        images: float32 (N, C, H, W), contiguous, as `spec.input` says. Returns the arrays of
        `spec.outputs` by name. Raises EngineError when the network gives anything else.
        """
        ...


def shipped_model() -> Path:
    """The `nano` network that comes with the package."""
    import perception

    return Path(perception.__path__[0]) / "weights" / "nano.onnx"


def load_engine(path: str | Path, threads: int | None = None) -> Engine:
    """Load a model with the runtime that fits it; `threads` defaults to the physical cores.

    Raises EngineError when the model is missing, damaged, or does not match its ModelSpec.
    """
    # Imported here: the interface stays free of any runtime.
    from deploy.loop.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(Path(path), threads)
