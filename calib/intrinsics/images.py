"""Find a board in every image of a folder."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards.corners import Board
from calib.encoded_image import decode
from calib.errors import BoardError
from calib.intrinsics.fit import View

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".webp"}
_BRIGHT, _TOO_BRIGHT = 250, 0.3
_SHARP_ENOUGH = 15.0
_SAME_SIZE = 2
"""Pixels that rounding, when a picture is saved again, may add or take."""


@dataclass(frozen=True)
class Boards:
    """Boards found in images of `width` x `height`; `skipped` says why by file name, and
    `resized` names images that are a pixel or two larger or smaller and were used as they are."""

    width: int
    height: int
    views: tuple[View, ...]
    skipped: dict[str, str]
    resized: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return len(self.views) + len(self.skipped)


def find_boards(
    folder: Path, board: Board, report: Callable[[int, int], None] = lambda done, total: None
) -> Boards:
    """`report` gets the images done and in all. Raises BoardError for a folder without images."""
    if not folder.is_dir():
        raise BoardError(f"{folder}: no such folder; give the folder of the board's pictures")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise BoardError(f"{folder}: holds no image ({', '.join(sorted(SUFFIXES))})")

    def look(path: Path) -> tuple[tuple[int, int] | None, View | str]:
        try:
            grey = decode(path.read_bytes(), cv2.IMREAD_GRAYSCALE)
        except OSError as error:
            return None, f"can't be read ({error.strerror})"
        if grey is None:
            return None, "is no image that OpenCV can read"
        height, width = grey.shape
        corners = board.find(grey)
        if corners is None:
            return (width, height), _why_not(grey)
        return (width, height), View(path.name, board.points[corners.ids], corners.pixels)

    looked = []
    with ThreadPoolExecutor() as pool:  # OpenCV lets other threads run
        for path, result in zip(paths, pool.map(look, paths), strict=True):
            looked.append((path.name, *result))
            report(len(looked), len(paths))
    # The size of most boards, not of most files: thumbnails do not decide.
    sizes = Counter(size for _, size, view in looked if isinstance(view, View))
    if not sizes:
        sizes = Counter(size for _, size, _ in looked if size)
    width, height = sizes.most_common(1)[0][0] if sizes else (0, 0)  # type: ignore[misc]
    views, skipped, resized = [], {}, []
    for name, size, view in looked:
        if isinstance(view, str):
            skipped[name] = view
            continue
        columns, rows = size or (0, 0)
        if max(abs(columns - width), abs(rows - height)) > _SAME_SIZE:
            skipped[name] = f"is {columns}x{rows}, the others {width}x{height}; one size a camera"
            continue
        views.append(view)
        if (columns, rows) != (width, height):
            resized.append(name)
    return Boards(width, height, tuple(views), skipped, tuple(resized))


def _why_not(grey: NDArray[np.uint8]) -> str:
    """A guess from the picture, for whoever has to take it again."""
    if grey.mean() < 25:
        return "no board found: too dark"
    if (grey >= _BRIGHT).mean() > _TOO_BRIGHT:
        return "no board found: over-exposed"
    if cv2.Laplacian(grey, cv2.CV_32F).var() < _SHARP_ENOUGH:
        return "no board found: blurred"
    return "no board found: not all of it in the picture, or another pattern"
