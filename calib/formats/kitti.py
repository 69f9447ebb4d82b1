"""KITTI's calibration files, raw style and object style.

Source: A. Geiger et al., "Vision meets Robotics: The KITTI Dataset" (IJRR 2013) and the readmes of
its devkits. Raw style (calib_cam_to_cam.txt) holds for camera NN of the images before
rectification S_NN size, K_NN, D_NN five coefficients, and R_NN, T_NN, which take coordinates in
camera 00 to camera NN. Object style holds P0..P3, projections of the rectified images: P = K [I|t]
takes the rectified frame of camera 0 to pixels. The raw style has them too, as P_rect_NN.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calib.errors import FormatError
from calib.formats.cameras import CameraSet, FoundCamera, Frame, size_note
from calib.formats.document import (
    Document,
    Given,
    make_lens,
    not_kept,
    numbers,
    rigid,
    trimmed,
    whole,
)
from calib.formats.format import Format, Written
from calib.pose import invert

_PROJECTION = re.compile(r"P_rect_(\d+)|P(\d+)")
_SAME_ROTATION = 1e-9


def _values(document: Document) -> dict[str, list[str]]:
    """The words of each line, by its key."""
    values: dict[str, list[str]] = {}
    for count, line in enumerate(document.text.splitlines(), start=1):
        if not line.strip():
            continue
        key, colon, rest = line.partition(":")
        if not colon:
            raise FormatError(f"line {count} is {line[:40]!r}; write it as KEY: numbers")
        if key in values:
            raise FormatError(f"line {count}: {key} is given twice; keep one")
        values[key] = rest.split()
    return values


def _array(values: dict[str, list[str]], key: str, *shape: int) -> NDArray[np.float64]:
    if key not in values:
        raise FormatError(f"{key} is missing; add it")
    return np.reshape(numbers(values[key], int(np.prod(shape)), key), shape)


def _size(values: dict[str, list[str]], key: str, name: str, given: Given) -> tuple[int, int]:
    if key not in values:
        return given.needed_size(name)
    width, height = (whole(float(x), key) for x in _array(values, key, 2))
    return width, height


def read_transform(document: Document) -> NDArray[np.float64]:
    """R and T of a file such as calib_velo_to_cam.txt: (4, 4), metres. Raises FormatError."""
    return _transform(_values(document), "")


def read_rectification(document: Document) -> NDArray[np.float64]:
    """R_rect_00 of calib_cam_to_cam.txt: (4, 4), camera 00 before rectification to after."""
    rectified_from_first = np.eye(4)
    rectified_from_first[:3, :3] = _array(_values(document), "R_rect_00", 3, 3)
    return rigid(rectified_from_first, "R_rect_00")


def _transform(values: dict[str, list[str]], suffix: str) -> NDArray[np.float64]:
    transform = np.eye(4)
    transform[:3, :3] = _array(values, f"R{suffix}", 3, 3)
    transform[:3, 3] = _array(values, f"T{suffix}", 3)
    return rigid(transform, f"R{suffix}")


def _read_raw(document: Document, given: Given) -> CameraSet:
    values = _values(document)
    numbers_of = sorted(key[2:] for key in values if re.fullmatch(r"K_\d+", key))
    cameras = []
    for index in numbers_of:
        name = f"image_{index}"
        D = trimmed(_array(values, f"D_{index}", 5).tolist(), f"D_{index}")
        K = _array(values, f"K_{index}", 3, 3)
        size = _size(values, f"S_{index}", name, given)
        pose = invert(_transform(values, f"_{index}"))
        cameras.append(FoundCamera(name, make_lens("pinhole", size, K, D, f"K_{index}"), pose))
    rest = [key for key in values if not re.fullmatch(r"[SKDRT]_\d+|[SRP]_rect_\d+", key)]
    notes = not_kept(rest)
    if any(_PROJECTION.fullmatch(key) for key in values):
        notes = (
            *notes,
            "read as the cameras before rectification; for rectified images --from kitti-object",
        )
    return CameraSet(tuple(cameras), Frame("KITTI's camera 00", optical=True), notes=notes)


def _write_raw(found: CameraSet) -> Written:
    lines = []
    for index, (camera, pose) in enumerate(zip(found.cameras, found.relative_poses(), strict=True)):
        lens = camera.lens
        if lens.model == "fisheye":
            raise FormatError(
                f"camera '{camera.name}' is a fisheye, and KITTI's D is of a pinhole; write"
                " another format"
            )
        if any(lens.distortion[5:]):
            raise FormatError(
                f"camera '{camera.name}': distortion has {len(lens.distortion)} coefficients and"
                " KITTI's D 5 (k1 k2 p1 p2 k3); calibrate it with 5"
            )
        camera_from_first = invert(pose)
        lines += [
            _line(f"S_{index:02}", (lens.width, lens.height)),
            _line(f"K_{index:02}", lens.matrix.ravel()),
            _line(f"D_{index:02}", ([*lens.distortion, *[0.0] * 5])[:5]),
            _line(f"R_{index:02}", camera_from_first[:3, :3].ravel()),
            _line(f"T_{index:02}", camera_from_first[:3, 3]),
        ]
    notes = (
        _numbering(found, "{:02}"),
        "no rectified images: S_rect, R_rect and P_rect are absent",
    )
    return Written("\n".join(lines) + "\n", (*notes, *_place(found)))


def _read_object(document: Document, given: Given) -> CameraSet:
    values = _values(document)
    cameras, rest = [], []
    for key in values:
        match = _PROJECTION.fullmatch(key)
        if not match:
            rest.append(key)
            continue
        index = int(match[1] or match[2])
        name = f"image_{index:02}"
        P = _array(values, key, 3, 4)
        size = _size(values, f"S_rect_{match[1]}", name, given)
        lens = make_lens("pinhole", size, P[:, :3], [], key)
        pose = np.eye(4)
        pose[:3, 3] = -np.linalg.solve(P[:, :3], P[:, 3])
        cameras.append(FoundCamera(name, lens, pose))
    notes = not_kept(key for key in rest if not key.startswith("S_rect_"))
    frame = Frame("KITTI's rectified camera 0", optical=True)
    return CameraSet(tuple(cameras), frame, notes=notes)


def _write_object(found: CameraSet) -> Written:
    lines = []
    for index, (camera, pose) in enumerate(zip(found.cameras, found.relative_poses(), strict=True)):
        lens = camera.lens
        if lens.model == "fisheye" or any(lens.distortion):
            raise FormatError(
                f"camera '{camera.name}' is a {lens.model} with distortion"
                f" {list(lens.distortion)}, and KITTI's P is of an undistorted image; use kitti"
            )
        if np.abs(pose[:3, :3] - np.eye(3)).max() > _SAME_ROTATION:
            raise FormatError(
                f"camera '{camera.name}' looks another way than '{found.cameras[0].name}', and"
                " KITTI's P is of rectified images; use kitti"
            )
        P = lens.matrix @ np.column_stack([np.eye(3), -pose[:3, 3]])
        lines.append(_line(f"P{index}", P.ravel()))
    notes = (_numbering(found, "{}"), _sizes(found))
    return Written("\n".join(lines) + "\n", (*notes, *_place(found)))


def _line(key: str, values: Iterable[float]) -> str:
    return f"{key}: {' '.join(repr(float(value)) for value in values)}"


def _numbering(found: CameraSet, form: str) -> str:
    pairs = [f"{camera.name} is {form.format(i)}" for i, camera in enumerate(found.cameras)]
    return f"no camera names: {', '.join(pairs)}"


def _sizes(found: CameraSet) -> str:
    numbered = [replace(c, name=f"image_{i:02}") for i, c in enumerate(found.cameras)]
    return size_note(replace(found, cameras=tuple(numbered)))


def _place(found: CameraSet) -> tuple[str, ...]:
    lost = found.place_of_first()
    return (lost,) if lost else ()


KITTI = Format(
    "kitti",
    "KITTI's calib_cam_to_cam",
    ".txt",
    single=False,
    has_pose=True,
    matches=lambda document: re.search(r"^K_\d+:", document.text, re.MULTILINE) is not None,
    read=_read_raw,
    write=_write_raw,
)
KITTI_OBJECT = Format(
    "kitti-object",
    "KITTI's object calib",
    ".txt",
    single=False,
    has_pose=True,
    matches=lambda document: re.search(r"^P\d+:", document.text, re.MULTILINE) is not None,
    read=_read_object,
    write=_write_object,
)
