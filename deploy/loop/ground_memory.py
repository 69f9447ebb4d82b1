"""What the ground was a moment ago, held still while the vehicle drives over it.

Evidence is summed from tick to tick with exponential forgetting, in a rolling buffer of cells that
lie along the world's axes, as robots keep elevation maps (Fankhauser et al. 2014, "Robot-centric
elevation mapping with uncertainty estimates"). The buffer moves by whole cells, so nothing in it is
resampled again and again, and thin things do not blur away.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.loop.ego_map import GridSpec

# After so long evidence counts half; where the cameras see something standing in front, sooner, for
# it may have moved.
HALF_LIFE_S, HIDDEN_HALF_LIFE_S = 0.5, 0.1
# So much evidence is remembered of a cell at most: what nobody looks at any more is unknown after
# 3 s, and what changes is believed sooner.
MOST = 1.5
# A longer pause forgets everything, and so does a jump of the pose, metres beyond so many a second.
PAUSE_NS = 1_000_000_000
JUMP_M, TOP_SPEED = 2.0, 100.0


class GroundMemory:
    """Evidence (rows, columns, 2) of free ground and of any ground, by cell of `grid`."""

    def __init__(self, grid: GridSpec) -> None:
        self._grid = grid
        self._middle = np.array([grid.x_min + grid.x_max, grid.y_min + grid.y_max]) / 2
        rows, columns = grid.shape
        self._side = 2 * math.ceil(math.hypot(rows, columns) / 2) + 2
        self._layers: NDArray[np.float32] = np.zeros((self._side, self._side, 2), np.float32)
        self._corner: NDArray[np.int64] = np.zeros(
            2, np.int64
        )  # x and y of the buffer's first cell, in cells
        self._place: NDArray[np.float64] | None = None
        self._stamp_ns = 0

    def add(
        self,
        now: NDArray[np.float32],
        hidden: NDArray[np.bool_],
        stamp_ns: int,
        world_from_ego: NDArray[np.float64] | None,
    ) -> NDArray[np.float32]:
        """`now` and what is remembered. `hidden` (rows, columns): cells that cameras look at and
        see something standing. `world_from_ego` (4, 4); without it there is no memory."""
        if world_from_ego is None:
            self._place = None
            return now
        turn, place = world_from_ego[:2, :2], world_from_ego[:2, 3]
        elapsed = stamp_ns - self._stamp_ns
        seconds = elapsed / 1e9
        if (
            self._place is None
            or not 0 <= elapsed <= PAUSE_NS
            or math.dist(place, self._place) > JUMP_M + TOP_SPEED * seconds
        ):
            self._layers[:] = 0
        self._place, self._stamp_ns = place.copy(), stamp_ns
        self._roll(turn @ self._middle + place)
        buffer_from_grid = self._buffer_from_grid(turn, place)
        layers = cv2.merge([now, hidden.astype(np.float32)])
        placed = cv2.warpAffine(layers, buffer_from_grid, (self._side, self._side))
        kept = np.where(
            placed[..., 2] > 0.5,
            np.float32(0.5 ** (seconds / HIDDEN_HALF_LIFE_S)),
            np.float32(0.5 ** (seconds / HALF_LIFE_S)),
        )
        self._layers *= kept[..., None]
        rows, columns = self._grid.shape
        back = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        before = cv2.warpAffine(self._layers, buffer_from_grid, (columns, rows), flags=back)
        self._layers += np.asarray(placed[..., :2], np.float32)
        self._layers *= (MOST / np.maximum(self._layers[..., 1], MOST))[..., None]
        return np.asarray(now + before, np.float32)

    def _roll(self, middle: NDArray[np.float64]) -> None:
        """Move the buffer by whole cells so that it lies around `middle`, world x and y."""
        corner = np.floor(middle / self._grid.cell).astype(np.int64) - self._side // 2
        step = corner - self._corner
        self._corner = corner
        if (np.abs(step) >= self._side).any():
            self._layers[:] = 0
            return
        for axis, cells in ((1, int(step[0])), (0, int(step[1]))):
            if cells:
                self._layers = np.roll(self._layers, -cells, axis)
                new = slice(-cells, None) if cells > 0 else slice(0, -cells)
                self._layers[(slice(None), new) if axis else new] = 0

    def _buffer_from_grid(
        self, turn: NDArray[np.float64], place: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(2, 3), from column and row of the grid to those of the buffer, centres at integers."""
        grid = self._grid
        first = np.array([grid.x_min, grid.y_min]) + grid.cell / 2
        shift = (turn @ first + place) / grid.cell - self._corner - 0.5
        return np.column_stack([turn, shift])
