"""`octoview import`: other recordings made into logs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer

from calib.rig import Rig, load_rig
from deploy.commands.progress import Ticker
from deploy.errors import LogError
from deploy.importers import video as video_importer
from deploy.importers.clips import VideoSummary
from deploy.importers.dgp import import_dgp
from deploy.importers.kitti import import_kitti
from deploy.importers.nuscenes import import_nuscenes
from deploy.importers.openpilot import import_openpilot
from deploy.importers.recording import Progress
from deploy.importers.rosbag import import_rosbag
from deploy.importers.teslacam import import_teslacam
from deploy.log.frame_tree import BASE_LINK

app = typer.Typer(
    help="Make a log of another recording: a data set's scene, a bag, videos.", no_args_is_help=True
)

Out = Annotated[Path, typer.Argument(metavar="OUT.mcap", help="Log to write.")]


@app.command()
def dgp(
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="Folder of one scene.")], out: Out
) -> None:
    """Import one scene of a DGP dataset: its cameras, calibration, and 3D boxes as truth.

    Example: octoview import dgp dgp_scene real.mcap
    """
    with _importing(scene.name, "image", out) as progress:
        images = import_dgp(scene, out, progress)
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
    placed = _rig(rig)
    with _importing(f"{len(named)} videos", "frame", out) as progress:
        summary = video_importer.import_videos(named, out, progress, placed, hfov)
    _print_videos(summary)
    print(f"wrote {out}")


@app.command()
def teslacam(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="RecentClips, or the folder of one event.")
    ],
    out: Out,
    rig: Annotated[
        str | None,
        typer.Option(help="Rig file with the cameras; without one they are assumed."),
    ] = None,
) -> None:
    """Import the clips that a Tesla's dashcam wrote; minutes are joined, gaps told.

    Example: octoview import teslacam SavedClips/2024-05-01_17-30-00 drive.mcap
    """
    with _importing(folder.name, "frame", out) as progress:
        done = import_teslacam(folder, out, progress, _rig(rig))
    _print_videos(done.videos)
    for gap in done.gaps:
        after = datetime.fromtimestamp(gap.stamp_ns / 1e9, timezone.utc)  # as in the file names
        print(f"gap of {gap.seconds:.0f} s before {after:%Y-%m-%d %H:%M:%S}")
    for reason in done.unreadable:
        print(f"left out: {reason}")
    if rig is None:
        print("cameras are assumed, not calibrated; distances are guesses (docs/importing.md)")
    print(f"wrote {out}")


@app.command()
def openpilot(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A route, or one segment with .hevc files.")
    ],
    out: Out,
    rig: Annotated[
        str | None, typer.Option(help="Rig file with the cameras main and wide.")
    ] = None,
) -> None:
    """Import the road cameras of an openpilot route.

    Example: octoview import openpilot 2024-05-01--17-30-00 drive.mcap
    """
    with _importing(folder.name, "frame", out) as progress:
        _print_videos(import_openpilot(folder, out, progress, _rig(rig)))
    print(f"wrote {out}")


@app.command()
def rosbag(
    bag: Annotated[
        Path, typer.Argument(metavar="BAG", help="A .bag, .db3 or .mcap, or the folder of one.")
    ],
    out: Out,
    rig: Annotated[
        str | None, typer.Option(help="Rig file, instead of the bag's camera_info and tf.")
    ] = None,
    base: Annotated[
        str, typer.Option(help="ROS frame on the ground under the rear axle.")
    ] = BASE_LINK,
) -> None:
    """Import a bag of ROS 1 or 2: images, camera_info, tf.

    Example: octoview import rosbag drive.bag drive.mcap
    """
    with _importing(bag.name, "image", out) as progress:
        done = import_rosbag(bag, out, progress, _rig(rig), base)
    for camera, images in done.images.items():
        print(f"{camera}: {images} images")
    for name, reason in done.left_out.items():
        print(f"left out {name}: {reason}")
    print(f"wrote {out}")


@app.command()
def nuscenes(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Holds samples, sweeps and v1.0-*.")
    ],
    out: Out,
    scene: Annotated[str | None, typer.Option(help="Its name, such as scene-0061.")] = None,
    version: Annotated[str | None, typer.Option(help="Tables, such as v1.0-mini.")] = None,
) -> None:
    """Import one scene of nuScenes: cameras, positions, and 3D boxes as truth.

    Example: octoview import nuscenes /data/nuscenes drive.mcap --scene scene-0061
    """
    with _importing(scene or folder.name, "image", out) as progress:
        images = import_nuscenes(folder, out, progress, scene, version)
    print(f"wrote {out}: {images} images")


@app.command()
def kitti(
    drive: Annotated[
        Path, typer.Argument(metavar="DRIVE", help="Folder of one drive of the raw data.")
    ],
    out: Out,
    calib: Annotated[
        Path | None, typer.Option(help="Folder of calib_*.txt; by default the one above.")
    ] = None,
) -> None:
    """Import one drive of KITTI's raw data: cameras and positions.

    Example: octoview import kitti 2011_09_26/2011_09_26_drive_0001_sync drive.mcap
    """
    with _importing(drive.name, "image", out) as progress:
        images = import_kitti(drive, out, progress, calib)
    print(f"wrote {out}: {images} images")


def _rig(rig: str | None) -> Rig | None:
    return None if rig is None else load_rig(rig)


def _print_videos(summary: VideoSummary) -> None:
    for camera, images in summary.images.items():
        lost = summary.damaged[camera]
        print(f"{camera}: {images} images" + (f", {lost} damaged and left out" if lost else ""))


@contextmanager
def _importing(name: str, unit: str, out: Path) -> Iterator[Progress]:
    """Progress of an import into `out`; says how it goes on when it is interrupted."""
    with Ticker(f"importing {name}", None, unit) as ticker:
        try:
            yield lambda done, total: ticker.advance_to(
                done, f"{done / total:.0%}" if total else ""
            )
        except KeyboardInterrupt:
            if out.with_name(f"{out.name}.part").exists():
                print(f"octoview: {out} is not whole; the same command goes on", file=sys.stderr)
            raise


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
