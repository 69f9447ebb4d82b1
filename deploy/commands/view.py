"""`octoview view`: a log in the Rerun viewer."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.progress import Ticker
from deploy.errors import DeployError
from deploy.viewer.rerun_log import rerun_package, write_rrd

_RESULT = "perception.mcap"


def view(
    log: Annotated[
        Path, typer.Argument(help=f"Log, or the folder of a replay with its {_RESULT}.")
    ],
    save: Annotated[Path | None, typer.Option(help="Write this .rrd and open nothing.")] = None,
) -> None:
    """Show images, boxes, drivable areas, the map, the rig, health and latency in Rerun.

    The viewer listens on this machine only, and ends with its window.

    Example: octoview view out/demo
    """
    rerun_package()
    log = log / _RESULT if log.is_dir() else log
    if save is not None and save.suffix != ".rrd":
        raise DeployError(f"--save {save}: is no .rrd file; name one, such as drive.rrd")
    if save is not None:
        _write(log, save)
        print(f"wrote {save}")
        return
    with tempfile.TemporaryDirectory(prefix="octoview-view-") as folder:
        recording = Path(folder) / f"{log.stem}.rrd"
        _write(log, recording)
        viewer = [sys.executable, "-m", "rerun", str(recording)]
        ended = subprocess.run([*viewer, "--bind", "127.0.0.1", "--port", "auto"], check=False)
        if ended.returncode:
            raise DeployError(
                f"{log}: the viewer ended with {ended.returncode}; without a screen, --save it"
            )


def _write(log: Path, out: Path) -> None:
    with Ticker(f"reading {log.name}", None, "second") as ticker:
        write_rrd(log, out, lambda seconds: ticker.advance_to(int(seconds)))
