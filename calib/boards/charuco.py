"""The ChArUco board: a chessboard with markers in its white squares, so that parts suffice."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards.corners import Corners, grid

_MARKERS = cv2.aruco.DICT_5X5_1000


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
        return grid(self.columns, self.rows, self.square)

    def find(self, grey: NDArray[np.uint8]) -> Corners | None:
        markers = cv2.aruco.getPredefinedDictionary(_MARKERS)
        size = (self.columns + 1, self.rows + 1)
        board = cv2.aruco.CharucoBoard(size, self.square, self.marker, markers)
        corners, ids, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(grey)
        if ids is None or len(ids) < 8:  # too few for a pose that can be trusted
            return None
        return Corners(ids.ravel().astype(np.int64), corners.reshape(-1, 2).astype(np.float64))
