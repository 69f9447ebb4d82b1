"""`octoview calibrate`: from pictures and drives to lenses and rigs that can be believed."""

import typer

from deploy.commands.calibrate.check import check
from deploy.commands.calibrate.convert import convert
from deploy.commands.calibrate.drift import drift
from deploy.commands.calibrate.homography import homography
from deploy.commands.calibrate.intrinsics import intrinsics
from deploy.commands.calibrate.rig import rig
from deploy.commands.calibrate.stitch import stitch

app = typer.Typer(help="Calibrate cameras.", no_args_is_help=True)
app.command("check")(check)
app.command("convert")(convert)
app.command("drift")(drift)
app.command("homography")(homography)
app.command("intrinsics")(intrinsics)
app.command("rig")(rig)
app.command("stitch")(stitch)


@app.callback()
def calibrate() -> None:
    """Calibrate cameras."""
