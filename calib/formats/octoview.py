"""OctoView's own files: a rig (docs/frames.md), and the camera file of `calibrate intrinsics`."""

from dataclasses import asdict

import yaml

from calib.errors import FormatError, LensError
from calib.formats.cameras import EGO, CameraSet, FoundCamera
from calib.formats.document import Document, Given, entry, not_kept
from calib.formats.format import Format, Written, has_keys
from calib.intrinsics.camera_file import lens_of
from calib.rig import Camera, Rig, load_rig, rig_yaml


def _read_rig(document: Document, given: Given) -> CameraSet:
    rig = load_rig(document.path)
    cameras = tuple(
        FoundCamera(camera.name, camera.lens, camera.ego_from_camera, camera.rate_hz, camera.bucket)
        for camera in rig
    )
    return CameraSet(cameras, EGO, rig.name)


def _write_rig(found: CameraSet) -> Written:
    if found.frame is not EGO:
        where = f"in the frame of {found.frame.title}" if found.frame else "not known"
        raise FormatError(
            f"a rig needs poses in the ego frame, and these are {where}; say where that is on the"
            " vehicle with --mount X,Y,Z,YAW,PITCH,ROLL, or write lenses alone with --to camera"
        )
    cameras = []
    for camera in found.cameras:
        if camera.frame_from_camera is None or camera.rate_hz is None or camera.bucket is None:
            raise FormatError(f"camera '{camera.name}' lacks a rate or bucket; a rig needs both")
        cameras.append(
            Camera(
                camera.name, camera.lens, camera.frame_from_camera, camera.rate_hz, camera.bucket
            )
        )
    return Written(rig_yaml(Rig(found.name, tuple(cameras))))


def _read_camera(document: Document, given: Given) -> CameraSet:
    try:
        lens = lens_of(entry(document.mapping, "lens"))
    except LensError as error:
        raise FormatError(str(error)) from error
    notes = not_kept(key for key in document.mapping if key != "lens")
    return CameraSet((FoundCamera(document.path.stem, lens),), notes=notes)


def _write_camera(found: CameraSet) -> Written:
    lens = found.cameras[0].lens
    content = {"lens": asdict(lens) | {"distortion": list(lens.distortion)}}
    return Written(yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100))


RIG = Format(
    "rig",
    "an OctoView rig",
    ".yaml",
    single=False,
    has_pose=True,
    matches=lambda document: has_keys(document, "cameras"),
    read=_read_rig,
    write=_write_rig,
)
CAMERA = Format(
    "camera",
    "an OctoView camera file",
    ".yaml",
    single=True,
    has_pose=False,
    matches=lambda document: has_keys(document, "lens"),
    read=_read_camera,
    write=_write_camera,
)
