"""Foxglove's CameraCalibration as JSON: one camera, no pose.

Source: https://docs.foxglove.dev/docs/visualization/message-schemas/camera-calibration. K and D
belong to the raw image; R and P to a rectified one, which a lens here does not describe.
"""

import json

import numpy as np

from calib.errors import CalibError, FormatError
from calib.formats.cameras import CameraSet, FoundCamera
from calib.formats.document import (
    Document,
    Given,
    entry,
    make_lens,
    not_kept,
    numbers,
    shown,
    whole,
)
from calib.formats.format import Format, Written, has_keys
from calib.formats.ros_models import model_and_coefficients, rectification, to_lens

# The stamp is a message's, not the camera's.
_KEYS = {"timestamp", "frame_id", "width", "height", "distortion_model", "D", "K", "R", "P"}


def _read(document: Document, given: Given) -> CameraSet:
    content = document.mapping
    width, height = (whole(entry(content, key), key) for key in ("width", "height"))
    K = numbers(entry(content, "K"), 9, "K")
    D = numbers(entry(content, "D"), None, "D")
    model = entry(content, "distortion_model")
    make_lens("pinhole", (width, height), np.reshape(K, (3, 3)), [], "K")  # its form
    try:
        lens = to_lens(str(model), D, K, width, height)
    except CalibError as error:
        raise FormatError(f"distortion_model {shown(model)}: {error}") from error
    name = str(content.get("frame_id") or document.path.stem)
    counts = {"R": 9, "P": 12}
    rectified = {
        key: np.array(numbers(content[key], n, key))
        for key, n in counts.items()
        if content.get(key)
    }
    notes = not_kept(key for key in content if key not in _KEYS)
    notes += rectification(lens.matrix, rectified)
    return CameraSet((FoundCamera(name, lens),), notes=notes)


def _write(found: CameraSet) -> Written:
    camera = found.cameras[0]
    lens = camera.lens
    model, D = model_and_coefficients(lens, "kannala_brandt")
    content = {
        "timestamp": {"sec": 0, "nsec": 0},
        "frame_id": camera.name,
        "width": lens.width,
        "height": lens.height,
        "distortion_model": model,
        "D": D,
        "K": lens.matrix.ravel().tolist(),
        "R": np.eye(3).ravel().tolist(),
        "P": np.hstack([lens.matrix, np.zeros((3, 1))]).ravel().tolist(),
    }
    return Written(json.dumps(content, indent=2) + "\n")


FOXGLOVE = Format(
    "foxglove",
    "Foxglove's CameraCalibration",
    ".json",
    single=True,
    has_pose=False,
    matches=lambda document: has_keys(document, "K", "D", "distortion_model"),
    read=_read,
    write=_write,
)
