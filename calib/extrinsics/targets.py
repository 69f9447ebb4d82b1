"""Boards at places measured with a tape: what fixes the cameras to the vehicle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calib.boards.corners import Board
from calib.errors import BoardError
from calib.yaml_file import YamlError, load_yaml

PLACES = ("first", "row_end", "column_end")
"""The board's first corner, the last of its first row, and the last of its first column."""
_TAPE = 0.003
"""Metres by which a tape measure is usually off, one standard deviation of each coordinate."""
_TOO_FAR = 0.02
"""Metres by which two measured corners may be nearer or farther than they are on the board."""


@dataclass(frozen=True)
class Target:
    """`corners` (3, 3): where `points` (3, 3) of the board are in the ego frame, metres;
    `sigma` in metres, one standard deviation of each coordinate."""

    points: NDArray[np.float64]
    corners: NDArray[np.float64]
    sigma: float

    def ego_from_board(self) -> NDArray[np.float64]:
        """(4, 4), the nearest rigid transform (Kabsch 1976)."""
        middle, place = self.points.mean(axis=0), self.corners.mean(axis=0)
        u, _, vt = np.linalg.svd((self.corners - place).T @ (self.points - middle))
        pose = np.eye(4)
        pose[:3, :3] = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        pose[:3, 3] = place - pose[:3, :3] @ middle
        return pose


def outer_points(board: Board) -> NDArray[np.float64]:
    """(3, 3) the board's points that are measured, in the order of `PLACES`."""
    points = board.points
    right, down = points[:, 0].max(), points[:, 1].max()
    return np.array([points.min(axis=0), [right, points[:, 1].min(), 0], [0, down, 0]])


def load_targets(path: Path, board: Board) -> dict[str, Target]:
    """Targets by the name of their pictures, without suffix.

    Raises BoardError for a file that is not of this form, and for distances that are not the
    board's.
    """
    try:
        content = load_yaml(path)
    except OSError as error:
        raise BoardError(f"{path}: can't be read ({error.strerror}); check the path") from error
    except YamlError as error:
        raise BoardError(f"{path}: not valid YAML: {error}; correct it") from error
    if not isinstance(content, dict) or not content:
        raise BoardError(f"{path}: holds no target; write NAME: and {', '.join(PLACES)} under it")
    return {str(name): _target(f"{path}: {name}", entry, board) for name, entry in content.items()}


def _target(where: str, entry: Any, board: Board) -> Target:
    known = {*PLACES, "sigma_m"}
    if not isinstance(entry, dict) or not set(PLACES) <= set(entry) <= known:
        raise BoardError(f"{where}: give {', '.join(PLACES)}, and sigma_m where 0.003 is wrong")
    try:
        corners = np.array([entry[place] for place in PLACES], np.float64)
        sigma = float(entry.get("sigma_m", _TAPE))
    except (TypeError, ValueError):
        corners, sigma = np.full(1, np.nan), np.nan
    if corners.shape != (3, 3) or not np.isfinite(corners).all():
        raise BoardError(f"{where}: every corner is three numbers, x y z in metres")
    if not 1e-4 <= sigma <= 1:
        raise BoardError(f"{where}: sigma_m is {entry.get('sigma_m')}; give metres, as 0.003")
    points = outer_points(board)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        measured = float(np.linalg.norm(corners[a] - corners[b]))
        printed = float(np.linalg.norm(points[a] - points[b]))
        if abs(measured - printed) > max(_TOO_FAR, 4 * sigma):
            raise BoardError(
                f"{where}: {PLACES[a]} and {PLACES[b]} are {measured:.3f} m apart and "
                f"{printed:.3f} m on the board; measure inner corners again, in metres"
            )
    return Target(points, corners, sigma)
