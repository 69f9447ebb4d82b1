"""A DGP scene's calibration/*.json: sensors in the frame of the first one.

In Toyota Research Institute's scenes the first sensor is the lidar, whose frame is the vehicle's:
x forward, y left, z up. The images' size is in the scene's own file.
"""

import json
from typing import Any

import numpy as np
from pydantic import ValidationError

from calib.errors import CalibError, FormatError
from calib.formats.cameras import EGO, CameraSet, FoundCamera, Frame, size_note
from calib.formats.dgp_records import Calibration, to_lens
from calib.formats.document import (
    Document,
    Given,
    not_kept,
    shown,
)
from calib.formats.format import Format, Written, has_keys
from calib.lens import Lens
from calib.rotation import to_quaternion

_COEFFICIENTS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")


def _read(document: Document, given: Given) -> CameraSet:
    try:
        content = Calibration.model_validate(document.mapping)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise FormatError(f"{where} is {shown(first['input'])}: {first['msg']}") from error
    cameras, others = [], []
    for name, found, pose in zip(
        content.names, content.intrinsics, content.extrinsics, strict=True
    ):
        if found.fx == found.fy == 0:  # lidar
            others.append(name)
            continue
        try:
            lens = to_lens(found, *given.needed_size(name))
        except FormatError:
            raise
        except CalibError as error:
            raise FormatError(f"camera '{name}': {error}") from error
        cameras.append(FoundCamera(name, lens, pose.matrix))
    first_is_camera = bool(cameras) and cameras[0].name == content.names[0]
    at_origin = first_is_camera and np.array_equal(content.extrinsics[0].matrix, np.eye(4))
    frame = Frame(f"the first sensor, '{content.names[0]}'" if content.names else "", at_origin)
    notes = not_kept(f"sensor {name}" for name in others)
    return CameraSet(tuple(cameras), frame, notes=notes)


def _write(found: CameraSet) -> Written:
    poses = found.relative_poses()
    if found.frame is not None:
        poses = [c.frame_from_camera for c in found.cameras if c.frame_from_camera is not None]
    content = {
        "names": [camera.name for camera in found.cameras],
        "intrinsics": [_intrinsics(camera.name, camera.lens) for camera in found.cameras],
        "extrinsics": [_extrinsics(pose) for pose in poses],
    }
    notes = [size_note(found)]
    if found.frame is EGO:
        notes.append("its vehicle frame need not be the ego frame; to say so: --mount 0,0,0,0,0,0")
    return Written(json.dumps(content, indent=2) + "\n", tuple(notes))


def _intrinsics(name: str, lens: Lens) -> dict[str, float]:
    if lens.model == "fisheye":
        raise FormatError(
            f"camera '{name}' is a fisheye, and DGP's lens is Brown-Conrady; write another format"
        )
    known = {"fx": lens.fx, "fy": lens.fy, "cx": lens.cx, "cy": lens.cy, "skew": 0.0}
    return known | dict(zip(_COEFFICIENTS, lens.distortion, strict=False))


def _extrinsics(pose: np.ndarray) -> dict[str, Any]:
    x, y, z, w = to_quaternion(pose[:3, :3])
    return {
        "translation": dict(zip("xyz", pose[:3, 3].tolist(), strict=True)),
        "rotation": {"qw": w, "qx": x, "qy": y, "qz": z},
    }


DGP = Format(
    "dgp",
    "DGP's calibration",
    ".json",
    single=False,
    has_pose=True,
    matches=lambda document: has_keys(document, "names", "intrinsics", "extrinsics"),
    read=_read,
    write=_write,
)
