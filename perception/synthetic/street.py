"""Streets: a reference line, a cross-section along it, and the strips of ground they make.

Stations `s` run along a line in metres; offsets `d` are metres to its left.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from perception.synthetic.mesh import Colour, quads, surface


class Line:
    """Curve in the ground plane from curvatures sampled every `STEP` metres."""

    STEP = 1.0

    def __init__(self, start: tuple[float, float], heading: float, curvature: np.ndarray) -> None:
        self.heading = heading + np.concatenate([[0], np.cumsum(curvature[:-1] * self.STEP)])
        steps = np.column_stack([np.cos(self.heading), np.sin(self.heading)]) * self.STEP
        self.xy = np.asarray(start) + np.concatenate([[[0, 0]], np.cumsum(steps[:-1], axis=0)])
        self.s = np.arange(len(curvature)) * self.STEP
        self.length = float(self.s[-1])

    def at(self, s: np.ndarray | float, d: np.ndarray | float = 0.0) -> np.ndarray:
        """World points (..., 2) at stations and offsets (broadcast)."""
        s, d = np.broadcast_arrays(np.asarray(s, float), np.asarray(d, float))
        heading = self.yaw(s)
        centre = np.stack([np.interp(s, self.s, self.xy[:, i]) for i in (0, 1)], axis=-1)
        return centre + d[..., None] * np.stack([-np.sin(heading), np.cos(heading)], axis=-1)

    def yaw(self, s: np.ndarray | float) -> np.ndarray:
        """Heading at stations, radians."""
        return np.asarray(np.interp(s, self.s, self.heading))


@dataclass
class Side:
    """What lies beyond one edge of the road, outwards."""

    parking: float  # width of the parking lane, 0 without
    cycle: float  # width of the cycle lane, 0 without
    pavement: float  # width, 0 without
    verge: float  # grass between pavement and plots
    setback: float  # from there to the fronts of buildings


@dataclass
class Street:
    line: Line
    start: float
    end: float
    lanes: list[tuple[float, int]]  # offset of the centre, direction +1 or -1 along the line
    lane_width: float
    sides: dict[int, Side]  # +1 left, -1 right
    gaps: list[tuple[float, float]] = field(default_factory=list)  # junctions

    def lane_edge(self, side: int) -> float:
        """Distance from the line to the outer edge of the lanes on one side."""
        return max([0.0, *(d * side + self.lane_width / 2 for d, _ in self.lanes)])

    def edge(self, side: int) -> float:
        """Distance from the line to the kerb."""
        return self.lane_edge(side) + self.sides[side].cycle + self.sides[side].parking

    def runs(self, margin: float = 0.0) -> Iterator[tuple[float, float]]:
        """Stretches between junctions, `margin` metres clear of each."""
        at = self.start
        for a, b in sorted(self.gaps):
            if a - margin - at > 2:
                yield at, a - margin
            at = b + margin
        if self.end - at > 2:
            yield at, self.end

    def clear(self, s: float, margin: float = 0.0) -> bool:
        return all(not a - margin < s < b + margin for a, b in self.gaps)

    def strip(
        self,
        s0: float,
        s1: float,
        d0: float,
        d1: float,
        colour: Colour,
        id_: int,
        layer: int = 0,
        z: float = 0.0,
    ) -> list[np.ndarray]:
        """Ground strips between two offsets, cut into pieces of at most 24 m."""
        pieces = []
        cuts = np.linspace(s0, s1, max(int(np.ceil((s1 - s0) / 24)), 1) + 1)
        for a, b in pairwise(cuts.tolist()):
            s = np.linspace(a, b, max(int(np.ceil((b - a) / 3)), 1) + 1)
            d = np.array([d0, d1])
            grid = np.empty((len(s), 2, 3))
            grid[..., :2] = self.line.at(s[:, None], d[None])
            grid[..., 2] = z
            uv = np.stack(np.broadcast_arrays(s[:, None] - a + (a % 24), d[None]), axis=2)
            mesh = surface(grid, colour, id_, layer, uv)
            mesh["normal"] = (0, 0, 1)
            pieces.append(mesh)
        return pieces

    def wall(
        self,
        s0: float,
        s1: float,
        d: float,
        z0: float,
        z1: float,
        colour: Colour,
        id_: int,
        layer: int = 0,
    ) -> list[np.ndarray]:
        """Upright strips along the line at one offset, cut into pieces of at most 24 m."""
        pieces = []
        cuts = np.linspace(s0, s1, max(int(np.ceil((s1 - s0) / 24)), 1) + 1)
        for a, b in pairwise(cuts.tolist()):
            s = np.linspace(a, b, max(int(np.ceil((b - a) / 3)), 1) + 1)
            low = np.column_stack([self.line.at(s, d), np.full(len(s), z0)])
            high = np.column_stack([self.line.at(s, d), np.full(len(s), z1)])
            corners = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
            u0, u1 = s[:-1] - a, s[1:] - a
            v0, v1 = np.full(len(u0), z0), np.full(len(u0), z1)
            uv = np.stack([np.column_stack(p) for p in ((u0, v0), (u1, v0), (u1, v1), (u0, v1))], 1)
            pieces.append(quads(corners, colour, id_, layer, uv))
        return pieces


def stations(start: float, stop: float, step: float) -> list[float]:
    """Evenly spaced stations from `start` on, before `stop`."""
    return np.arange(start, stop, step).tolist()


class Plan:
    """Which ground is taken, on a grid of half-metre cells, so that nothing is built twice."""

    CELL = 0.5

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self.low = low
        size = np.ceil((high - low) / self.CELL).astype(int)
        self.taken = np.zeros((size[1], size[0]), np.uint8)

    def _mask(self, corners: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
        cells = (np.asarray(corners) - self.low) / self.CELL
        x0, y0 = np.maximum(np.floor(cells.min(0)).astype(int), 0)
        x1, y1 = np.ceil(cells.max(0)).astype(int) + 1
        area = (slice(y0, max(y1, y0)), slice(x0, max(x1, x0)))
        mask = np.zeros(self.taken[area].shape, np.uint8)
        if mask.size:
            cv2.fillConvexPoly(mask, np.round(cells - [x0, y0]).astype(np.int32), 1)
        return area, mask

    def take(self, corners: np.ndarray) -> None:
        """Mark the convex polygon `corners` (n, 2) as taken."""
        area, mask = self._mask(corners)
        self.taken[area] |= mask

    def claim(self, corners: np.ndarray) -> bool:
        """Take the polygon if all of it is free and on the plan; say whether it was."""
        area, mask = self._mask(corners)
        if not mask.any() or (self.taken[area] & mask).any():
            return False
        self.taken[area] |= mask
        return True

    def claim_rectangle(self, centre: np.ndarray, size: tuple[float, float], yaw: float) -> bool:
        return self.claim(rectangle(centre, size, yaw))


def rectangle(centre: np.ndarray, size: tuple[float, float], yaw: float) -> np.ndarray:
    """Corners (4, 2) of a turned rectangle, ring order."""
    ring = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.asarray(size) / 2
    c, s = np.cos(yaw), np.sin(yaw)
    return np.asarray(centre) + ring @ np.array([[c, s], [-s, c]])
