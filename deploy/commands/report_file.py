"""The --report FILE.html (or --html) option of commands that can show what they found."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.errors import DeployError


def _check_report(param: typer.CallbackParam, path: Path | None) -> Path | None:
    """Say at once, and not after the work, that this can't be the page's file."""
    if path is not None and (path.is_dir() or path.suffix != ".html"):
        raise DeployError(
            f"{param.opts[0]} {path}: is no .html file; name one, such as report.html"
        )
    return path


ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report", help="Write a page with pictures and plots here.", callback=_check_report
    ),
]

HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", help="Write one page with all of it here.", callback=_check_report),
]
