"""ROS CameraInfo as YAML: what camera_calibration writes and camera_info_manager reads.

Source: ROS camera_calibration_parsers. One camera, no pose. K and D belong to the raw image; R and
P to a rectified one, which a lens here does not describe.
"""

from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from calib.errors import CalibError, FormatError
from calib.formats.cameras import CameraSet, FoundCamera
from calib.formats.document import (
    Document,
    Given,
    entry,
    make_lens,
    not_kept,
    number,
    numbers,
    shown,
    whole,
)
from calib.formats.format import Format, Written, has_keys
from calib.formats.ros_models import model_and_coefficients, rectification, to_lens

_DISTORTION = "distortion_coefficients"
_RECTIFICATION, _PROJECTION = "rectification_matrix", "projection_matrix"
_KEPT = {
    *("image_width", "image_height", "camera_name", "camera_matrix", "distortion_model"),
    *(_DISTORTION, _RECTIFICATION, _PROJECTION),
}


def _read(document: Document, given: Given) -> CameraSet:
    content = document.mapping
    width = whole(entry(content, "image_width"), "image_width")
    height = whole(entry(content, "image_height"), "image_height")
    K = _matrix(content, "camera_matrix", (3, 3))
    D = _matrix(content, _DISTORTION, None).ravel().tolist()
    model = content.get("distortion_model")
    if model is None:  # old files
        if len(D) == 4 and given.model is None:
            raise FormatError(
                "distortion_model is missing, and 4 coefficients fit two; give --model"
            )
        model = "equidistant" if given.model == "fisheye" else ""
    name = str(content.get("camera_name") or document.path.stem)
    make_lens("pinhole", (width, height), K, [], "camera_matrix")  # its form
    try:
        lens = to_lens(str(model), D, K.ravel().tolist(), width, height)
    except CalibError as error:
        raise FormatError(f"distortion_model {shown(model)}: {error}") from error
    shapes = {_RECTIFICATION: (3, 3), _PROJECTION: (3, 4)}
    rectified = {key: _matrix(content, key, s) for key, s in shapes.items() if key in content}
    notes = not_kept(key for key in content if key not in _KEPT)
    notes += rectification(K, rectified)
    return CameraSet((FoundCamera(name, lens),), notes=notes)


def _matrix(
    content: dict[str, Any], key: str, shape: tuple[int, ...] | None
) -> NDArray[np.float64]:
    """rows, cols and data of one key; `shape` None takes any."""
    value = entry(content, key)
    found = tuple(
        max(0, int(number(entry(value, side, key), f"{key}.{side}"))) for side in ("rows", "cols")
    )
    if shape and found != shape:
        raise FormatError(f"{key} is {found[0]}x{found[1]}; give {shape[0]}x{shape[1]}")
    data = numbers(entry(value, "data", key), found[0] * found[1], f"{key}.data")
    return np.array(data).reshape(found)


def _write(found: CameraSet) -> Written:
    camera = found.cameras[0]
    lens = camera.lens
    model, D = model_and_coefficients(lens, "equidistant")
    P = np.hstack([lens.matrix, np.zeros((3, 1))])
    content = {
        "image_width": lens.width,
        "image_height": lens.height,
        "camera_name": camera.name,
        "camera_matrix": _entry(lens.matrix),
        "distortion_model": model,
        _DISTORTION: _entry(np.array([D])),
        _RECTIFICATION: _entry(np.eye(3)),
        _PROJECTION: _entry(P),
    }
    return Written(yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100))


def _entry(matrix: NDArray[np.float64]) -> dict[str, Any]:
    return {"rows": matrix.shape[0], "cols": matrix.shape[1], "data": matrix.ravel().tolist()}


ROS = Format(
    "ros",
    "ROS CameraInfo",
    ".yaml",
    single=True,
    has_pose=False,
    matches=lambda document: has_keys(document, "camera_matrix", _DISTORTION, "image_width"),
    read=_read,
    write=_write,
)
