"""`octoview calibrate stitch`: the ground around the vehicle from above, and whether it joins."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from calib.camera import Camera
from calib.errors import BoardError
from calib.rig import Rig, load_rig, save_rig
from calib.surround.birds_eye import Body, GroundArea, ground_picture
from calib.surround.birds_eye import stitch as stitched
from calib.surround.pictures import load_pictures
from calib.surround.squares import PIXELS_PER_SIDE, Corners, find_corners
from deploy.commands.json_file import JsonFile, write_json

if TYPE_CHECKING:
    from calib.surround.seams import Lattice

_BODY_BGR = (60, 52, 46)
_ROUNDS = 2  # of --repose: what a camera sees of the cloth changes a little with its pose


def stitch(
    folder: Annotated[Path, typer.Argument(help="One picture of each camera, CAMERA.png.")],
    rig: Annotated[str, typer.Option(help="Rig file, or the built-in hw2.")],
    out: Annotated[Path, typer.Option(help="Picture from above to write, PNG or JPEG.")],
    square: Annotated[
        float | None,
        typer.Option(min=0.05, max=2, help="Side in metres of a chequered cloth's squares."),
    ] = None,
    body: Annotated[
        str | None,
        typer.Option(metavar="REAR,FRONT,WIDTH", help="The vehicle, metres: -1,3.8,1.9."),
    ] = None,
    reach: Annotated[float, typer.Option(min=1, max=50, help="Metres to show each way.")] = 8.0,
    pixel: Annotated[float, typer.Option(min=0.005, max=1, help="Metres per pixel.")] = 0.01,
    repose: Annotated[
        Path | None,
        typer.Option(help="Pose the cameras anew by the squares and write that rig here."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Join the ground views of all cameras, and measure on a chequered cloth how well they join.

    Example: octoview calibrate stitch pictures --rig car.yaml --square 0.4 --out above.png
    """
    if repose and square is None:
        raise BoardError("--repose needs the cloth's squares; give their side with --square")
    own = None if body is None else _body(body)
    cameras = load_rig(rig)
    pictures = load_pictures(folder, cameras)
    figures: dict[str, Any] = {"schema": "octoview.calibrate.stitch/1", "rig": cameras.name}
    console = Console(soft_wrap=True)
    if square is not None:
        found = _look(cameras, pictures, square, reach, own)
        figures["seams"] = _report(console, *found, "as in the rig")
    if repose and square is not None:
        rms: dict[str, float] = {}
        for _ in range(_ROUNDS):
            cameras, rms = _reposed(cameras, *found)
            found = _look(cameras, pictures, square, reach, own)
        figures["reposed"] = _report(console, *found, "posed anew") | {"rms_px": rms}
        for name, error in rms.items():
            console.print(f"{name}: squares fit to {error:.2f} px", highlight=False, markup=False)
        save_rig(cameras, repose)
        console.print(f"wrote {repose}", highlight=False, markup=False)
    area = GroundArea(-reach, reach, -reach, reach, pixel)
    views = (ground_picture(camera, pictures[camera.name], area, own) for camera in cameras)
    image = stitched(views, area)
    if own:
        _paint(image, own, area)
    if not cv2.imwrite(str(out), image):
        raise BoardError(f"{out}: can't be written; name a .png or .jpg in a folder that exists")
    console.print(f"wrote {out}", highlight=False, markup=False)
    write_json(json_file, figures)


def _body(text: str) -> Body:
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise BoardError(f"--body is '{text}'; give REAR,FRONT,WIDTH in metres, as -1,3.8,1.9")
    rear, front, width = values
    if front <= rear or width <= 0:
        raise BoardError(f"--body is '{text}'; FRONT must be ahead of REAR, and WIDTH above 0")
    return Body(rear, front, width)


def _look(
    rig: Rig,
    pictures: dict[str, NDArray[np.uint8]],
    square: float,
    reach: float,
    body: Body | None,
) -> "tuple[dict[str, Corners], Lattice]":
    """Corners of the cloth by camera, and where the cloth lies."""
    from calib.surround.seams import fit_lattice

    area = GroundArea(-reach, reach, -reach, reach, square / PIXELS_PER_SIDE)
    found = {
        camera.name: find_corners(
            ground_picture(camera, pictures[camera.name], area, body), area, square
        )
        for camera in rig
    }
    return found, fit_lattice(found, square)


def _reposed(
    rig: Rig, found: dict[str, Corners], lattice: "Lattice"
) -> tuple[Rig, dict[str, float]]:
    """The rig with every camera that sees the cloth posed by it, and what is left in pixels."""
    from calib.surround.repose import repose  # scipy is slow to start

    cameras: list[Camera] = []
    rms = {}
    for camera in rig:
        corners = found[camera.name]
        if len(corners):
            result = repose(camera, corners.points, lattice.places(camera.name))
            camera, rms[camera.name] = result.camera, result.rms_px
        cameras.append(camera)
    return Rig(rig.name, tuple(cameras)), rms


def _report(
    console: Console, found: dict[str, Corners], lattice: "Lattice", title: str
) -> dict[str, Any]:
    from calib.surround.seams import seams

    table = Table("", title=f"Ground views, {title}", title_justify="left")
    for heading in ("corners", "median, cm", "95 %, cm", "worst, cm"):
        table.add_column(heading, justify="right")
    figures: dict[str, Any] = {"between": {}, "from_cloth": {}}
    for (a, b), gaps in seams(found, lattice.side).items():
        figures["between"][f"{a}-{b}"] = _row(table, f"between {a} and {b}", gaps)
    table.add_section()
    for camera, corners in found.items():
        off = np.linalg.norm(corners.points - lattice.places(camera), axis=1)
        figures["from_cloth"][camera] = _row(table, f"{camera} from the cloth", off)
    console.print(table)
    return figures


def _row(table: Table, name: str, off: NDArray[np.float64]) -> dict[str, float]:
    if not len(off):
        table.add_row(name, "0")
        return {"corners": 0}
    parts = {
        "median_m": float(np.median(off)),
        "p95_m": float(np.quantile(off, 0.95)),
        "worst_m": float(off.max()),
    }
    table.add_row(name, str(len(off)), *(f"{100 * value:.1f}" for value in parts.values()))
    return {"corners": len(off), **parts}


def _paint(image: NDArray[np.uint8], body: Body, area: GroundArea) -> None:
    """The vehicle itself, which no camera shows from above."""
    ground = area.points()
    inside = (ground[..., 0] > body.rear) & (ground[..., 0] < body.front)
    inside &= np.abs(ground[..., 1]) < body.width / 2
    image[inside] = _BODY_BGR
