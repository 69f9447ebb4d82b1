"""`octoview calibrate convert`: calibration files from one format to another."""

import math
import re
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from calib.errors import FormatError
from calib.formats.cameras import CameraSet
from calib.formats.convert import FORMATS, format_named, read_cameras, write_cameras
from calib.formats.document import Given
from calib.rig import BUILT_IN
from deploy.commands.json_file import JsonFile, write_json
from deploy.log.channels import bucket_of_width

_DEFAULT_RATE_HZ = 10.0
_KEYS = ", ".join(FORMATS)


class LensModel(str, Enum):
    pinhole = "pinhole"
    fisheye = "fisheye"


def convert(
    files: Annotated[
        list[Path],
        typer.Argument(help="Calibration file; or several of one camera each; or the rig hw2."),
    ],
    to: Annotated[str, typer.Option(metavar="FORMAT", help=f"Format to write: {_KEYS}.")],
    out: Annotated[
        Path, typer.Option(help="File to write; a folder, where a file holds only one camera.")
    ],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FORMAT", help="Format to read; else by the file's keys."),
    ] = None,
    camera: Annotated[str | None, typer.Option(help="Convert this camera alone.")] = None,
    model: Annotated[
        LensModel | None, typer.Option(help="Lens of a file that doesn't name one.")
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[CAMERA=]WxH", help="Image size of a file that has none; may be repeated."
        ),
    ] = None,
    mount: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z,YAW,PITCH,ROLL",
            help="Where the file's own frame (first camera, IMU) sits on the vehicle, as `pose` of "
            "a rig: metres and degrees.",
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Frames per second, for a rig from a file without.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Convert calibration files. What the new format can't hold is said in a line each; what would
    make a wrong camera is refused.

    Examples:\n
    octoview calibrate convert camchain.yaml --to ros --out cameras/\n
    octoview calibrate convert camchain.yaml --to rig --mount 2,0,1.4,0,-3,0 --out car.yaml\n
    octoview calibrate convert front.yaml --model fisheye --to camera --out front_camera.yaml
    """
    target = format_named(to)
    given = Given(model.value if model else None, dict(_size(text) for text in size or []))
    found = read_cameras(files, given, format_named(source) if source else None)
    if camera:
        found = found.only(camera)
    if mount:
        found = found.mounted(*_mount(mount))
    if target.key == "rig":
        found = _complete(found, rate, out.stem)
    _check_not_an_input(files, found, out, target.suffix)
    written, notes = write_cameras(found, target, out)
    warnings = [*found.notes, *notes]
    for line in warnings:
        print(f"warning: {line}")
    for path in written:
        print(f"wrote {path}")
    write_json(
        json_file,
        {
            "schema": "octoview.calibrate.convert/1",
            "format": target.key,
            "cameras": [each.name for each in found.cameras],
            "files": [str(path) for path in written],
            "warnings": warnings,
        },
    )


def _size(text: str) -> tuple[str, tuple[int, int]]:
    match = re.fullmatch(r"(?:([A-Za-z0-9_-]+)=)?([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if not match:
        raise FormatError(f"--size is '{text}'; give it as 1280x960 or front=1280x960")
    return match[1] or "", (int(match[2]), int(match[3]))


def _mount(text: str) -> tuple[list[float], float, float, float]:
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 6 or not all(map(math.isfinite, values)):
        raise FormatError(
            f"--mount is '{text}'; give X,Y,Z in metres and YAW,PITCH,ROLL in degrees"
        )
    yaw, pitch, roll = map(math.radians, values[3:])
    return values[:3], yaw, pitch, roll


def _complete(found: CameraSet, rate: float | None, name: str) -> CameraSet:
    """What a rig needs beside lenses and poses, and other formats do not know."""
    notes = found.notes
    if rate is None and any(each.rate_hz is None for each in found.cameras):
        notes = (*notes, f"rate_hz is not in the input: {_DEFAULT_RATE_HZ:g} assumed; see --rate")
    cameras = tuple(
        replace(
            each,
            rate_hz=rate if rate is not None else each.rate_hz or _DEFAULT_RATE_HZ,
            bucket=each.bucket or bucket_of_width(each.lens.width),
        )
        for each in found.cameras
    )
    return replace(found, cameras=cameras, name=found.name or name, notes=notes)


def _check_not_an_input(files: list[Path], found: CameraSet, out: Path, suffix: str) -> None:
    inputs = {BUILT_IN.get(str(path), path).resolve() for path in files}
    for path in (out, *(out / f"{each.name}{suffix}" for each in found.cameras)):
        if path.resolve() in inputs:
            raise FormatError(f"--out {path}: is the input; name another file")
