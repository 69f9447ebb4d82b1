"""A scene of nuScenes made into a log: keyframes and sweeps of the cameras, positions, 3D boxes.

    FOLDER/samples/CAMERA/*.jpg, FOLDER/sweeps/CAMERA/*.jpg
    FOLDER/v1.0-*/*.json

Caesar et al. 2020, "nuScenes: A multimodal dataset for autonomous driving"; tables as in
https://github.com/nutonomy/nuscenes-devkit/blob/master/docs/schema_nuscenes.md. The ego frame of
nuScenes is ours. The large tables are read as streams, of which the scene's own rows are kept.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calib.errors import CalibError
from calib.formats.document import make_lens, rows
from calib.pose import invert
from calib.rig import Camera
from deploy.errors import LogError
from deploy.importers.nuscenes_tables import Annotation, CalibratedSensor, SampleData, Tables
from deploy.importers.recording import (
    EgoPose,
    Event,
    Picture,
    Progress,
    Truth,
    make_rig,
    write_recording,
)
from deploy.importers.source_folder import inside, read_bytes
from deploy.log import channels
from deploy.log.boxes import Box
from perception.data.nuscenes import object_kind

RATE_HZ = 12.0
_US = 1_000  # nanoseconds in nuScenes' microseconds
_IMAGE_FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}


def import_nuscenes(
    folder: Path,
    out: Path,
    progress: Progress,
    scene: str | None = None,
    version: str | None = None,
) -> int:
    """Write one scene, by its name or the only one, of one version, by its name or the only one.

    Images keep their bytes and stamps. Boxes are there at keyframes, with the stamp of the
    keyframe, in the ego frame of that instant; metadata `label` is nuScenes' category. Returns
    the number of images.

    Raises:
        LogError: a table or image is missing or malformed, or `out` can't be written.
    """
    tables = Tables(folder, version, scene)
    data = tables.camera_data()
    if not data:
        raise LogError(f"{tables.folder}: scene '{tables.scene.name}' has no camera images")
    needed = {row.ego_pose_token for row in data} | set(tables.lidar_poses.values())
    poses = tables.ego_poses(needed)
    first = {tables.channel(row): row for row in reversed(data)}
    cameras = [_camera(tables, name, row) for name, row in sorted(first.items())]
    rig = make_rig(tables.folder, f"nuscenes-{tables.scene.name}", cameras)

    def events() -> Iterator[Event]:
        truth = tables.annotations()
        for row in data:
            yield EgoPose(row.timestamp * _US, poses[row.ego_pose_token])
            if row.is_key_frame and row.sample_token in truth:
                stamp, boxes = tables.stamps[row.sample_token], truth.pop(row.sample_token)
                token = tables.lidar_poses.get(row.sample_token, row.ego_pose_token)
                ego_from_map = invert(poses[token])
                yield Truth(stamp * _US, tuple(_box(tables, one, ego_from_map) for one in boxes))
            path = inside(folder, row.filename)
            form = _IMAGE_FORMATS.get(path.suffix.lower())
            if form is None:
                raise LogError(f"{path}: is no .jpg or .png; restore the scene")
            read = partial(read_bytes, path)
            yield Picture(tables.channel(row), row.timestamp * _US, read, form)

    start_ns = data[0].timestamp * _US
    return write_recording(out, rig, start_ns, events(), len(data), progress).total()


def _camera(tables: Tables, name: str, row: SampleData) -> Camera:
    sensor: CalibratedSensor = tables.sensor(row)
    try:
        K = rows(sensor.camera_intrinsic, (3, 3), "camera_intrinsic")
        lens = make_lens("pinhole", (row.width, row.height), K, [], name)
        bucket = channels.bucket_of_width(row.width)
        return Camera(name, lens, tables.pose(sensor), RATE_HZ, bucket)
    except CalibError as error:
        raise LogError(f"{tables.folder}/calibrated_sensor.json: {error}") from error


def _box(tables: Tables, found: Annotation, ego_from_map: NDArray[np.float64]) -> Box:
    category, attributes = tables.names(found)
    try:
        kind = object_kind(category, attributes)
    except KeyError as error:
        raise LogError(f"{tables.folder}: unknown category '{category}'; restore it") from error
    width, length, height = found.size
    return Box(
        id=found.instance_token,
        object_class=kind if kind in ("vehicle", "pedestrian", "cyclist") else "other",
        ego_from_box=ego_from_map @ tables.pose(found),
        size=(length, width, height),
        metadata={"label": category, "lidar_points": str(found.num_lidar_pts)},
    )
