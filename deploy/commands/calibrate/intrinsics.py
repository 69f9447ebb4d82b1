"""`octoview calibrate intrinsics`: a folder of board pictures in, a lens out."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from calib.boards.parse import parse_board
from calib.intrinsics.calibrate import Calibration, calibrate
from calib.intrinsics.camera_file import NAMES, parameters, save_camera
from calib.intrinsics.images import Boards, find_boards
from deploy.commands.calibrate.intrinsics_page import lens_title, write_lens_page
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.commands.report_file import ReportFile


class LensModel(str, Enum):
    auto = "auto"
    pinhole = "pinhole"
    fisheye = "fisheye"


def intrinsics(
    folder: Annotated[Path, typer.Argument(help="Pictures of the board, one camera, one size.")],
    board: Annotated[
        str,
        typer.Option(
            help="chessboard:9x6:0.025 (inner corners, square in metres), "
            "charuco:9x6:0.025:0.018 or aprilgrid:6x6:0.088:0.3 (tags, tag in metres, gap / tag)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Camera file to write, YAML.")],
    model: Annotated[LensModel, typer.Option(help="Kind of lens.")] = LensModel.auto,
    json_file: JsonFile = None,
    report: ReportFile = None,
) -> None:
    """Calibrate one camera's lens from pictures of a board.

    Example: octoview calibrate intrinsics pictures --board chessboard:9x6:0.025 --out front.yaml
    """
    target = parse_board(board)
    with Ticker("looking for boards", None, "image") as ticker:
        boards = find_boards(folder, target, lambda done, total: ticker.advance_to(done))
    console = Console(soft_wrap=True)
    for name, reason in boards.skipped.items():
        console.print(f"{name}: {reason}", highlight=False, markup=False)
    found = calibrate(boards, model.value)
    _show(console, found, boards)
    save_camera(out, found, board)
    lens = found.lens
    write_json(
        json_file,
        {
            "schema": "octoview.calibrate.intrinsics/1",
            "model": lens.model,
            "width": lens.width,
            "height": lens.height,
            **{name: getattr(lens, name) for name in NAMES},
            "distortion": list(lens.distortion),
            "standard_deviations": [float(x) for x in found.deviations],
            "rms_px": found.rms_px,
            "heldout_rms_px": found.heldout_rms_px,
            "heldout_rms_px_by_model": found.heldout_by_model,
            "boards_used": len(found.views),
            "boards_total": boards.total,
            "outliers": found.outliers,
            "skipped": boards.skipped,
            "warnings": list(found.warnings),
        },
    )
    if report:
        write_lens_page(report, folder, boards, found)
    for path in filter(None, (out, report)):
        console.print(f"wrote {path}", highlight=False, markup=False)


def _show(console: Console, found: Calibration, boards: Boards) -> None:
    for name, error in found.outliers.items():
        console.print(
            f"{name}: left out, {error:.2f} px off where the others agree; moved or bent board?",
            highlight=False,
            markup=False,
        )
    table = Table(title=lens_title(found.lens), title_justify="left")
    table.add_column("parameter")
    table.add_column("value", justify="right")
    table.add_column("standard deviation", justify="right")
    for name, value, deviation, digits in parameters(found):
        table.add_row(name, f"{value:.{digits}f}", f"{deviation:.{digits}f}")
    console.print(table)
    console.print(
        f"{len(found.views)} of {boards.total} images used; rms {found.rms_px:.3f} px, "
        f"{found.heldout_rms_px:.3f} px on boards held out",
        highlight=False,
    )
    for line in found.warnings:
        console.print(f"warning: {line}", highlight=False, markup=False)
