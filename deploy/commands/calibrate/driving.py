"""What `calibrate rig --from-driving` and `calibrate drift` share: a log in, mountings out."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from calib.pose import angles
from calib.rig import Rig, load_rig
from deploy.commands.progress import Ticker

if TYPE_CHECKING:
    from calib.driving.estimate import Mounting


def estimate_rig(log: Path, rig_file: str | None) -> tuple[Rig, dict[str, "Mounting"], list[str]]:
    """The rig of `rig_file`, or the log's own; what the drive says of each of its cameras; and
    warnings."""
    from calib.driving.estimate import estimate_mounting  # scipy is slow to start
    from deploy.driving import follow_drive
    from deploy.log.reader import LogReader

    reader = LogReader(log)
    rig = reader.rig if rig_file is None else load_rig(rig_file)
    with Ticker("following points", None, "image") as ticker:
        drive = follow_drive(reader, rig, ticker.advance_to)
    warnings = [f"{name}: images left out: {why}" for name, why in drive.unusable.items()]
    if reader.truncated:
        warnings.append(f"{log}: is cut off; taken up to the cut")
    if not drive.has_poses:
        warnings.append(
            f"{log}: no poses of the vehicle on /tf, so heights are not looked for, and the "
            "vehicle is taken to go along its x axis where it goes straight"
        )
    found = {}
    with Ticker("fitting", len(rig), "camera") as ticker:
        for camera in rig:
            found[camera.name] = estimate_mounting(camera, drive.pairs[camera.name])
            ticker.advance(camera.name)
    return rig, found, warnings


def show(console: Console, rig: Rig, found: dict[str, "Mounting"], warnings: list[str]) -> None:
    """A table of what was found, and the warnings."""
    table = Table("camera", title="Cameras in the ego frame, by the drive", title_justify="left")
    for heading in ("yaw, degree", "pitch", "roll", "height, m", "pairs", "of the road"):
        table.add_column(heading, justify="right")
    for camera in rig:
        one = found[camera.name]
        if not np.isfinite(one.sigma_deg).all():
            table.add_row(camera.name, "-", "-", "-", "-", str(one.pairs), "0")
            continue
        degrees = np.degrees(angles(one.ego_from_camera))
        cells = [f"{a:.2f} ± {s:.2f}" for a, s in zip(degrees, one.sigma_deg, strict=True)]
        height = "-"
        if one.sigma_height_m is not None:
            height = f"{one.ego_from_camera[2, 3]:.3f} ± {one.sigma_height_m:.3f}"
        table.add_row(camera.name, *cells, height, str(one.pairs), str(one.road_points))
    console.print(table)
    for line in warnings:
        console.print(f"warning: {line}", highlight=False, markup=False)


def figures(one: "Mounting") -> dict[str, object]:
    """One camera's for --json; null where the drive does not show it."""
    known = bool(np.isfinite(one.sigma_deg).all())
    return {
        "ego_from_camera": one.ego_from_camera.tolist() if known else None,
        "turn_deg": one.turn_deg.tolist() if known else None,
        "sigma_deg": one.sigma_deg.tolist() if known else None,
        "raised_m": one.raised_m,
        "sigma_height_m": one.sigma_height_m,
        "pairs": one.pairs,
        "points": one.points,
        "road_points": one.road_points,
        "rms_px": one.rms_px if known else None,
        "doubt": one.doubt,
    }
