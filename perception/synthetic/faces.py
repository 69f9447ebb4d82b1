"""Lens pass: which flat pictures to draw for a lens, and where each of its pixels lies in them.

A rasteriser draws rectilinear pictures only. One flat face covers an ordinary lens; a wide
fisheye gets two that look left and right of its axis, since one alone would spend most of its
pixels on the corners.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from calib.lens import Lens

_WIDE = 1.35  # tangent of the half angle up to which one face serves
_MARGIN = 2  # pixels around each face for interpolation


@dataclass(frozen=True)
class Face:
    """One rectilinear picture: rays (x, y, 1) with x0 <= x <= x1, y0 <= y <= y1 in its own frame,
    drawn into columns from `left` on of the atlas."""

    face_from_camera: np.ndarray  # (3, 3)
    x0: float
    y0: float
    x1: float
    y1: float
    left: int
    width: int
    height: int


@dataclass(frozen=True)
class Faces:
    """The faces of a lens, side by side in one atlas of `width` x `height` pixels, and for each
    pixel of the lens its place there: `map_x`, `map_y` float32 (H, W), -10 where it sees nothing.
    """

    faces: tuple[Face, ...]
    width: int
    height: int
    map_x: np.ndarray
    map_y: np.ndarray
    blind: np.ndarray  # (H, W) bool
    axis_share: np.ndarray  # (H, W) float32: depth along the camera's axis / depth in the face

    def linear(self, atlas: np.ndarray) -> np.ndarray:
        return cv2.remap(atlas, self.map_x, self.map_y, cv2.INTER_LINEAR)

    def nearest(self, atlas: np.ndarray) -> np.ndarray:
        return cv2.remap(atlas, self.map_x, self.map_y, cv2.INTER_NEAREST)


@lru_cache(maxsize=32)
def faces_of(lens: Lens) -> Faces:
    """Faces that cover `lens` at the pixel density of its centre."""
    x, y = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    rays = lens.unproject(np.stack([x, y], axis=2).astype(float))
    seen = np.asarray(np.isfinite(rays).all(axis=2))
    with np.errstate(invalid="ignore", divide="ignore"):
        tangent = np.abs(rays[..., 0] / rays[..., 2])
    wide = bool((seen & ((rays[..., 2] <= 0.05) | (tangent > _WIDE))).any())
    yaw = np.arctan2(rays[..., 0], rays[..., 2])
    parts = [seen & (yaw < 0), seen & (yaw >= 0)] if wide else [seen]
    map_x = np.full((lens.height, lens.width), -10, np.float32)
    map_y = map_x.copy()
    share = np.ones_like(map_x)
    faces, left, tallest = [], 0, 0
    for part in parts:
        middle = (yaw[part].min() + yaw[part].max()) / 2 if wide else 0.0
        c, s = np.cos(middle), np.sin(middle)
        turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        local = rays[part] @ turn.T
        plane = local[:, :2] / local[:, 2:]
        border = _MARGIN / lens.fx
        (x0, y0), (x1, y1) = plane.min(0) - border, plane.max(0) + border
        width, height = int(np.ceil((x1 - x0) * lens.fx)), int(np.ceil((y1 - y0) * lens.fy))
        faces.append(Face(turn, x0, y0, x1, y1, left, width, height))
        map_x[part] = left + (plane[:, 0] - x0) / (x1 - x0) * width - 0.5
        map_y[part] = (plane[:, 1] - y0) / (y1 - y0) * height - 0.5
        share[part] = rays[part][:, 2] / local[:, 2]
        left += width
        tallest = max(tallest, height)
    return Faces(tuple(faces), left, tallest, map_x, map_y, ~seen, share)
