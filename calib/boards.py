"""Calibration boards: what is printed on them, and where their corners are in an image."""

import math
import re
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.errors import BoardError

_LONG_SIDE = 1280
"""Pixels to which larger images are reduced for the search; corners are refined at full size."""
_MARKERS = cv2.aruco.DICT_5X5_1000


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


@dataclass(frozen=True)
class Chessboard:
    """`columns` x `rows` inner corners, squares of `square` metres. It looks the same in a
    mirror, so mirrored images go unnoticed; a ChArUco board tells."""

    columns: int
    rows: int
    square: float

    @property
    def points(self) -> NDArray[np.float64]:
        return _grid(self.columns, self.rows, self.square)

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
        grid = pixels.reshape(self.rows, self.columns, 2)
        nearest = np.full(grid.shape[:2], np.inf)
        for axis in (0, 1):
            step = np.linalg.norm(np.diff(grid, axis=axis), axis=2)
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


@dataclass(frozen=True)
class Charuco:
    """`columns` x `rows` inner corners, `marker` metres a side in squares of `square`; markers
    of the 5x5 dictionary, OpenCV's layout from version 4.6 on. Parts of it suffice."""

    columns: int
    rows: int
    square: float
    marker: float

    @property
    def points(self) -> NDArray[np.float64]:
        return _grid(self.columns, self.rows, self.square)

    def find(self, grey: NDArray[np.uint8]) -> Corners | None:
        markers = cv2.aruco.getPredefinedDictionary(_MARKERS)
        size = (self.columns + 1, self.rows + 1)
        board = cv2.aruco.CharucoBoard(size, self.square, self.marker, markers)
        corners, ids, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(grey)
        if ids is None or len(ids) < 8:  # too few for a pose that can be trusted
            return None
        return Corners(ids.ravel().astype(np.int64), corners.reshape(-1, 2).astype(np.float64))


_FORMS = {
    "chessboard": (Chessboard, ("SQUARE",)),
    "charuco": (Charuco, ("SQUARE", "MARKER")),
}


def parse_board(text: str) -> Board:
    """`chessboard:9x6:0.025` has 9 x 6 inner corners and squares of 25 mm;
    `charuco:9x6:0.025:0.018` has markers of 18 mm too. Raises BoardError."""
    name, _, rest = text.partition(":")
    form = _FORMS.get(name)
    if form is None:
        raise BoardError(
            f"board '{text}' is of no known kind; use {' or '.join(_FORMS)}, "
            "as in chessboard:9x6:0.025"
        )
    kind, names = form
    size, *numbers = rest.split(":")
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", size)
    wanted = ":".join((name, "COLUMNSxROWS", *names))
    if match is None or len(numbers) != len(names):
        raise BoardError(f"board '{text}' is not of the form {wanted}; sizes are in metres")
    columns, rows = int(match[1]), int(match[2])
    if min(columns, rows) < 3:
        raise BoardError(f"board '{text}': {size} inner corners are too few; use at least 3x3")
    lengths = []
    for number in numbers:
        try:
            length = float(number)
        except ValueError:
            length = math.nan
        if not 1e-3 <= length <= 10:
            raise BoardError(f"board '{text}': '{number}' is no length; give metres, as 0.025")
        lengths.append(length)
    if lengths[-1] > lengths[0] or (len(lengths) > 1 and lengths[-1] == lengths[0]):
        raise BoardError(f"board '{text}': markers must be smaller than squares")
    return kind(columns, rows, *lengths)


def _grid(columns: int, rows: int, step: float) -> NDArray[np.float64]:
    x, y = np.meshgrid(np.arange(columns) * step, np.arange(rows) * step)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
