"""A board's description on the command line."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from calib.boards.april_grid import TAGS, AprilGrid
from calib.boards.charuco import Charuco
from calib.boards.chessboard import Chessboard
from calib.boards.corners import Board
from calib.errors import BoardError


class _Form(NamedTuple):
    """`least` columns and rows of `what`; `numbers` by name after them."""

    make: Callable[..., Board]
    least: int
    what: str
    numbers: tuple[str, ...]


_FORMS = {
    "chessboard": _Form(Chessboard, 3, "inner corners", ("SQUARE",)),
    "charuco": _Form(Charuco, 3, "inner corners", ("SQUARE", "MARKER")),
    "aprilgrid": _Form(AprilGrid, 2, "tags", ("TAG", "SPACING")),
}


def parse_board(text: str) -> Board:
    """`chessboard:9x6:0.025` has 9 x 6 inner corners and squares of 25 mm;
    `charuco:9x6:0.025:0.018` has markers of 18 mm too; `aprilgrid:6x6:0.088:0.3` has 6 x 6 tags
    of 88 mm and, as in Kalibr, gaps of 0.3 times that. Raises BoardError."""
    name, _, rest = text.partition(":")
    form = _FORMS.get(name)
    if form is None:
        raise BoardError(
            f"board '{text}' is of no known kind; use {', '.join(_FORMS)}, "
            "as in chessboard:9x6:0.025"
        )
    size, *numbers = rest.split(":")
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", size)
    wanted = ":".join((name, "COLUMNSxROWS", *form.numbers))
    if match is None or len(numbers) != len(form.numbers):
        raise BoardError(f"board '{text}' is not of the form {wanted}; sizes are in metres")
    columns, rows = int(match[1]), int(match[2])
    if min(columns, rows) < form.least:
        raise BoardError(
            f"board '{text}': {size} {form.what} are too few; "
            f"use at least {form.least}x{form.least}"
        )
    values = dict(zip(form.numbers, map(_number, numbers), strict=True))
    for (kind, value), number in zip(values.items(), numbers, strict=True):
        if kind == "SPACING":
            if not 0.05 <= value <= 1:
                raise BoardError(
                    f"board '{text}': '{number}' is no spacing; give gap / tag width, as 0.3"
                )
        elif not 1e-3 <= value <= 10:
            raise BoardError(f"board '{text}': '{number}' is no length; give metres, as 0.025")
    if values.get("MARKER", 0) >= values.get("SQUARE", math.inf):
        raise BoardError(f"board '{text}': markers must be smaller than squares")
    if name == "aprilgrid" and columns * rows > TAGS:
        raise BoardError(f"board '{text}': {columns * rows} tags, but family 36h11 has {TAGS}")
    return form.make(columns, rows, *values.values())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
