"""The `octoview` command: a thin layer over library functions.

Exit codes: 0 done, 1 failed (a check or gate said no), 2 bad usage or input.
"""

import sys
from typing import NoReturn

import typer

from calib.errors import CalibError
from deploy.commands import bench, calibrate, evaluate, flash, import_, replay, sim, train
from deploy.commands.doctor import doctor
from deploy.commands.export import export
from deploy.commands.package import package
from deploy.commands.run import run
from deploy.commands.self_test import self_test
from deploy.commands.view import view
from deploy.errors import DeployError
from export.errors import ExportError
from perception.errors import PerceptionError

app = typer.Typer(
    name="octoview",
    help="Eight cameras in, one map of the road out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(sim.app, name="sim")
app.add_typer(import_.app, name="import")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(bench.app, name="bench")
app.add_typer(replay.app, name="replay")
app.add_typer(flash.app, name="flash")
app.command("run")(run)
app.command("export")(export)
app.command("view")(view)
app.command("doctor")(doctor)
app.command("self-test")(self_test)
app.command("package")(package)


def main() -> None:
    """Run the command line; bad input ends in one line on stderr, never a traceback."""
    try:
        app()
    except (CalibError, PerceptionError, ExportError, DeployError) as error:
        _give_up(str(error))
    except OSError as error:  # no permission, no space, not a folder: what no library foresaw
        where = f"{error.filename}: " if error.filename else ""
        _give_up(f"{where}{error.strerror or error}; check the path, its permissions and the disk")


def _give_up(message: str) -> NoReturn:
    print(f"octoview: {' '.join(message.splitlines())}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
