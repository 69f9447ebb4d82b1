"""ROS's names of distortion models, with the coefficients D that each takes.

Source: sensor_msgs/CameraInfo and sensor_msgs/distortion_models.hpp; Foxglove's CameraCalibration
follows them, with kannala_brandt for what ROS calls equidistant. D is in OpenCV's order.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calib.errors import LensError
from calib.lens import Lens

# Foxglove's fourth, fisheye62, has no lens here.
_MODELS: dict[str, tuple[Literal["pinhole", "fisheye"], tuple[int, ...]]] = {
    "": ("pinhole", (0, 4, 5, 8)),
    "plumb_bob": ("pinhole", (0, 4, 5)),
    "rational_polynomial": ("pinhole", (8,)),
    "kannala_brandt": ("fisheye", (4,)),
    "equidistant": ("fisheye", (4,)),
}


def to_lens(model: str, D: Sequence[float], K: Sequence[float], width: int, height: int) -> Lens:
    """The lens of a calibration: D of any length, K the 9 numbers of the camera matrix by rows.

    All-zero coefficients become none: an undistorted pinhole. Raises LensError for an unknown
    model, wrong lengths, or values that no lens has.
    """
    if model not in _MODELS:
        known = ", ".join(name for name in _MODELS if name)
        raise LensError(f"distortion model is '{model}'; convert it to {known}")
    kind, counts = _MODELS[model]
    if len(D) not in counts:
        allowed = " or ".join(str(count) for count in counts)
        raise LensError(f"D has {len(D)} values; {model or 'it'} takes {allowed}")
    if len(K) != 9:
        raise LensError(f"K has {len(K)} values; give the 9 of a 3x3 matrix")
    fx, skew, cx, _, fy, cy = K[:6]
    if skew != 0:
        raise LensError(f"K has a skew of {skew}; only lenses without skew are read")
    distortion = () if kind == "pinhole" and not any(D) else tuple(D)
    return Lens(kind, width, height, fx, fy, cx, cy, distortion)


def model_and_coefficients(lens: Lens, fisheye: str) -> tuple[str, list[float]]:
    """The model's name and D of a lens; `fisheye` is the name of Kannala-Brandt."""
    if lens.model == "fisheye":
        return fisheye, list(lens.distortion)
    if len(lens.distortion) == 8:
        return "rational_polynomial", list(lens.distortion)
    # plumb_bob takes five: k1 k2 p1 p2 k3
    return "plumb_bob", [*lens.distortion, *[0.0] * (5 - len(lens.distortion))]


def rectification(
    K: NDArray[np.float64], found: Mapping[str, NDArray[np.float64]]
) -> tuple[str, ...]:
    """The note on a rectified image, where R (9 numbers) or P (12), by their keys, describe one
    that differs from the raw image."""
    raw = {9: np.eye(3).ravel(), 12: np.hstack([K, np.zeros((3, 1))]).ravel()}
    lost = [key for key, M in found.items() if not np.array_equal(M.ravel(), raw[M.size])]
    return (f"{' and '.join(lost)} of the rectified image: not kept",) if lost else ()
