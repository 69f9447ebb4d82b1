"""The loop's result in the ego frame: a bird's-eye drivable grid and one object list in metres."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Length, width, height in metres of an object of average height; its box scales them.
SIZE_PRIORS: dict[str, tuple[float, float, float]] = {
    "vehicle": (4.5, 1.9, 1.6),
    "pedestrian": (0.6, 0.6, 1.75),
    "cyclist": (1.8, 0.6, 1.75),
}


@dataclass(frozen=True)
class GridSpec:
    """A grid on the ground plane of the ego frame, metres. Row 0 is at `y_min`, column 0 at
    `x_min`: x forward runs along columns, y left along rows."""

    x_min: float = -20.0
    x_max: float = 40.0
    y_min: float = -20.0
    y_max: float = 20.0
    cell: float = 0.2

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (y), columns (x)."""
        rows = (self.y_max - self.y_min) / self.cell
        columns = (self.x_max - self.x_min) / self.cell
        return round(rows), round(columns)

    def centres(self) -> NDArray[np.float64]:
        """Ego points (rows, columns, 3) of the cell centres, z = 0."""
        rows, columns = self.shape
        return self._points(np.arange(columns) + 0.5, np.arange(rows) + 0.5)

    def corners(self) -> NDArray[np.float64]:
        """Ego points (rows + 1, columns + 1, 3) of the cell corners, z = 0."""
        rows, columns = self.shape
        return self._points(np.arange(columns + 1.0), np.arange(rows + 1.0))

    def rectangle(self, x: float, y: float, length: float, width: float) -> tuple[slice, slice]:
        """Rows and columns of the cells whose centres lie in a rectangle along x around x, y."""

        def inside(middle: float, side: float, low: float) -> slice:
            ends = (middle - side / 2 - low, middle + side / 2 - low)
            first, last = (max(0, math.ceil(end / self.cell - 0.5)) for end in ends)
            return slice(first, last)

        return inside(y, width, self.y_min), inside(x, length, self.x_min)

    def _points(self, columns: NDArray, rows: NDArray) -> NDArray[np.float64]:
        x, y = np.meshgrid(self.x_min + columns * self.cell, self.y_min + rows * self.cell)
        return np.stack([x, y, np.zeros_like(x)], axis=-1)


@dataclass(frozen=True)
class Motion:
    """What following an object from tick to tick tells. `id`: the same in every tick, from 1 up.

    `velocity`: along ego x and y, m/s; over the ground if `over_ground`, else relative to the
    vehicle. `age_s`: seconds since it was first seen.
    """

    id: int
    velocity: tuple[float, float]
    over_ground: bool
    age_s: float


@dataclass(frozen=True)
class MapObject:
    """One object on the ground plane, seen by one or more cameras.

    `x`, `y`: centre of its footprint, ego frame, metres. `sigma`: standard deviation of that
    along the ray, where it is largest, metres. `size`: length, width, height in metres.
    `motion`: None where nothing followed it.
    """

    label: str
    score: float
    x: float
    y: float
    sigma: float
    cameras: tuple[str, ...]
    size: tuple[float, float, float]
    motion: Motion | None = None


@dataclass(frozen=True)
class EgoMap:
    """Everything the cameras saw together.

    `drivable`: float32 (rows, columns), probability that the cell is drivable ground, and
    `confidence`: how sure that is, from 0 to 1; both 0 where nothing is known. So is, at once or
    where it is remembered soon, a cell that no camera sees, or that every camera sees something
    standing in front of: unknown, never free. `objects`: nearest first.
    """

    grid: GridSpec
    drivable: NDArray[np.float32]
    confidence: NDArray[np.float32]
    objects: tuple[MapObject, ...]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where something is known, (rows, columns)."""
        return np.asarray(self.confidence > 0)
