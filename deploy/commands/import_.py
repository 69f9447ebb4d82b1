"""`octoview import`: other recordings made into logs."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from calib.rig import load_rig
from deploy.commands.progress import Ticker
from deploy.errors import LogError
from deploy.importers import dgp as dgp_importer
from deploy.importers import video as video_importer

app = typer.Typer(help="Make a log of a dataset's scene or of videos.", no_args_is_help=True)

Out = Annotated[Path, typer.Argument(metavar="OUT.mcap", help="Log to write.")]


@app.command()
def dgp(
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="Folder of one scene.")], out: Out
) -> None:
    """Import one scene of a DGP dataset: its cameras, calibration, and 3D boxes as truth.

    Example: octoview import dgp dgp_scene real.mcap
    """
    with Ticker(f"importing {scene.name}", None, "sample") as ticker:
        images = dgp_importer.import_dgp(scene, out, _share(ticker))
    print(f"wrote {out}: {images} images")


@app.command()
def video(
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="[CAMERA=]FILE...",
            help=f"A video of each camera; the name may be left out for a single one, "
            f"'{video_importer.DEFAULT_CAMERA}'.",
        ),
    ],
    out: Out,
    rig: Annotated[
        str | None,
        typer.Option(
            help="Rig file, or the built-in hw2, that holds the cameras. Without one a single "
            f"camera is assumed: straight ahead, level, {video_importer.DEFAULT_HEIGHT_M} m up, "
            "no distortion."
        ),
    ] = None,
    hfov: Annotated[
        float, typer.Option(help="Horizontal field of view of the assumed camera, degrees.")
    ] = video_importer.DEFAULT_HFOV_DEG,
) -> None:
    """Import videos, one of each camera; stamps are the times in the files.

    Examples:\n
    octoview import video highway.mp4 drive.mcap --hfov 55\n
    octoview import video main=front.mp4 rear=back.mp4 drive.mcap --rig car.yaml
    """
    named = _named(videos)
    placed = None if rig is None else load_rig(rig)
    with Ticker(f"importing {len(named)} videos", None, "frame") as ticker:
        summary = video_importer.import_videos(named, out, _share(ticker), placed, hfov)
    for camera, images in summary.images.items():
        lost = summary.damaged[camera]
        print(f"{camera}: {images} images" + (f", {lost} damaged and left out" if lost else ""))
    print(f"wrote {out}")


def _share(ticker: Ticker) -> Callable[[int, int], None]:
    """Progress callback; the total is 0 where nobody knows it."""
    return lambda done, total: ticker.advance_to(done, f"{done / total:.0%}" if total else "")


def _named(videos: list[str]) -> dict[str, Path]:
    """Camera name and file of each CAMERA=FILE."""
    named: dict[str, Path] = {}
    for text in videos:
        name, separator, file = text.partition("=")
        if not separator:
            if len(videos) > 1:
                raise LogError(f"{text}: names no camera; write CAMERA={text}")
            name, file = video_importer.DEFAULT_CAMERA, text
        if name in named:
            raise LogError(f"{text}: camera '{name}' has two videos; give each camera one")
        named[name] = Path(file)
    return named
