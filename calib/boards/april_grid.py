"""AprilGrid: Kalibr's grid of AprilTags, whose corners small black squares turn into saddles."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards.corners import Corners

_FAMILY = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
TAGS = len(_FAMILY.bytesList)
"""As many numbers as the family has."""
_DATA_BITS = 6
_BORDER_BITS = (2, 1)
"""Width of a tag's black border: Kalibr's own prints have two bits."""
_LEAST_TAGS = 3
"""Fewer make no pose that can be trusted."""


@dataclass(frozen=True)
class AprilGrid:
    """`columns` x `rows` tags of family 36h11, `tag` metres wide, gaps of `spacing` * `tag`.

    As in Kalibr: origin at the lower left corner of tag 0, which is the lower left one; x right,
    y up. Corner ids: 4 tag + 0..3, counter-clockwise from the tag's lower left. Parts of the
    grid suffice.
    """

    columns: int
    rows: int
    tag: float
    spacing: float

    @property
    def points(self) -> NDArray[np.float64]:
        row, column = np.divmod(np.arange(self.columns * self.rows), self.columns)
        origin = self.tag * (1 + self.spacing) * np.stack([column, row], axis=-1)
        square = self.tag * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        flat = (origin[:, None] + square).reshape(-1, 2)
        return np.pad(flat, ((0, 0), (0, 1)))

    def find(self, grey: NDArray[np.uint8]) -> Corners | None:
        # Eroding the black parts the tags from the squares that touch their corners; small tags
        # bear it less.
        best, found = _LEAST_TAGS - 1, None
        for search in (cv2.dilate(grey, np.ones((3, 3), np.uint8)), grey):
            for border in _BORDER_BITS:
                tags, quads = self._search(search, border)  # type: ignore[arg-type]
                if len(tags) > best:
                    best, found = len(tags), (tags, quads, border)
        return self._refined(grey, *found) if found else None

    def _search(
        self, grey: NDArray[np.uint8], border: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Numbers (N,) of the grid's tags and their corners (N, 4, 2) as the detector has them."""
        parameters = cv2.aruco.DetectorParameters()
        parameters.markerBorderBits = border
        quads, tags, _ = cv2.aruco.ArucoDetector(_FAMILY, parameters).detectMarkers(grey)
        if tags is None:
            return np.zeros(0, np.int64), np.zeros((0, 4, 2))
        numbers, first, counts = np.unique(tags, return_index=True, return_counts=True)
        # Of two tags with one number at least one is something else.
        known = (counts == 1) & (numbers < self.columns * self.rows)
        return numbers[known].astype(np.int64), np.array(quads, np.float64)[first[known], 0]

    def _refined(
        self,
        grey: NDArray[np.uint8],
        tags: NDArray[np.int64],
        quads: NDArray[np.float64],
        border: int,
    ) -> Corners:
        """Each corner to the saddle between its tag's black border and the black square beyond,
        in a window that stays within both."""
        quads = self._from_lower_left(tags, quads)
        side = np.linalg.norm(quads - np.roll(quads, 1, axis=1), axis=2).min(axis=1)
        reach = 0.8 * min(self.spacing, border / (_DATA_BITS + 2 * border))
        half = np.clip(np.floor(reach * side), 2, 11).astype(int).repeat(4)
        pixels = quads.reshape(-1, 2)
        refined = pixels.astype(np.float32)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
        for size in np.unique(half):
            chosen = refined[half == size][:, None].copy()
            found = cv2.cornerSubPix(grey, chosen, (int(size), int(size)), (-1, -1), stop)
            refined[half == size] = found[:, 0]
        moved = np.linalg.norm(refined - pixels, axis=1)
        ids = (4 * tags[:, None] + np.arange(4)).ravel()
        # One that ran off to something else is no corner.
        kept = moved < half
        return Corners(ids[kept], refined[kept].astype(np.float64))

    def _from_lower_left(
        self, tags: NDArray[np.int64], quads: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Quads (N, 4, 2) counter-clockwise from the lower left corner, wherever the printing
        program began: of the four turns the one that the tags' places on the grid agree with."""
        quads = quads[:, ::-1]  # OpenCV goes clockwise
        places = self.points.reshape(-1, 4, 3)[tags][..., :2].reshape(-1, 1, 2)

        def error(turned: NDArray[np.float64]) -> float:
            homography, _ = cv2.findHomography(places, turned.reshape(-1, 1, 2))
            if homography is None:
                return float("inf")
            mapped = cv2.perspectiveTransform(places, homography)
            return float(np.abs(mapped.reshape(-1, 4, 2) - turned).mean())

        return min((np.roll(quads, turn, axis=1) for turn in range(4)), key=error)
