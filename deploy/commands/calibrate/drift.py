"""`octoview calibrate drift`: has a camera moved since its mounting was written down?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.commands.calibrate.driving import estimate_rig, figures, show
from deploy.commands.json_file import JsonFile, write_json

_MOVED = 1


def drift(
    log: Annotated[Path, typer.Argument(help="MCAP log of a drive, 30 s or more.")],
    rig: Annotated[
        str | None, typer.Option(help="Rig file to check, or built-in name; else the log's own.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Tell whether cameras still look where their file says, from the car driving.

    Exit 1 if any has moved, 0 if none is seen to have; where the drive shows too little of a
    camera, a line says so.

    Example: octoview calibrate drift drive.mcap --rig car.yaml
    """
    from calib.driving.drift import judge  # scipy is slow to start

    given, found, warnings = estimate_rig(log, rig)
    console = Console(soft_wrap=True)
    show(console, given, found, warnings)
    verdicts = {name: judge(one) for name, one in found.items()}
    for name, one in verdicts.items():
        words = {"ok": "in place", "moved": "MOVED", "unknown": "can't tell"}[one.verdict]
        console.print(f"{name}: {words}: {one.reason}", highlight=False, markup=False)
    moved = [name for name, one in verdicts.items() if one.verdict == "moved"]
    write_json(
        json_file,
        {
            "schema": "octoview.calibrate.drift/1",
            "moved": moved,
            "cameras": {
                name: {"verdict": one.verdict, "reason": one.reason, **figures(found[name])}
                for name, one in verdicts.items()
            },
            "warnings": warnings,
        },
    )
    if moved:
        raise typer.Exit(_MOVED)
