"""Lens: how one camera turns rays into pixels and back."""

import math
import operator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict

from calib.errors import LensError
from calib.fisheye import KannalaBrandt
from calib.letterbox import Letterbox
from calib.pinhole import BrownConrady

MOST_PIXELS_A_SIDE = 65_535  # as many as a JPEG can have
COEFFICIENT_COUNTS = {"pinhole": (0, 4, 5, 8), "fisheye": (4,)}


@dataclass(frozen=True)
class Lens:
    """Intrinsics of one camera at one image size.

    `width`, `height`: image size in pixels. `fx`, `fy`, `cx`, `cy`: focal lengths and principal
    point in pixels, pixel centres at integers. `distortion`: for a pinhole 0, 4, 5 or 8
    coefficients k1 k2 p1 p2 k3 k4 k5 k6 (OpenCV's order); for a fisheye the four k1..k4 of
    Kannala-Brandt. Camera frame: x right, y down, z forward, any length unit.

    Raises LensError for values that no lens has.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")  # when read from a rig file

    model: Literal["pinhole", "fisheye"]
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        # Plain numbers make lenses hash, compare and save the same wherever they came from.
        for name in ("width", "height"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        for name in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "distortion", tuple(float(k) for k in self.distortion))

        counts = COEFFICIENT_COUNTS.get(self.model)
        if counts is None:
            raise LensError(f"model is '{self.model}'; use pinhole or fisheye")
        if len(self.distortion) not in counts:
            raise LensError(
                f"distortion has {len(self.distortion)} values; "
                f"a {self.model} takes {' or '.join(map(str, counts))}"
            )
        for index, value in enumerate(self.distortion):
            if not math.isfinite(value):
                raise LensError(f"distortion[{index}] is {value}; give a finite number")
        for name in ("width", "height"):
            if not 1 <= getattr(self, name) <= MOST_PIXELS_A_SIDE:
                raise LensError(
                    f"{name} is {str(getattr(self, name))[:20]}; give 1 to {MOST_PIXELS_A_SIDE} "
                    "pixels"
                )
        for name in ("fx", "fy"):
            if not 0 < getattr(self, name) < math.inf:
                raise LensError(f"{name} is {getattr(self, name)}; give pixels above 0")
        for name in ("cx", "cy"):
            if not math.isfinite(getattr(self, name)):
                raise LensError(f"{name} is {getattr(self, name)}; give a finite number")

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The camera matrix K (3, 3)."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def project(self, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Project camera-frame points.

        points: (..., 3). Returns pixels (..., 2) and visible (...). Pixels are NaN where the lens
        maps the point nowhere (behind it, or past the range where its polynomial is monotonic);
        a point beside the image keeps its pixel but is not visible.
        """
        points = _with_last_axis(points, 3)
        plane, valid = self._distortion_model.project(points)
        pixels = plane * (self.fx, self.fy) + (self.cx, self.cy)
        pixels[~valid] = np.nan
        x, y = pixels[..., 0], pixels[..., 1]
        # An image covers half a pixel around its outermost centres.
        inside = (x >= -0.5) & (x < self.width - 0.5) & (y >= -0.5) & (y < self.height - 0.5)
        return pixels, inside

    def unproject(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Unit rays (..., 3) in the camera frame of pixels (..., 2), which may lie outside the
        image; NaN where the lens has no inverse."""
        plane = (_with_last_axis(pixels, 2) - (self.cx, self.cy)) / (self.fx, self.fy)
        return self._distortion_model.unproject(plane)

    def resized(self, width: int, height: int) -> "Lens":
        """The lens of the same picture, resized to `width` x `height` pixels."""
        return self._scaled(width / self.width, height / self.height, 0, 0, width, height)

    def letterboxed(self, box: Letterbox) -> "Lens":
        """The lens of the letterboxed picture. The padding counts as image here: it has rays,
        though no content. Raises LensError when `box` is for another image size."""
        if (box.src_width, box.src_height) != (self.width, self.height):
            raise LensError(
                f"letterbox takes {box.src_width}x{box.src_height} images but the lens gives "
                f"{self.width}x{self.height}; fit the letterbox to the lens"
            )
        return self._scaled(*box.scale, *box.pad, box.dst_width, box.dst_height)

    def _scaled(self, sx: float, sy: float, left: int, top: int, width: int, height: int) -> "Lens":
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5 + left,
            cy=(self.cy + 0.5) * sy - 0.5 + top,
        )

    @cached_property
    def _distortion_model(self) -> BrownConrady | KannalaBrandt:
        model = BrownConrady if self.model == "pinhole" else KannalaBrandt
        return model(self.distortion)


def _with_last_axis(values: ArrayLike, size: int) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim == 0 or array.shape[-1] != size:
        raise LensError(f"coordinates have shape {array.shape}; the last axis must be {size}")
    return array
