"""Engine: the one interface behind which a network runs, and the choice of an implementation."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deploy.errors import EngineError
from perception.spec import ModelSpec

AUTO = "auto"


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


@dataclass(frozen=True)
class Runtime:
    """One way to run a model here. `missing` is why it can't, with the remedy; None if it can."""

    name: str
    missing: str | None


ENGINES = ("onnxruntime", "openvino")
"""Names that `load_engine` knows, in order of preference: `auto` takes the first that is here."""


def runtimes() -> list[Runtime]:
    """Every engine in order of preference, and whether this machine has it."""
    return [
        Runtime(name, None if find_spec(name) else f"pip install octoview[{name}]")
        for name in ENGINES
    ]


def choose(name: str = AUTO) -> tuple[str, str]:
    """(engine, why it) for a name of ENGINES or `auto`.

    Raises EngineError for an unknown name and for an engine that is not installed.
    """
    here = runtimes()
    if name == AUTO:
        chosen = next((r.name for r in here if r.missing is None), "onnxruntime")
        before = here[: ENGINES.index(chosen)]
        absent = "; ".join(f"no {runtime.name} here ({runtime.missing})" for runtime in before)
        return chosen, absent or "first in order of preference"
    for runtime in here:
        if runtime.name == name:
            if runtime.missing:
                raise EngineError(f"--engine {name}: not installed; {runtime.missing}")
            return name, "as told"
    raise EngineError(f"--engine {name}: unknown; choose {', '.join((AUTO, *ENGINES))}")


def load_engine(path: str | Path, threads: int | None = None, engine: str = AUTO) -> Engine:
    """Load a model with `engine`, a name of ENGINES or `auto`; `threads` defaults to the
    physical cores. An engine that refuses the model is not replaced by another.

    Raises EngineError when the model is missing, damaged, or does not match its ModelSpec, and
    for an engine that is unknown or not installed.
    """
    name, _ = choose(engine)
    # Imported here: the interface stays free of any runtime.
    if name == "openvino":
        from deploy.loop.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(Path(path), threads)
    from deploy.loop.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(Path(path), threads)
