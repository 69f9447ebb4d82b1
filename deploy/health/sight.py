"""Sight: whether an image shows anything at all, from a few of its grey values."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# The image is looked at in so many rows and columns; means of that many pixels have little noise.
_ROWS, _COLUMNS = 60, 160

# Measured on CamVid, IDD-Lite, a DGP scene, other real road images and the sample log, 244 images
# in all. Real ones have a 99th percentile of at least 137 (17 when darkened eightfold) and a spread
# of at least 30 (3.9). Their sharpness is at least 1.9, also at a sixth of the light and with noise
# of 3; but for one image of CamVid, 1.2. Smeared ones (Gaussian of a sixtieth of the width, noise
# of 0 to 4) have at most 1.24.
DARK = 12.0
SATURATED = 240.0
COVERED = 2.5
SMEARED = 1.35


@dataclass(frozen=True)
class Sight:
    """Of the green values, 0 to 255: 1st and 99th percentile `low` and `high`, standard deviation
    `spread`. `sharpness`: growth of the mean square difference of two pixels, the structure
    function, from 1 to 2 columns apart over that from 2 to 4, times four. Noise that differs from
    pixel to pixel cancels out. 1 is a picture without any edge, 2 one of edges of any size."""

    low: float
    high: float
    spread: float
    sharpness: float

    @property
    def blindness(self) -> str:
        """Why the camera can't see, "" if it can."""
        if self.high < DARK:
            return f"dark: nothing is brighter than {self.high:.0f} of 255"
        if self.low > SATURATED:
            return f"saturated: nothing is darker than {self.low:.0f} of 255"
        if self.spread < COVERED:
            return f"covered: grey values spread by {self.spread:.1f} of 255 only"
        if self.sharpness < SMEARED:
            return f"blurred: sharpness {self.sharpness:.2f}, below {SMEARED}"
        return ""


def measure(image: NDArray[np.uint8]) -> Sight:
    """Sight of an image, uint8 (H, W, 3) BGR; a tenth of a millisecond for 1280x960."""
    rows = image[:: max(1, image.shape[0] // _ROWS)]
    small = cv2.resize(rows, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    green = small[..., 1].astype(np.float32)
    square = [
        cv2.norm(green[:, apart:], green[:, :-apart], cv2.NORM_L2SQR) / (_COLUMNS - apart)
        for apart in (1, 2, 4)
    ]
    wide = square[2] - square[1]
    sharpness = 4 * (square[1] - square[0]) / wide if wide > 0 else 0.0
    first, last = green.size // 100, green.size - 1 - green.size // 100
    ordered = np.partition(green.ravel(), (first, last))
    return Sight(float(ordered[first]), float(ordered[last]), float(green.std()), sharpness)
