"""`octoview calibrate check`: does a rig fit what its cameras recorded?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from calib.check.finding import Level
from calib.rig import Rig, load_rig
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.commands.report_file import ReportFile
from deploy.log.reader import LogReader

if TYPE_CHECKING:
    from calib.check.judge import CameraVerdict, Verdict

WORDS = {Level.NOTE: "good", Level.DOUBTFUL: "doubtful", Level.BAD: "bad"}
_SHOWN = 1.0
"""Degrees of standard deviation from which on an angle is not shown."""


def check(
    log: Annotated[Path, typer.Argument(help="Log of driving, best straight on.")],
    rig: Annotated[
        str | None, typer.Option(help="Rig file, or hw2; the log's own by default.")
    ] = None,
    moments: Annotated[
        int, typer.Option(min=1, max=100, help="Moments of the log to look at.")
    ] = 3,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Of the log, from its start, that moments are from.")
    ] = 20.0,
    report: ReportFile = None,
    json_file: JsonFile = None,
) -> None:
    """Check the calibration of a rig against a log. Exit code 0: good; 1: doubtful or bad.

    Example: octoview calibrate check drive.mcap --rig car.yaml --report check.html
    """
    from calib.check.judge import judge  # scipy is slow to start
    from deploy.check.evidence import log_evidence
    from deploy.check.moments import find_moments

    reader = LogReader(log)
    given = load_rig(rig) if rig else reader.rig
    chosen = find_moments(reader, given, moments, seconds)
    with Ticker(f"looking at {log.name}", None, "image") as ticker:
        found = log_evidence(chosen, given, lambda done, total: ticker.advance_to(done))
    verdict = judge(found.evidence, list(given), found.image_sizes)
    console = Console(soft_wrap=True)
    _show(console, given, verdict)
    write_json(json_file, _figures(log, given, verdict))
    if report:
        from deploy.commands.calibrate.check_page import write_check_page

        write_check_page(report, reader, given, chosen[0], found.evidence, verdict)
        console.print(f"wrote {report}", highlight=False, markup=False)
    raise typer.Exit(int(verdict.level > Level.NOTE))


def _show(console: Console, rig: Rig, verdict: "Verdict") -> None:
    table = Table("camera", "verdict", title=f"Rig {rig.name}", title_justify="left")
    for heading in ("matches", "over time", "yaw", "pitch", "roll"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one in verdict.cameras.items():
        table.add_row(name, WORDS[one.level], *cells(one))
    console.print(table)
    console.print(
        "matches with other cameras, and with itself a little later, that agree with the rig, of "
        "those found, of which some are always wrong;\nyaw, pitch and roll: degrees by which the "
        "camera is off, each about ± 0.2 at best",
        highlight=False,
    )
    for name, one in verdict.cameras.items():
        for finding in one.findings:
            console.print(
                f"{'note' if finding.level == Level.NOTE else WORDS[finding.level]}: "
                f"{name}: {finding.text}",
                highlight=False,
                markup=False,
            )
    console.print(f"verdict: {WORDS[verdict.level]}", highlight=False)


def cells(one: "CameraVerdict") -> list[str]:
    """The figures of one camera; a dash where the pictures do not show an angle."""
    angles = [
        f"{round(angle, 1) + 0.0:+.1f}" if sigma < _SHOWN and angle == angle else "-"
        for angle, sigma in zip(one.off, one.sigma, strict=True)
    ]
    matches, later = f"{one.agreeing}/{one.matches}", f"{one.moving_agreeing}/{one.moving}"
    return [matches, later, *angles]


def _figures(log: Path, rig: Rig, verdict: "Verdict") -> dict[str, object]:
    return {
        "schema": "octoview.calibrate.check/1",
        "log": log.name,
        "rig": rig.name,
        "verdict": WORDS[verdict.level],
        "cameras": {
            name: {
                "verdict": WORDS[one.level],
                "findings": [
                    {"level": finding.level.name.lower(), "text": finding.text}
                    for finding in one.findings
                ],
                "off_deg": _angles(one.off),
                "sigma_deg": _angles(one.sigma),
                "matches": one.matches,
                "matches_agreeing": one.agreeing,
                "matches_over_time": one.moving,
                "matches_over_time_agreeing": one.moving_agreeing,
                "partners": one.partners,
            }
            for name, one in verdict.cameras.items()
        },
    }


def _angles(values: tuple[float, float, float]) -> dict[str, float | None]:
    known = (round(value, 4) if value == value else None for value in values)
    return dict(zip(("yaw", "pitch", "roll"), known, strict=True))
