"""OpenCV's FileStorage in YAML (or XML): what its calibration sample writes, and kindred files.

Source: samples/cpp/tutorial_code/calib3d/camera_calibration of OpenCV, which writes fisheye_model.
Others call the same things camera_matrix, dist_coeffs, resolution and do not say the model.
"""

import re
from collections.abc import Sequence

import cv2
import numpy as np

from calib.errors import FormatError
from calib.formats.cameras import CameraSet, FoundCamera
from calib.formats.document import (
    Document,
    Given,
    Model,
    make_lens,
    not_kept,
    numbers,
    shown,
    trimmed,
    whole,
)
from calib.formats.format import Format, Written

_MATRIX = ("camera_matrix", "cameraMatrix", "Camera_Matrix", "K")
_DISTORTION = (
    "distortion_coefficients",
    "dist_coeffs",
    "distCoeffs",
    "Distortion_Coefficients",
    "D",
)
_SIZE = ("resolution", "image_size", "imageSize")
_WIDTH, _HEIGHT = ("image_width", "image_Width"), ("image_height", "image_Height")
_FISHEYE = "fisheye_model"
_NAME = "camera_name"
# OpenCV's parser goes as deep as the file does, and a process ends where its stack does.
_OPENING = re.compile(r"[\[{]|<[^/]")
_MOST_OPENING = 1000


def _matches(document: Document) -> bool:
    return document.text.startswith(("%YAML:", "<?xml")) or "!!opencv-matrix" in document.text


def _read(document: Document, given: Given) -> CameraSet:
    parts = sum(1 for _ in _OPENING.finditer(document.text))
    if parts > _MOST_OPENING:
        raise FormatError(f"has {parts} lists and maps, and a calibration under {_MOST_OPENING}")
    try:
        storage = cv2.FileStorage(document.text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        root = storage.root()
        keys = list(root.keys()) if root.isMap() else []
    except (cv2.error, SystemError) as error:
        raise FormatError("OpenCV can't read it; see that its YAML or XML is whole") from error
    for key in keys:
        if keys.count(key) > 1:
            raise FormatError(f"{key} is given twice; keep one")
    used = [_NAME, _FISHEYE]

    def find(names: Sequence[str]) -> tuple[str, list[float], tuple[int, ...]] | None:
        for name in names:
            if name in keys:
                used.append(name)
                return name, *_values(storage.getNode(name), name)
        return None

    matrix, distortion = find(_MATRIX), find(_DISTORTION)
    for found, names in ((matrix, _MATRIX), (distortion, _DISTORTION)):
        if found is None:
            raise FormatError(f"{names[0]} is missing; add it")
    assert matrix and distortion
    if matrix[2] != (3, 3):
        raise FormatError(f"{matrix[0]} has shape {matrix[2]}; give 3x3")
    name_node = storage.getNode(_NAME)
    name = name_node.string() if name_node.isString() else document.path.stem
    both = find(_SIZE)
    width, height = find(_WIDTH), find(_HEIGHT)
    if both:
        if len(both[1]) != 2:
            raise FormatError(f"{both[0]} is {shown(both[1])}; give width and height")
        size = (whole(both[1][0], both[0]), whole(both[1][1], both[0]))
    elif width and height:
        values = numbers(width[1] + height[1], 2, f"{width[0]} and {height[0]}")
        size = (whole(values[0], width[0]), whole(values[1], height[0]))
    else:
        size = given.needed_size(name)
    model = _model(storage, given, len(distortion[1]))
    D = distortion[1] if model == "fisheye" else trimmed(distortion[1], distortion[0])
    lens = make_lens(model, size, np.reshape(matrix[1], (3, 3)), D, matrix[0])
    notes = not_kept(key for key in keys if key not in used)
    return CameraSet((FoundCamera(name, lens),), notes=notes)


def _values(node: cv2.FileNode, key: str) -> tuple[list[float], tuple[int, ...]]:
    """Numbers of a matrix, a list or a single number, and their shape."""
    if node.isReal() or node.isInt():
        return [node.real()], (1,)
    if node.isSeq():
        items = [node.at(i) for i in range(node.size())]
        if all(item.isReal() or item.isInt() for item in items):
            values = numbers([item.real() for item in items], None, key)
            return values, (len(values),)
    try:
        matrix = node.mat() if node.isMap() else None
    except (cv2.error, SystemError):
        matrix = None
    if matrix is None or matrix.ndim != 2:
        raise FormatError(f"{key} is no whole matrix; give rows, cols, dt and as many numbers")
    return numbers(matrix.astype(float).ravel().tolist(), None, key), matrix.shape


def _model(storage: cv2.FileStorage, given: Given, count: int) -> Model:
    node = storage.getNode(_FISHEYE)
    if node.isInt():
        return "fisheye" if node.real() else "pinhole"
    if given.model:
        return given.model
    if count == 4:
        raise FormatError(
            f"{_FISHEYE} is missing, and 4 coefficients are a pinhole's or a fisheye's; say which"
            " with --model"
        )
    return "pinhole"  # OpenCV's fisheye has four


def _write(found: CameraSet) -> Written:
    camera = found.cameras[0]
    lens = camera.lens
    kind = cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY | cv2.FILE_STORAGE_FORMAT_YAML
    storage = cv2.FileStorage(".yaml", kind)
    storage.write(_NAME, camera.name)
    storage.write("image_width", lens.width)
    storage.write("image_height", lens.height)
    storage.write(_FISHEYE, int(lens.model == "fisheye"))
    storage.write("camera_matrix", lens.matrix)
    storage.write("distortion_coefficients", np.array([lens.distortion or (0.0,) * 5]))
    return Written(storage.releaseAndGetString())


OPENCV = Format(
    "opencv",
    "OpenCV's FileStorage",
    ".yaml",
    single=True,
    has_pose=False,
    matches=_matches,
    read=_read,
    write=_write,
)
