"""`octoview calibrate rig`: where the cameras are, from boards that they see or from a drive."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from calib.boards.parse import parse_board
from calib.errors import BoardError, RigError
from calib.extrinsics.sightings import find_sightings
from calib.extrinsics.targets import load_targets
from calib.rig import Camera, Rig, save_rig
from deploy.commands.calibrate.driving import estimate_rig, figures, show
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.log.channels import bucket_of_width

if TYPE_CHECKING:
    from calib.extrinsics.calibrate import Mounted, RigCalibration


def rig(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|LOG",
            help="Pictures, CAMERA/INSTANT.png; equal names are one instant. With --from-driving "
            "the MCAP log of a drive.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Rig file to write, YAML.")],
    from_driving: Annotated[
        bool, typer.Option("--from-driving", help="Angles and heights from a drive, no boards.")
    ] = False,
    first_guess: Annotated[
        str | None,
        typer.Option(
            "--rig",
            help="With --from-driving: rig file or built-in name to start from; else the log's.",
        ),
    ] = None,
    lenses: Annotated[
        Path | None, typer.Option(help="Folder of CAMERA.yaml files of calibrate intrinsics.")
    ] = None,
    board: Annotated[
        str | None, typer.Option(help="chessboard:9x6:0.1, as for calibrate intrinsics.")
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="YAML: where some of the boards were measured to be.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.1, max=1000, help="Frames per second of the cameras.")
    ] = 36.0,
    json_file: JsonFile = None,
) -> None:
    """Find where all cameras are on the vehicle, from boards that several of them see, or from the
    car driving.

    Examples:\n
    octoview calibrate rig pictures --lenses lenses --board chessboard:9x6:0.1
    --targets targets.yaml --out car.yaml\n
    octoview calibrate rig drive.mcap --from-driving --out car.yaml
    """
    if from_driving:
        if lenses or board or targets:
            raise BoardError("--lenses, --board and --targets don't go with --from-driving")
        _from_driving(source, first_guess, out, json_file)
        return
    if first_guess is not None:
        raise BoardError("--rig goes with --from-driving only")
    if lenses is None or board is None or targets is None:
        raise BoardError("give --lenses, --board and --targets; or --from-driving and a log")
    _from_boards(source, lenses, board, targets, out, rate, json_file)


def _from_driving(log: Path, first_guess: str | None, out: Path, json_file: Path | None) -> None:
    given, found, warnings = estimate_rig(log, first_guess)
    console = Console(soft_wrap=True)
    doubts = {name: one.doubt for name, one in found.items() if one.doubt}
    for name, one in found.items():
        if one.sigma_height_m is None and name not in doubts:
            doubts[name] = "its height is not known without poses of the vehicle in the log"
    warnings += [f"{n}: not verified and not in the rig file: {why}" for n, why in doubts.items()]
    show(console, given, found, warnings)
    write_json(
        json_file,
        {
            "schema": "octoview.calibrate.rig-from-driving/1",
            "cameras": {
                name: figures(one) | {"verified": name not in doubts, "doubt": doubts.get(name)}
                for name, one in found.items()
            },
            "warnings": warnings,
        },
    )
    cameras = [
        replace(camera, ego_from_camera=found[camera.name].ego_from_camera)
        for camera in given
        if camera.name not in doubts
    ]
    _save(console, cameras, out, "drive longer, with poses in the log")


def _from_boards(
    folder: Path,
    lenses: Path,
    board: str,
    targets: Path,
    out: Path,
    rate: float,
    json_file: Path | None,
) -> None:
    from calib.extrinsics.calibrate import calibrate_rig  # scipy is slow to start

    target = parse_board(board)
    measured = load_targets(targets, target)
    with Ticker("looking for boards", None, "camera") as ticker:
        seen = 0

        def next_camera(name: str) -> None:
            nonlocal seen
            seen += 1
            ticker.advance_to(seen, name)

        found = find_sightings(folder, lenses, target, next_camera)
    result = calibrate_rig(found, measured)
    console = Console(soft_wrap=True)
    _show(console, result, found.skipped)
    write_json(json_file, _figures(result, found.skipped))
    cameras = [
        Camera(
            name,
            found.lenses[name],
            one.ego_from_camera,
            rate,
            bucket_of_width(found.lenses[name].width),
        )
        for name, one in result.cameras.items()
        if one.ego_from_camera is not None and one.doubt is None
    ]
    _save(console, cameras, out, "take more boards")


def _save(console: Console, cameras: list[Camera], out: Path, remedy: str) -> None:
    if not cameras:
        raise RigError(f"no camera is verified, so {out} is not written; {remedy}")
    save_rig(Rig(out.stem, tuple(cameras)), out)
    console.print(f"wrote {out}: {len(cameras)} cameras", highlight=False, markup=False)


def _show(console: Console, result: "RigCalibration", skipped: dict[str, str]) -> None:
    for name, reason in skipped.items():
        console.print(f"{name}: {reason}", highlight=False, markup=False)
    for name, error in result.outliers.items():
        console.print(
            f"{name}: left out, {error:.1f} px off where the others agree; did the board move?",
            highlight=False,
            markup=False,
        )
    table = Table("camera", title="Cameras in the ego frame", title_justify="left")
    for heading in ("boards", "rms, px", "x, m", "y, m", "z, m", "± mm", "± degree"):
        table.add_column(heading, justify="right")
    for name, one in result.cameras.items():
        if one.ego_from_camera is None or one.deviations is None:
            table.add_row(name, "0")
            continue
        x, y, z = one.ego_from_camera[:3, 3]
        place, angle = 1000 * one.deviations[3:].max(), np.degrees(one.deviations[:3].max())
        numbers = (f"{one.rms_px:.2f}", f"{x:.3f}", f"{y:.3f}", f"{z:.3f}")
        table.add_row(name, str(one.boards), *numbers, f"{place:.1f}", f"{angle:.3f}")
    console.print(table)
    for name, off in result.off_tape.items():
        console.print(f"{name}: {1000 * off:.1f} mm from where it was measured", highlight=False)
    for line in result.warnings:
        console.print(f"warning: {line}", highlight=False, markup=False)
    for name, one in result.cameras.items():
        if one.doubt:
            console.print(
                f"warning: {name}: not verified and not in the rig file: {one.doubt}",
                highlight=False,
                markup=False,
            )


def _figures(result: "RigCalibration", skipped: dict[str, str]) -> dict[str, object]:
    return {
        "schema": "octoview.calibrate.rig/1",
        "rms_px": result.rms_px,
        "sightings_used": result.sightings_used,
        "cameras": {name: _camera(one) for name, one in result.cameras.items()},
        "outliers": result.outliers,
        "off_tape_m": result.off_tape,
        "skipped": skipped,
        "warnings": list(result.warnings),
    }


def _camera(one: "Mounted") -> dict[str, object]:
    pose, deviations = one.ego_from_camera, one.deviations
    return {
        "verified": one.doubt is None,
        "doubt": one.doubt,
        "boards": one.boards,
        "rms_px": one.rms_px,
        "ego_from_camera": None if pose is None else pose.tolist(),
        "standard_deviations": None if deviations is None else deviations.tolist(),
    }
