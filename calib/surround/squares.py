"""The corners of the squares of a chequered cloth on the ground, as one camera sees it."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.surround.birds_eye import GroundArea, GroundPicture

PIXELS_PER_SIDE = 40
"""Of a square, in pictures in which corners are looked for."""
_CONTRAST = 0.3  # between the dark and the light squares at a corner, as a share of the lightest
_NEIGHBOUR = 0.3  # how far from its place a neighbour may be, as a share of the side
_LEAST = 6  # corners in one piece, or it is no cloth
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass(frozen=True)
class Corners:
    """Corners of one camera: `points` (N, 2), ego x and y in metres; `cells` (N, 2), whole numbers
    of sides along x and y from the first corner of their `piece` (N,); `dark` (N,): whether the
    square ahead and left of it is dark."""

    points: NDArray[np.float64]
    cells: NDArray[np.int64]
    pieces: NDArray[np.int64]
    dark: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.points)


def find_corners(picture: GroundPicture, area: GroundArea, side: float) -> Corners:
    """Where four squares of `side` metres meet. The cloth lies along the vehicle's axes to within
    15 degrees; it may have gaps, be in pieces, or be seen only in part.

    A corner counts if its neighbours along both axes do: they are a side away, and their dark and
    light squares are the other way round.
    """
    grey = np.asarray(cv2.cvtColor(picture.image, cv2.COLOR_BGR2GRAY), np.uint8)
    pixels, dark = _saddles(grey, picture.seen, side / area.pixel)
    points = area.ego(pixels)[..., :2]
    links = _links(points, dark, side)
    cells, pieces = _count(links)
    sizes = np.bincount(pieces, minlength=1)
    keep = sizes[pieces] >= _LEAST if len(pieces) else np.zeros(0, bool)
    return Corners(points[keep], cells[keep], pieces[keep], dark[keep])


def _saddles(
    grey: NDArray[np.uint8], seen: NDArray[np.bool_], side: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pixels (N, 2) at which the four quarters around are dark and light crosswise, and whether
    the upper left one is dark."""
    patch, away = _odd(side / 3), round(side / 4)
    mean = cv2.blur(grey.astype(np.float32), (patch, patch))
    quarter = {
        (down, right): np.roll(mean, (-down * away, -right * away), (0, 1))
        for down in (-1, 1)
        for right in (-1, 1)
    }
    low_left_up = np.minimum(quarter[-1, -1], quarter[1, 1])
    low_right_up = np.minimum(quarter[-1, 1], quarter[1, -1])
    high_left_up = np.maximum(quarter[-1, -1], quarter[1, 1])
    high_right_up = np.maximum(quarter[-1, 1], quarter[1, -1])
    dark_first, light_first = low_right_up - high_left_up, low_left_up - high_right_up
    contrast = np.maximum(dark_first, light_first)
    contrast /= np.maximum(np.maximum(high_left_up, high_right_up), 1)
    whole = np.ones((_odd(0.9 * side),) * 2, np.uint8)
    contrast[cv2.erode(seen.astype(np.uint8), whole, borderValue=0) == 0] = 0
    highest = cv2.dilate(contrast, np.ones((_odd(0.8 * side),) * 2, np.uint8))
    rows, columns = np.nonzero((contrast >= highest) & (contrast > _CONTRAST))
    dark = dark_first[rows, columns] > 0
    if not len(rows):
        return np.zeros((0, 2)), dark
    start = np.stack([columns, rows], axis=-1).astype(np.float32)
    reach = round(side / 5)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 0.005)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1)
    fine = cv2.cornerSubPix(smooth, start[:, None].copy(), (reach, reach), (-1, -1), stop)[:, 0]
    close = np.linalg.norm(fine - start, axis=1) < side / 5
    return fine[close].astype(np.float64), dark[close]


def _links(
    points: NDArray[np.float64], dark: NDArray[np.bool_], side: float
) -> list[dict[int, int]]:
    """Of each corner, its neighbours by index into `_STEPS`; none for a corner without one along
    each axis."""
    found: list[dict[int, int]] = [{} for _ in points]
    for step, direction in enumerate(_STEPS):
        if not len(points):
            break
        expected = points + side * np.array(direction)
        off = np.linalg.norm(points[None] - expected[:, None], axis=-1)
        off[dark[:, None] == dark[None]] = np.inf
        nearest = off.argmin(axis=1)
        for i in np.flatnonzero(off.min(axis=1) <= _NEIGHBOUR * side).tolist():
            found[i][step] = int(nearest[i])
    both = [
        {step: j for step, j in links.items() if found[j].get((step + 2) % 4) == i}
        for i, links in enumerate(found)
    ]
    good = [bool({0, 2} & set(links)) and bool({1, 3} & set(links)) for links in both]
    return [
        {step: j for step, j in links.items() if good[j]} if good[i] else {}
        for i, links in enumerate(both)
    ]


def _count(links: list[dict[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cell and piece of each corner, from neighbour to neighbour."""
    cells = np.zeros((len(links), 2), np.int64)
    pieces = np.full(len(links), -1)
    for first in range(len(links)):
        if pieces[first] >= 0:
            continue
        pieces[first] = first
        queue = deque([first])
        while queue:
            i = queue.popleft()
            for step, j in links[i].items():
                if pieces[j] < 0:
                    pieces[j] = first
                    cells[j] = cells[i] + _STEPS[step]
                    queue.append(j)
    return cells, pieces


def _odd(value: float) -> int:
    return int(value) | 1
