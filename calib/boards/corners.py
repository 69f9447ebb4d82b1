"""What every calibration board offers: points that are printed on it, found in an image."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Corners:
    """Corners of one board in one image: `ids` (N,) and `pixels` (N, 2), pixel centres at
    integers."""

    ids: NDArray[np.int64]
    pixels: NDArray[np.float64]


class Board(Protocol):
    """A flat target. `points` (M, 3): its corners in metres, z = 0, by id."""

    @property
    def points(self) -> NDArray[np.float64]: ...

    def find(self, grey: NDArray[np.uint8]) -> Corners | None:
        """The board's corners in a grey image (H, W), None where it is not to be found."""


def grid(columns: int, rows: int, step: float) -> NDArray[np.float64]:
    """(columns * rows, 3) places `step` metres apart, row by row."""
    x, y = np.meshgrid(np.arange(columns) * step, np.arange(rows) * step)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
