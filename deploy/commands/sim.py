"""`octoview sim`: logs and training folders from the synthetic world."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from calib.rig import load_rig
from deploy.commands.progress import Ticker
from perception.errors import PerceptionError

app = typer.Typer(
    help="Render synthetic logs and training views with exact truth.", no_args_is_help=True
)

_RIG = typer.Option(help="Rig file or built-in name.")
_SEED = typer.Option(min=0, help="Equal seeds give equal bytes.")
_JSON = typer.Option("--json", help="Write the figures as JSON.")


@app.command()
def views(
    folder: Annotated[Path, typer.Argument(help="New folder.")],
    count: Annotated[int, typer.Option("--views", min=1, help="Pictures in all.")] = 160,
    seed: Annotated[int, _SEED] = 0,
    rig: Annotated[str, _RIG] = "hw2",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    json_file: Annotated[Path | None, _JSON] = None,
) -> None:
    """Write a training folder: pictures, labels and boxes of many random worlds.

    Example: octoview sim views views/train --views 1600 --seed 1
    """
    try:
        from perception.synthetic.views import write_views
    except ImportError as error:
        raise _missing(error) from error
    began = time.perf_counter()
    with Ticker("sim views", count, "view") as ticker:
        index = write_views(folder, load_rig(rig), count, seed, workers, ticker.advance_to)
    wall = time.perf_counter() - began
    kinds = [o["class"] for view in index["views"] for o in view["objects"] if not o["ignore"]]
    objects = {name: round(kinds.count(name) / count, 2) for name in index["object_classes"]}
    shown = ", ".join(f"{value} {name}" for name, value in objects.items())
    print(f"{folder}: {count} views in {wall:.1f} s ({count / wall:.1f} views/s); a view: {shown}")
    if json_file:
        report = {
            "views": count,
            "seconds": wall,
            "views_per_second": count / wall,
            "objects_per_view": objects,
        }
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _missing(error: ImportError) -> PerceptionError:
    return PerceptionError(f"sim needs the module '{error.name}'; install octoview[sim]")
