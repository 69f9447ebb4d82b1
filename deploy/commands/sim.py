"""`octoview sim`: logs and training folders from the synthetic world."""

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from calib.rig import load_rig
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from perception.errors import PerceptionError

app = typer.Typer(
    help="Render synthetic logs and training views with exact truth.", no_args_is_help=True
)

_RIG = typer.Option(help="Rig file or built-in name.")
_SEED = typer.Option(min=0, help="Equal seeds give equal bytes.")


@app.command()
def log(
    out: Annotated[Path, typer.Argument(help="Log to write, .mcap.")],
    rig: Annotated[str, _RIG] = "hw2",
    seconds: Annotated[float, typer.Option(min=0.001, max=3600, help="Length of the drive.")] = 3.0,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Frames/s of each camera.")] = 10.0,
    seed: Annotated[int, _SEED] = 0,
    truth: Annotated[bool, typer.Option("--truth", help="Also labels and 3D boxes.")] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the images.")] = 75,
    format_: Annotated[
        Literal["jpeg", "webp"], typer.Option("--format", help="Of the images.")
    ] = "jpeg",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    json_file: JsonFile = None,
) -> None:
    """Write a log of one drive: all cameras of a rig through one random world.

    Example: octoview sim log out/street.mcap --seconds 3 --rate 10 --seed 7 --truth
    """
    try:
        from deploy.importers.synthetic import write_drive
        from perception.synthetic.drive import Drive
    except ImportError as error:
        raise _missing(error) from error
    drive = Drive(load_rig(rig), seed, seconds, rate, truth, format_, quality)
    began = time.perf_counter()
    with Ticker("sim log", drive.count * len(drive.rig), "image") as ticker:
        images = write_drive(drive, out, ticker.advance_to, workers)
    wall = time.perf_counter() - began
    size = out.stat().st_size
    print(
        f"{out}: {images} images in {wall:.1f} s ({images / wall:.1f} views/s), {size / 1e6:.1f} MB"
    )
    write_json(
        json_file,
        {"images": images, "seconds": wall, "views_per_second": images / wall, "bytes": size},
    )


@app.command()
def views(
    folder: Annotated[Path, typer.Argument(help="New folder.")],
    count: Annotated[int, typer.Option("--views", min=1, help="Pictures in all.")] = 160,
    seed: Annotated[int, _SEED] = 0,
    rig: Annotated[str, _RIG] = "hw2",
    frames: Annotated[
        int, typer.Option(min=1, max=2, help="2: with the camera's frame before each view.")
    ] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    json_file: JsonFile = None,
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
        index = write_views(folder, load_rig(rig), count, seed, workers, ticker.advance_to, frames)
    wall = time.perf_counter() - began
    kinds = [o["class"] for view in index["views"] for o in view["objects"] if not o["ignore"]]
    objects = {name: round(kinds.count(name) / count, 2) for name in index["object_classes"]}
    shown = ", ".join(f"{value} {name}" for name, value in objects.items())
    print(f"{folder}: {count} views in {wall:.1f} s ({count / wall:.1f} views/s); a view: {shown}")
    report = {"views": count, "seconds": wall, "views_per_second": count / wall}
    write_json(json_file, report | {"objects_per_view": objects})


@app.command()
def surround(
    folder: Annotated[Path, typer.Argument(help="New folder.")],
    rounds: Annotated[int, typer.Option(min=1, help="Instants in all, every camera each.")] = 800,
    seed: Annotated[int, _SEED] = 0,
    rig: Annotated[str, typer.Option(help="Rig that half of the random rigs resemble.")] = "hw2",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Write rounds for the surround head: random rigs in random worlds, the ground from above.

    Example: octoview sim surround rounds --rounds 800 --seed 5
    """
    try:
        from perception.surround.render import write_rounds
    except ImportError as error:
        raise _missing(error) from error
    began = time.perf_counter()
    with Ticker("sim surround", rounds, "round") as ticker:
        write_rounds(folder, load_rig(rig), rounds, seed, workers, ticker.advance_to)
    print(f"{folder}: {rounds} rounds in {time.perf_counter() - began:.1f} s")


def _missing(error: ImportError) -> PerceptionError:
    return PerceptionError(f"sim needs the module '{error.name}'; install octoview[sim]")
