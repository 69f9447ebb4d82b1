"""The compiled kernels; octoview_native.h says what each argument means."""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

class Layout(Enum):
    BGR = 0
    RGB = 1
    NV12 = 2
    YUYV = 3

class Pool:
    """Threads that wait for work. Not for use in a forked child of the process that made it."""

    def __init__(self, threads: int) -> None: ...

class Camera:
    """One camera's image and its slot (3, height, width); ValueError for what does not fit.

    `placement`: left, top, width, height of the resized image in the slot; or `map`: int32
    (height, width, 2), x and y in 1/32 pixel of the image.
    """

    def __init__(
        self,
        image: NDArray[np.uint8],
        output: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8],
        layout: Layout = ...,
        placement: tuple[int, int, int, int] | None = None,
        map: NDArray[np.int32] | None = None,
        chroma: NDArray[np.uint8] | None = None,
    ) -> None: ...

def preprocess(
    pool: Pool,
    cameras: list[Camera],
    scale: tuple[float, float, float],
    offset: tuple[float, float, float],
) -> None: ...
def scene(
    pool: Pool,
    logits: NDArray[np.float32],
    groups: list[int],
    labels: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
) -> None: ...
