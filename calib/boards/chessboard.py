"""The chessboard, whose inner corners are saddles."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards.corners import Corners, grid

_LONG_SIDE = 1280
"""Pixels to which larger images are reduced for the search; corners are refined at full size."""


@dataclass(frozen=True)
class Chessboard:
    """`columns` x `rows` inner corners, squares of `square` metres. It looks the same in a
    mirror, so mirrored images go unnoticed; a ChArUco board tells."""

    columns: int
    rows: int
    square: float

    @property
    def points(self) -> NDArray[np.float64]:
        return grid(self.columns, self.rows, self.square)

    def find(self, grey: NDArray[np.uint8]) -> Corners | None:
        scale = min(1.0, _LONG_SIDE / max(grey.shape))
        small = grey
        if scale < 1:
            small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        found = self._search(small)
        if found is None and scale < 1:
            found, scale = self._search(grey), 1.0
        if found is None:
            return None
        pixels = (found + 0.5) / scale - 0.5
        return Corners(np.arange(len(pixels)), self._refined(grey, pixels))

    def _search(self, grey: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """The classic detector bears bent lines, the sector-based one blur and glare: one after
        the other."""
        size = (self.columns, self.rows)
        classic = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
        even = cv2.createCLAHE(3.0, (8, 8)).apply(grey)
        for attempt in (
            lambda: cv2.findChessboardCorners(grey, size, flags=classic | cv2.CALIB_CB_FAST_CHECK),
            lambda: cv2.findChessboardCornersSB(grey, size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE),
            lambda: cv2.findChessboardCorners(grey, size, flags=classic),
            lambda: cv2.findChessboardCorners(even, size, flags=classic),
            lambda: cv2.findChessboardCornersSB(
                even, size, flags=cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_NORMALIZE_IMAGE
            ),
        ):
            found, corners = attempt()
            if found:
                return np.asarray(corners, np.float64).reshape(-1, 2)
        return None

    def _refined(self, grey: NDArray[np.uint8], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each corner to the saddle of its own surroundings: the window must not reach the next
        corner, which on a tilted board or near a fisheye's edge is close."""
        net = pixels.reshape(self.rows, self.columns, 2)
        nearest = np.full(net.shape[:2], np.inf)
        for axis in (0, 1):
            step = np.linalg.norm(np.diff(net, axis=axis), axis=2)
            for part in (slice(None, -1), slice(1, None)):
                where = (part, slice(None)) if axis == 0 else (slice(None), part)
                nearest[where] = np.minimum(nearest[where], step)
        half = np.clip(np.floor(0.4 * nearest.ravel()), 2, 11).astype(int)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
        refined = pixels.astype(np.float32)
        for size in np.unique(half):
            chosen = refined[half == size][:, None].copy()
            found = cv2.cornerSubPix(grey, chosen, (int(size), int(size)), (-1, -1), stop)
            refined[half == size] = found[:, 0]
        moved = np.linalg.norm(refined - pixels, axis=1)
        # One that ran off to something else keeps its first place.
        return np.where((moved < half)[:, None], refined, pixels).astype(np.float64)
