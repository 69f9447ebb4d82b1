"""nuScenes' calibrated_sensor.json: sensors in the ego frame, images without distortion.

Source: https://www.nuscenes.org/nuscenes#data-format (docs/schema_nuscenes.md of the devkit).
`rotation` is a quaternion w x y z; translation and rotation are the sensor's pose in the ego
frame. Names of sensors are in sensor.json beside it.
"""

import json
from typing import Any

import numpy as np

from calib.errors import FormatError
from calib.formats.cameras import EGO, CameraSet, FoundCamera, size_note
from calib.formats.document import Document, Given, entry, load, make_lens, numbers, rows, shown
from calib.formats.format import Format, Written
from calib.rotation import from_unit_quaternion, to_quaternion


def _matches(document: Document) -> bool:
    content = document.content
    return isinstance(content, list) and any(
        isinstance(record, dict) and "camera_intrinsic" in record for record in content
    )


def _read(document: Document, given: Given) -> CameraSet:
    if not isinstance(document.content, list):
        raise FormatError(f"is {shown(document.content)}; give a list of calibrated sensors")
    channels = _channels(document)
    cameras, others = [], 0
    for index, record in enumerate(document.content):
        where = f"[{index}]"
        if entry(record, "camera_intrinsic", where) == []:  # lidar or radar
            others += 1
            continue
        token = str(entry(record, "sensor_token", where))
        name = channels.get(token, token)
        K = rows(record["camera_intrinsic"], (3, 3), f"{where}.camera_intrinsic")
        lens = make_lens("pinhole", given.needed_size(name), K, [], where)
        cameras.append(FoundCamera(name, lens, pose_of(record, where)))
    notes = (f"{others} sensors that are no cameras: not kept",) if others else ()
    return CameraSet(tuple(cameras), EGO, notes=notes)


def _channels(document: Document) -> dict[str, str]:
    """Name of each sensor by its token, where sensor.json is there."""
    path = document.path.with_name("sensor.json")
    content = load(path).content if path.is_file() else None
    if not isinstance(content, list):
        return {}
    return {
        str(record["token"]): str(record["channel"])
        for record in content
        if isinstance(record, dict) and {"token", "channel"} <= set(record)
    }


def pose_of(record: dict[str, Any], where: str) -> np.ndarray:
    """The pose (4, 4), metres, of a record with `translation` and `rotation`.

    Raises FormatError, calling the record `where`.
    """
    w, x, y, z = numbers(entry(record, "rotation", where), 4, f"{where}.rotation")
    pose = np.eye(4)
    pose[:3, 3] = numbers(entry(record, "translation", where), 3, f"{where}.translation")
    try:
        pose[:3, :3] = from_unit_quaternion(x, y, z, w)
    except ValueError as error:
        raise FormatError(f"{where}.rotation: {error}") from error
    return pose


def _write(found: CameraSet) -> Written:
    if found.frame is not EGO:
        raise FormatError("nuScenes places cameras in the ego frame; give --mount")
    records = []
    for camera in found.cameras:
        lens, pose = camera.lens, camera.frame_from_camera
        if lens.model == "fisheye" or any(lens.distortion):
            raise FormatError(
                f"camera '{camera.name}' is a {lens.model} with distortion"
                f" {list(lens.distortion)}, and nuScenes' images have none; undistort them first"
            )
        assert pose is not None  # as the set is in a frame
        x, y, z, w = to_quaternion(pose[:3, :3])
        records.append(
            {
                "token": camera.name,
                "sensor_token": camera.name,
                "translation": pose[:3, 3].tolist(),
                "rotation": [w, x, y, z],
                "camera_intrinsic": lens.matrix.tolist(),
            }
        )
    return Written(json.dumps(records, indent=2) + "\n", (size_note(found),))


NUSCENES = Format(
    "nuscenes",
    "nuScenes' calibrated_sensor",
    ".json",
    single=False,
    has_pose=True,
    matches=_matches,
    read=_read,
    write=_write,
)
