"""Following points from frame to frame of one camera while the vehicle drives."""

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.driving.flow import FlowPair
from calib.pose import invert

Array = NDArray[np.float64]
Points = NDArray[np.float32]
TRAVEL_M = 0.3
"""Metres between the two frames of a pair, at least."""
_PATIENCE_S, _BLIND_S = 1.0, 0.09
"""Seconds after which a first frame is too old, and between frames where no pose tells the way."""
_CELLS = (16, 12)
"""Points are looked for in so many parts of the picture, across and down, equally in each."""
_QUALITY, _WINDOW, _LEVELS = 0.005, 21, 4
_BACK = 0.3
"""Pixels by which a point may miss its start when followed back (Kalal et al. 2010)."""


class PairTracker:
    """Makes pairs of one camera's frames as they come (KLT: Lucas and Kanade 1981, Shi and Tomasi
    1994, in OpenCV's pyramid), where `camera`'s mounting says that they should have gone.

    `points`: that are looked for in a frame. `every_s`: seconds from one pair to the next.
    """

    def __init__(self, camera: Camera, points: int = 576, every_s: float = 0.0) -> None:
        self._camera, self._points, self._every_s = camera, points, every_s
        self._first: tuple[float, NDArray[np.uint8], Array | None] | None = None
        self._next_s = -np.inf

    def wants(self, stamp_s: float, world_from_ego: Array | None) -> bool:
        """Whether `add` would use a frame of this time and place: else it need not be decoded."""
        if self._first is None:
            return stamp_s >= self._next_s
        began, _, place = self._first
        if not 0 < stamp_s - began <= _PATIENCE_S or (place is None) != (world_from_ego is None):
            return True
        if place is None or world_from_ego is None:
            return stamp_s - began >= _BLIND_S
        return bool(np.linalg.norm(world_from_ego[:3, 3] - place[:3, 3]) >= TRAVEL_M)

    def add(
        self, stamp_s: float, grey: NDArray[np.uint8], world_from_ego: Array | None
    ) -> FlowPair | None:
        """The next frame, (height, width) as the lens's; a pair if it makes one with an earlier.

        `world_from_ego`: (4, 4), where the vehicle was; None where nobody knows.
        """
        if not self.wants(stamp_s, world_from_ego):
            return None
        first, self._first = self._first, None
        if first is not None:
            began, picture, place = first
            fresh = 0 < stamp_s - began <= _PATIENCE_S
            if fresh and (place is None) == (world_from_ego is None):
                self._next_s = began + self._every_s
                motion = None
                if place is not None and world_from_ego is not None:
                    motion = invert(place) @ world_from_ego
                before, after = follow(self._camera, picture, grey, motion, self._points)
                pair = FlowPair(began, before, after, motion)
                if stamp_s >= self._next_s:  # the second frame is the next pair's first
                    self._first = (stamp_s, grey, world_from_ego)
                return pair
        self._first = (stamp_s, grey, world_from_ego)
        return None


def follow(
    camera: Camera,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    ego_motion: Array | None,
    count: int,
) -> tuple[Array, Array]:
    """Pixels (N, 2) of up to `count` points in two pictures (height, width) of `camera`, whose
    vehicle moved by `ego_motion` (4, 4), ego0_from_ego1, between them."""
    before = _corners(first, count)
    if not len(before):
        return np.empty((0, 2)), np.empty((0, 2))
    guess = before if ego_motion is None else _expected(camera, before, ego_motion)
    after, found = _followed(first, second, before, guess)
    back, found_back = _followed(second, first, after, after - (guess - before))
    kept = found & found_back
    kept &= np.linalg.norm(back - before, axis=1) < _BACK
    height, width = second.shape
    kept &= (after >= 0).all(1) & (after < (width, height)).all(1)
    return before[kept].astype(np.float64), after[kept].astype(np.float64)


def _followed(
    first: NDArray[np.uint8], second: NDArray[np.uint8], points: Points, guess: Points
) -> tuple[Points, NDArray[np.bool_]]:
    """Where `points` (N, 2) of one picture are in another, and whether each was found."""
    after, found, _ = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        points,
        guess.copy(),
        winSize=(_WINDOW, _WINDOW),
        maxLevel=_LEVELS,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(after, np.float32), np.asarray(found).astype(bool).ravel()


def _corners(picture: NDArray[np.uint8], count: int) -> Points:
    """(N, 2): corners of each part of the picture, so that the road gets its share."""
    height, width = picture.shape
    columns, rows = _CELLS
    each = max(count // (columns * rows), 1)
    distance = max(width / columns / (2 * np.sqrt(each) + 1), 3)
    found = []
    for row in range(rows):
        y0, y1 = height * row // rows, height * (row + 1) // rows
        for column in range(columns):
            x0, x1 = width * column // columns, width * (column + 1) // columns
            corners = cv2.goodFeaturesToTrack(picture[y0:y1, x0:x1], each, _QUALITY, distance)
            if corners is not None:
                found.append(np.asarray(corners, np.float32).reshape(-1, 2) + np.array([x0, y0]))
    return np.concatenate([np.empty((0, 2)), *found]).astype(np.float32)


def _expected(camera: Camera, pixels: Points, ego_motion: Array) -> Points:
    """Where the points come to lie if those below the horizon are on the road, and the others far
    away."""
    rays = camera.unproject(pixels)
    place = camera.ego_from_camera[:3, 3]
    with np.errstate(all="ignore"):
        away = np.where(rays[:, 2] < -0.02, -place[2] / rays[:, 2], 200.0)
    points = place + rays * away[:, None]
    back = invert(ego_motion)
    expected, visible = camera.project(points @ back[:3, :3].T + back[:3, 3])
    return np.where(visible[:, None], expected, pixels).astype(np.float32)
