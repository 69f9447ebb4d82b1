"""Engine: the one interface behind which a network runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deploy.loop.runtimes import AUTO, choose
from perception.spec import ModelSpec

Outputs = dict[str, NDArray[np.generic]]


class Pending(Protocol):
    """A batch that is being computed."""

    def result(self) -> Outputs:
        """Wait for it. The arrays may be written again by the next batch of the same shape.

        Raises EngineError when the network fails or gives anything but what its spec says.
        """
        ...


@dataclass(frozen=True)
class Computed(Pending):
    """A batch of an engine that computes at once."""

    outputs: Outputs

    def result(self) -> Outputs:
        return self.outputs


class Engine(Protocol):
    """A loaded network. What goes in and comes out is written in its `spec`."""

    spec: ModelSpec
    metadata: Mapping[str, str]
    """All that the artefact says about itself; keys stand in perception/spec.py."""
    name: str
    """Runtime, version and device, such as `onnxruntime 1.23.2 CPU`."""
    threads: int
    """Processor threads that one call uses."""

    def allocate(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Zeros (N, C, H, W) in the memory that `submit` takes images from fastest."""
        return np.zeros(shape, np.float32)

    def submit(self, images: NDArray[np.float32]) -> Pending:
        """Begin one batch; `images` must stay as they are until its result is there.

        images: float32 (N, C, H, W), contiguous, as `spec.input` says. Batches of different
        shapes may run beside each other, so a rig's buckets are submitted together. One of each
        shape at a time.
        """
        ...

    def infer(self, images: NDArray[np.float32]) -> Outputs:
        """Run one batch, as `submit`. The arrays of `spec.outputs` by name are the caller's own.

        Raises EngineError when the network fails or gives anything but what its spec says.
        """
        return self.submit(images).result()


def shipped_model() -> Path:
    """The `nano` network that comes with the package."""
    import perception

    return Path(perception.__path__[0]) / "weights" / "nano.onnx"


def load_engine(path: str | Path, threads: int | None = None, engine: str = AUTO) -> Engine:
    """Load a model with `engine`, a name of ENGINES or `auto`; `threads` defaults to the
    physical cores. An engine that refuses the model is not replaced by another.

    Raises EngineError when the model is missing, damaged, or does not match its ModelSpec, and
    for an engine that is unknown or can't run here.
    """
    path = Path(path)
    name = choose(engine, path).name
    # Imported here: the interface stays free of any runtime.
    if name in ("tensorrt", "tensorrt-rtx"):
        from deploy.loop.tensorrt_engine import TensorRtEngine

        return TensorRtEngine(path, name)
    if name == "openvino":
        from deploy.loop.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(path, threads)
    from deploy.loop.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(path, threads, name)
