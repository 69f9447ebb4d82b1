"""Points that are recognised again in another picture, without knowing any calibration.

Lowe 2004, "Distinctive image features from scale-invariant keypoints", with the square root of
Arandjelovic & Zisserman 2012; a match counts where both pictures choose each other and the second
choice is clearly worse.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LONG_SIDE = 960
"""Pixels to which larger images are reduced: enough for a tenth of a degree."""
_FEATURES = 1500
_CONTRAST = 0.015
"""Below OpenCV's own limit, so that plain walls and roads give points too."""
_SECOND = 0.8
"""Lowe's ratio: distance to the first choice over distance to the second."""


@dataclass(frozen=True)
class Features:
    """`pixels` (N, 2) of the full picture, pixel centres at integers; `descriptors` (N, 128)."""

    pixels: NDArray[np.float64]
    descriptors: NDArray[np.float32]


def find_features(grey: NDArray[np.uint8]) -> Features:
    """Of a grey picture (H, W)."""
    scale = min(1.0, LONG_SIDE / max(grey.shape))
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    sift = cv2.SIFT.create(_FEATURES, contrastThreshold=_CONTRAST)
    found, descriptors = sift.detectAndCompute(grey, None)
    if not found:
        return Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    pixels = np.array([point.pt for point in found], np.float64)
    root = np.sqrt(descriptors / descriptors.sum(axis=1, keepdims=True))
    return Features((pixels + 0.5) / scale - 0.5, root.astype(np.float32))


def match(a: Features, b: Features) -> NDArray[np.int64]:
    """(N, 2): rows of `a` and `b` that show the same point, a few of them wrongly."""
    if min(len(a.pixels), len(b.pixels)) < 2:
        return np.zeros((0, 2), np.int64)
    likeness = a.descriptors @ b.descriptors.T  # of unit vectors: distance^2 = 2 - 2 likeness
    best = likeness.argmax(axis=1)
    rows = np.arange(len(best))
    first, second = np.sort(np.partition(likeness, -2, axis=1)[:, -2:], axis=1).T[::-1]
    clear = np.sqrt(np.maximum(1 - first, 0)) < _SECOND * np.sqrt(np.maximum(1 - second, 0))
    mutual = likeness.argmax(axis=0)[best] == rows
    chosen = rows[clear & mutual]
    return np.stack([chosen, best[chosen]], axis=1)
