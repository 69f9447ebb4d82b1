"""`octoview calibrate homography`: the homographies of a surround-view kit in, a rig out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from calib.errors import FormatError
from calib.rig import Camera, Rig, save_rig
from calib.surround.homography import load_ground_views, pose_of
from deploy.commands.json_file import JsonFile, write_json
from deploy.log.channels import bucket_of_width


def homography(
    folder: Annotated[
        Path, typer.Argument(help="CAMERA.yaml files with camera_matrix and project_matrix.")
    ],
    ground: Annotated[
        Path, typer.Option(help="YAML: where each camera's ground picture lies on the vehicle.")
    ],
    out: Annotated[Path, typer.Option(help="Rig file to write, YAML.")],
    rate: Annotated[
        float, typer.Option(min=0.1, max=1000, help="Frames per second of the cameras.")
    ] = 30.0,
    json_file: JsonFile = None,
) -> None:
    """Make a rig of cameras whose ground was set up by a homography each, as surround-view kits do.

    Example: octoview calibrate homography yaml --ground ground.yaml --out car.yaml
    """
    cameras, figures = [], {}
    table = Table("camera", title="Cameras in the ego frame", title_justify="left")
    for heading in ("x, m", "y, m", "z, m", "axes off square, degree", "unlike, %"):
        table.add_column(heading, justify="right")
    for name, view in load_ground_views(folder, ground).items():
        try:
            found = pose_of(view)
        except FormatError as error:
            raise FormatError(f"camera '{name}': {error}") from error
        pose = found.ego_from_camera
        bucket = bucket_of_width(view.lens.width)
        cameras.append(Camera(name, view.lens, pose, rate, bucket))
        place = (f"{value:.3f}" for value in pose[:3, 3])
        table.add_row(name, *place, f"{found.skew_deg:.2f}", f"{100 * found.stretch:.1f}")
        figures[name] = {
            "ego_from_camera": pose.tolist(),
            "skew_deg": found.skew_deg,
            "stretch": found.stretch,
        }
    save_rig(Rig(out.stem, tuple(cameras)), out)
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"wrote {out}: {len(cameras)} cameras", highlight=False, markup=False)
    write_json(json_file, {"schema": "octoview.calibrate.homography/1", "cameras": figures})
