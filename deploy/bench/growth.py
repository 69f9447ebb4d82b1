"""How the engine's time grows with the number of cameras and with the pixels of one."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.bench.alternate import alternate, quartiles
from deploy.errors import EngineError
from deploy.loop.engine import Engine

CAMERAS = (1, 2, 4, 8, 16)
TIMES_A_SIDE = (0.5, 1, 1.5, 2)
"""Sizes of one image, as multiples of each side of a camera's."""


def growth(engine: Engine, image: NDArray[np.float32], rounds: int) -> dict[str, Any]:
    """Seconds of one engine call, as JSON: `cameras` at the size of `image`, `pixels` of one.

    image: float32 (1, C, H, W), both sides times 0.5 still multiples of the output stride. All
    counts and sizes are timed in turn; those that the engine refuses, as plans of fixed sizes do,
    are left out.
    """
    by_count = [(count, np.repeat(image, count, axis=0)) for count in CAMERAS]
    by_count = [(count, images) for count, images in by_count if _runs(engine, images)]
    by_size = [_resized(image, times) for times in TIMES_A_SIDE]
    by_size = [images for images in by_size if _runs(engine, images)]
    tensors = [images for _, images in by_count] + by_size
    calls = {str(number): partial(engine.infer, images) for number, images in enumerate(tensors)}
    seconds = [quartiles(values) for values in alternate(calls, rounds).values()]
    return {
        "cameras": [
            {"cameras": count, "seconds": values}
            for (count, _), values in zip(by_count, seconds, strict=False)
        ],
        "pixels": [
            {"size": [images.shape[3], images.shape[2]], "seconds": values}
            for images, values in zip(by_size, seconds[len(by_count) :], strict=True)
        ],
    }


def _runs(engine: Engine, images: NDArray[np.float32]) -> bool:
    try:
        engine.infer(images)
    except EngineError:
        return False
    return True


def _resized(image: NDArray[np.float32], times: float) -> NDArray[np.float32]:
    """Nearest neighbours will do: the time does not depend on what is shown."""
    rows, columns = (np.arange(round(side * times)) / times for side in image.shape[2:])
    return np.ascontiguousarray(image[:, :, rows.astype(int)[:, None], columns.astype(int)])
