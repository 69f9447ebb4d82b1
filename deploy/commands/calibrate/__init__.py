"""`octoview calibrate`: from boards and logs to a rig file that can be believed."""

import typer

app = typer.Typer(
    help="Calibrate cameras, check a rig against a log, and convert calibration files.",
    no_args_is_help=True,
)
