"""Who saw which board when: pictures FOLDER/CAMERA/INSTANT.png, one lens file a camera."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards.chessboard import Chessboard
from calib.boards.corners import Board
from calib.encoded_image import decode
from calib.errors import BoardError
from calib.intrinsics.camera_file import load_lens
from calib.intrinsics.images import find_boards
from calib.lens import Lens


@dataclass(frozen=True)
class Sighting:
    """A board in one picture: `points` (N, 3) in metres on the board, `pixels` (N, 2)."""

    camera: str
    instant: str
    points: NDArray[np.float64]
    pixels: NDArray[np.float64]

    @property
    def name(self) -> str:
        return f"{self.camera}/{self.instant}"


@dataclass(frozen=True)
class Sightings:
    """`lenses` by camera, in the order of their names; `skipped` says why by picture."""

    lenses: dict[str, Lens]
    sightings: tuple[Sighting, ...]
    skipped: dict[str, str]


def check_one_way_up(board: Board) -> None:
    """Raises BoardError for a chessboard that looks the same turned by 180 degrees: two cameras
    would count its corners from opposite ends."""
    if isinstance(board, Chessboard) and (board.columns + board.rows) % 2 == 0:
        raise BoardError(
            f"a chessboard of {board.columns}x{board.rows} inner corners looks the same upside "
            "down, so cameras can't agree on its corners; use odd by even, as 9x6, or charuco"
        )


def find_sightings(
    folder: Path,
    lens_folder: Path,
    board: Board,
    report: Callable[[str], None] = lambda camera: None,
) -> Sightings:
    """`report` gets each camera's name before its pictures are looked at.

    Raises BoardError when the folders hold no cameras, when a camera has no lens file, or one of
    another resolution than its pictures.
    """
    check_one_way_up(board)
    if not folder.is_dir():
        raise BoardError(f"{folder}: no such folder; give the folder that holds one per camera")
    cameras = sorted(path for path in folder.iterdir() if path.is_dir())
    if not cameras:
        raise BoardError(f"{folder}: holds no folders; put pictures in {folder}/CAMERA/INSTANT.png")
    lenses = {}
    for camera in cameras:
        path = lens_folder / f"{camera.name}.yaml"
        if not path.is_file():
            raise BoardError(
                f"camera '{camera.name}' has no {path}; write it with calibrate intrinsics"
            )
        lenses[camera.name] = load_lens(path)
    sightings: list[Sighting] = []
    skipped: dict[str, str] = {}
    for camera in cameras:
        report(camera.name)
        found = find_boards(camera, board)
        lens = lenses[camera.name]
        if found.views and (found.width, found.height) != (lens.width, lens.height):
            raise BoardError(
                f"camera '{camera.name}': pictures are {found.width}x{found.height} and its lens "
                f"file is for {lens.width}x{lens.height}; calibrate at the size that is used"
            )
        skipped |= {f"{camera.name}/{name}": reason for name, reason in found.skipped.items()}
        for view in found.views:
            if np.linalg.matrix_rank(view.points - view.points.mean(axis=0), tol=1e-6) < 2:
                reason = "all corners found lie in one row, which leaves the board's tilt open"
                skipped[f"{camera.name}/{view.name}"] = reason
                continue
            pixels = view.pixels
            if isinstance(board, Chessboard):
                pixels = _from_the_dark_end(camera / view.name, board, pixels)
            sightings.append(Sighting(camera.name, Path(view.name).stem, view.points, pixels))
    return Sightings(lenses, tuple(sightings), skipped)


def _from_the_dark_end(
    path: Path, board: Chessboard, pixels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Corners counted so that the square inside the first four is dark: detectors begin at
    either end."""
    grey = decode(path.read_bytes(), cv2.IMREAD_GRAYSCALE)
    assert grey is not None  # the board was found in it
    grid = pixels.reshape(board.rows, board.columns, 2)
    centres = (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4
    x, y = np.rint(centres).astype(int).transpose(2, 0, 1)
    shades = grey[y.clip(0, grey.shape[0] - 1), x.clip(0, grey.shape[1] - 1)].astype(float)
    row, column = np.indices(shades.shape)
    alike = (row + column) % 2 == 0
    return pixels if shades[alike].mean() < shades[~alike].mean() else pixels[::-1].copy()
