"""Read cameras from files of any known format, and write them in any other."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from calib.errors import CalibError, FormatError
from calib.formats.cameras import CameraSet
from calib.formats.dgp import DGP
from calib.formats.document import Given, load
from calib.formats.format import Format
from calib.formats.foxglove import FOXGLOVE
from calib.formats.kalibr import KALIBR
from calib.formats.kitti import KITTI, KITTI_OBJECT
from calib.formats.nuscenes import NUSCENES
from calib.formats.octoview import CAMERA, RIG
from calib.formats.opencv import OPENCV
from calib.formats.ros import ROS
from calib.rig import BUILT_IN
from calib.text_file import write_text

# In the order in which a file is tried.
_KNOWN = (
    *(RIG, CAMERA, OPENCV, ROS, KALIBR, NUSCENES, DGP),
    *(KITTI, KITTI_OBJECT, FOXGLOVE),
)
FORMATS = {format.key: format for format in _KNOWN}


def format_named(key: str) -> Format:
    """Raises FormatError for a name that no format has."""
    if key not in FORMATS:
        raise FormatError(f"format is '{key}'; use {', '.join(FORMATS)}")
    return FORMATS[key]


def read_cameras(paths: Sequence[Path], given: Given, source: Format | None = None) -> CameraSet:
    """The cameras of one file, or of several that hold one camera each and no pose.

    Without `source` each file is recognised by its keys. Raises FormatError (RigError for a rig):
    one line with the file, the key, its value and the remedy.
    """
    sets = [_read_file(BUILT_IN.get(str(path), path), given, source) for path in paths]
    if len(sets) > 1:
        for path, found in zip(paths, sets, strict=True):
            if found.frame is not None or len(found.cameras) > 1:
                raise FormatError(
                    f"{path}: holds poses or several cameras, so it can't be put together with"
                    " other files; convert it on its own"
                )
    cameras = tuple(camera for found in sets for camera in found.cameras)
    unknown = {name for name in given.sizes if name} - {camera.name for camera in cameras}
    if unknown:
        known = ", ".join(camera.name for camera in cameras)
        raise FormatError(f"--size names camera '{min(unknown)}', and there are only {known}")
    return replace(sets[0], cameras=cameras, notes=tuple(n for found in sets for n in found.notes))


def _read_file(path: Path, given: Given, source: Format | None) -> CameraSet:
    try:
        document = load(path)
        source = source or next((f for f in FORMATS.values() if f.matches(document)), None)
        if source is None:
            why = f" ({document.problem})" if document.problem else ""
            raise FormatError(f"is in no known format{why}; name it with --from")
        found = _with_plain_names(source.read(document, given))
        _check_given(found, given)
    except FormatError as error:
        raise FormatError(f"{path}: {' '.join(str(error).split())}") from error
    return replace(found, notes=tuple(f"{path.name}: {note}" for note in found.notes))


def _with_plain_names(found: CameraSet) -> CameraSet:
    """Camera names as topics and files take them."""
    renamed = {c.name: re.sub(r"[^A-Za-z0-9_-]+", "_", c.name) for c in found.cameras}
    return replace(
        found,
        cameras=tuple(replace(camera, name=renamed[camera.name]) for camera in found.cameras),
        notes=(
            *found.notes,
            *(f"camera {old!r} is called {new!r}" for old, new in renamed.items() if old != new),
        ),
    )


def _check_given(found: CameraSet, given: Given) -> None:
    """What the user says must not contradict the file."""
    for camera in found.cameras:
        size, lens = given.size(camera.name), camera.lens
        if size is not None and size != (lens.width, lens.height):
            raise FormatError(
                f"camera '{camera.name}' is {lens.width}x{lens.height} in the file and"
                f" {size[0]}x{size[1]} in --size; leave --size out or correct it"
            )
        if given.model not in (None, lens.model):
            raise FormatError(
                f"camera '{camera.name}' is a {lens.model} in the file and --model says"
                f" {given.model}; leave it out"
            )


def write_cameras(found: CameraSet, target: Format, out: Path) -> tuple[list[Path], list[str]]:
    """Write to the file `out`; for a format of one camera a file, several go to the folder `out`.

    Missing folders are made. Returns the files and what they can't hold, a line each. Nothing is
    written where one camera can't be. Raises FormatError.
    """
    parts = {out: found}
    if target.single and (len(found.cameras) > 1 or out.is_dir()):
        if out.is_file() or out.suffix == target.suffix:
            raise FormatError(
                f"{out}: {target.title} holds one camera a file, and there are"
                f" {len(found.cameras)}; name a folder, or choose one with --camera"
            )
        parts = {
            out / f"{camera.name}{target.suffix}": found.only(camera.name)
            for camera in found.cameras
        }
    elif out.is_dir():
        raise FormatError(f"{out}: is a folder; name a file in it")
    try:
        written = {path: target.write(part) for path, part in parts.items()}
    except CalibError as error:
        raise FormatError(f"can't be written as {target.title}: {error}") from error
    for path, part in written.items():
        try:
            write_text(path, part.text)
        except OSError as error:
            why = f"can't be written ({error.strerror}); name another"
            raise FormatError(f"{path}: {why}") from error
    notes = [note for part in written.values() for note in part.notes]
    return list(written), [
        f"{target.title}: {note}" for note in (*_general_loss(found, target), *notes)
    ]


def _general_loss(found: CameraSet, target: Format) -> list[str]:
    notes = []
    if found.frame is not None and not target.has_pose:
        notes.append("has no pose; where the cameras stand is not kept")
    if target.key != "rig" and any(camera.rate_hz is not None for camera in found.cameras):
        notes.append("has no rig name, rate_hz or bucket; they are not kept")
    return notes
