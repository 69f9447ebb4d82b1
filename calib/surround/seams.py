"""How well the ground views of several cameras join, in metres, on a chequered cloth."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from calib.errors import BoardError
from calib.surround.squares import Corners

Array = NDArray[np.float64]
_ROUNDS = 5


@dataclass(frozen=True)
class Lattice:
    """Where the squares of the cloth lie: a corner is at `origin` (2,) + `turn` (2, 2) @ cell *
    side, ego x and y in metres. `cells` of every camera's corners, whole numbers."""

    origin: Array
    turn: Array
    side: float
    cells: dict[str, NDArray[np.int64]]

    def places(self, camera: str) -> Array:
        """Where the camera's corners really are, (N, 2)."""
        return self.origin + self.side * self.cells[camera] @ self.turn.T


def seams(found: Mapping[str, Corners], side: float) -> dict[tuple[str, str], Array]:
    """By pair of cameras that see the same corners, how far apart they see each, metres (N,).

    Two are the same if they are each other's nearest, less than half a side apart and their dark
    squares lie alike: a seam that is off by more can't be told by the squares.
    """
    gaps = {}
    for a, b in combinations(found, 2):
        if not len(found[a]) or not len(found[b]):
            continue
        apart = np.linalg.norm(found[a].points[:, None] - found[b].points[None], axis=-1)
        apart[found[a].dark[:, None] != found[b].dark[None]] = np.inf
        nearest = apart.argmin(axis=1)
        mutual = apart.argmin(axis=0)[nearest] == np.arange(len(apart))
        distance = apart.min(axis=1)
        shared = mutual & (distance < side / 2)
        if shared.any():
            gaps[a, b] = distance[shared]
    return gaps


def fit_lattice(found: Mapping[str, Corners], side: float) -> Lattice:
    """The cloth that suits the corners of all cameras best: side known, place and heading not.

    Raises BoardError where no camera sees a cloth.
    """
    pieces = [
        (camera, np.flatnonzero(corners.pieces == piece))
        for camera, corners in found.items()
        for piece in np.unique(corners.pieces)
    ]
    if not pieces:
        raise BoardError(
            f"no camera sees squares of {side:g} m on the ground; is --square their true side, "
            "and does the cloth lie along the vehicle?"
        )
    pieces.sort(key=lambda piece: -len(piece[1]))
    cells = {camera: corners.cells.copy() for camera, corners in found.items()}
    camera, first = pieces[0]
    start = (side * cells[camera][first]).astype(np.float64)
    turn, origin = _rigid(start, found[camera].points[first])
    even = _even(cells[camera][first], found[camera].dark[first])
    for _ in range(_ROUNDS):
        for camera, members in pieces:
            corners = found[camera]
            inside = (corners.points[members] - origin) @ turn / side
            own = corners.cells[members]
            offset = np.median(inside - own, axis=0)
            shift = np.rint(offset).astype(int)
            if _even(own + shift, corners.dark[members]) != even:  # it is the next one
                axis = int(np.abs(offset - shift).argmax())
                shift[axis] += 1 if offset[axis] > shift[axis] else -1
            cells[camera][members] = own + shift
        every = np.concatenate([cells[c] for c in found])
        points = np.concatenate([found[c].points for c in found])
        turn, origin = _rigid(side * every, points)
    return Lattice(origin, turn, side, cells)


def _even(cells: NDArray[np.int64], dark: NDArray[np.bool_]) -> bool:
    """Whether corners whose cells add up to an even number have the dark square ahead left."""
    return bool(((cells.sum(axis=1) % 2 == 0) == dark).mean() > 0.5)


def _rigid(source: Array, target: Array) -> tuple[Array, Array]:
    """Turn (2, 2) and shift (2,) from `source` (N, 2) to `target`, by least squares of the better
    three quarters of them (Kabsch 1976)."""
    keep = np.ones(len(source), bool)
    for _ in range(3):
        middle, place = source[keep].mean(axis=0), target[keep].mean(axis=0)
        u, _, vt = np.linalg.svd((target[keep] - place).T @ (source[keep] - middle))
        turn = u @ np.diag([1, np.linalg.det(u @ vt)]) @ vt
        shift = place - turn @ middle
        off = np.linalg.norm(source @ turn.T + shift - target, axis=1)
        keep = off <= np.quantile(off, 0.75)
    return turn, shift
