"""Letterbox: fit an image into a fixed size, aspect kept, centred. All its arithmetic is here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib.errors import LensError


@dataclass(frozen=True)
class Letterbox:
    """Where a source image lies inside its destination image. Sizes and pads in pixels.

    The source is resized to `resized_width` x `resized_height` (rounded to whole pixels, so
    the two axes may scale a little differently), then placed `pad_left` and `pad_top` pixels
    in. Pixel centres are integers, hence per axis: dst = (src + 0.5) * scale - 0.5 + pad.
    """

    src_width: int
    src_height: int
    dst_width: int
    dst_height: int
    resized_width: int
    resized_height: int
    pad_left: int
    pad_top: int

    @classmethod
    def fit(cls, src_width: int, src_height: int, dst_width: int, dst_height: int) -> "Letterbox":
        """The largest centred placement. Raises LensError for a size below one pixel."""
        if min(src_width, src_height, dst_width, dst_height) < 1:
            raise LensError(
                f"letterbox {src_width}x{src_height} into {dst_width}x{dst_height}: "
                "every side must be at least 1 pixel"
            )
        scale = min(dst_width / src_width, dst_height / src_height)
        resized_width = min(dst_width, max(1, int(src_width * scale + 0.5)))
        resized_height = min(dst_height, max(1, int(src_height * scale + 0.5)))
        return cls(
            src_width=src_width,
            src_height=src_height,
            dst_width=dst_width,
            dst_height=dst_height,
            resized_width=resized_width,
            resized_height=resized_height,
            pad_left=(dst_width - resized_width) // 2,
            pad_top=(dst_height - resized_height) // 2,
        )

    @property
    def scale(self) -> tuple[float, float]:
        """Exact scale of x and of y, after rounding to whole pixels."""
        return self.resized_width / self.src_width, self.resized_height / self.src_height

    @property
    def pad(self) -> tuple[int, int]:
        """Pixels left of and above the resized image."""
        return self.pad_left, self.pad_top

    def forward(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Source pixels (..., 2) to destination pixels (..., 2)."""
        return (np.asarray(pixels, np.float64) + 0.5) * self.scale - 0.5 + self.pad

    def inverse(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Destination pixels (..., 2) to source pixels (..., 2)."""
        return (np.asarray(pixels, np.float64) - self.pad + 0.5) / self.scale - 0.5
