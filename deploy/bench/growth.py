"""How the engine's time grows with the number of cameras and with the pixels of one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.bench.alternate import alternate, quartiles
from deploy.loop.engine import Engine

CAMERAS = (1, 2, 4, 8, 16)
TIMES_A_SIDE = (0.5, 1, 1.5, 2)
"""Sizes of one image, as multiples of each side of a camera's."""


def growth(engine: Engine, image: NDArray[np.float32], rounds: int) -> dict[str, Any]:
    """Seconds of one engine call, as JSON: `cameras` at the size of `image`, `pixels` of one.

    image: float32 (1, C, H, W), both sides times 0.5 still multiples of the output stride. All
    counts and sizes are timed in turn. Raises EngineError for a model of fixed shapes.
    """
    batches = [np.repeat(image, count, axis=0) for count in CAMERAS]
    sizes = [_resized(image, times) for times in TIMES_A_SIDE]
    names = [f"{count} cameras" for count in CAMERAS] + [f"{t} a side" for t in TIMES_A_SIDE]
    calls: dict[str, Callable[[], object]] = {
        name: lambda tensor=tensor: engine.infer(tensor)  # type: ignore[misc]
        for name, tensor in zip(names, batches + sizes, strict=True)
    }
    seconds = [quartiles(values) for values in alternate(calls, rounds).values()]
    by_count, by_size = seconds[: len(CAMERAS)], seconds[len(CAMERAS) :]
    return {
        "cameras": [
            {"cameras": count, "seconds": values}
            for count, values in zip(CAMERAS, by_count, strict=True)
        ],
        "pixels": [
            {"size": [tensor.shape[3], tensor.shape[2]], "seconds": values}
            for tensor, values in zip(sizes, by_size, strict=True)
        ],
    }


def _resized(image: NDArray[np.float32], times: float) -> NDArray[np.float32]:
    """Nearest neighbours will do: the time does not depend on what is shown."""
    rows, columns = (np.arange(round(side * times)) / times for side in image.shape[2:])
    return np.ascontiguousarray(image[:, :, rows.astype(int)[:, None], columns.astype(int)])
