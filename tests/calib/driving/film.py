"""Pictures of a street without a renderer: a road between two walls, all rough to the eye."""

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera

_WALL_M, _HEIGHT_M, _TEXEL_M = 7.0, 6.0, 0.04


class Film:
    """What `camera` sees from anywhere along a straight street."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        x, y = np.meshgrid(np.arange(camera.lens.width), np.arange(camera.lens.height))
        self._rays = camera.unproject(np.stack([x, y], axis=-1))
        rng = np.random.default_rng(0)
        surfaces = []
        for _ in range(3):
            rough = np.zeros((512, 2048), np.float32)
            for size in (1, 4, 16):  # something to follow from near and from far
                noise = rng.random((512 // size, 2048 // size)).astype(np.float32)
                rough += cv2.resize(noise, (2048, 512), interpolation=cv2.INTER_CUBIC)
            surfaces.append((255 * (rough - rough.min()) / np.ptp(rough)).astype(np.float32))
        self._surfaces = surfaces

    def frame(self, world_from_ego: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(height, width, 3)."""
        rays = self._rays @ world_from_ego[:3, :3].T
        start = (world_from_ego @ self._camera.ego_from_camera)[:3, 3]
        picture = np.full(rays.shape[:2], 200, np.float32)
        nearest = np.full(rays.shape[:2], 80.0)
        for surface, (axis, value) in zip(
            self._surfaces, ((2, 0.0), (1, _WALL_M), (1, -_WALL_M)), strict=True
        ):
            with np.errstate(all="ignore"):
                away = (value - start[axis]) / rays[..., axis]
                place = start + rays * away[..., None]
            hit = (away > 0) & (away < nearest) & (place[..., 2] < _HEIGHT_M)
            place = np.nan_to_num(place, nan=0, posinf=0, neginf=0)
            across = place[..., 1 if axis == 2 else 2] + 8
            u = (place[..., 0] / _TEXEL_M % 2048).astype(np.float32)
            v = (across / _TEXEL_M % 512).astype(np.float32)
            seen = cv2.remap(surface, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            picture[hit] = seen[hit]
            nearest[hit] = away[hit]
        return np.repeat(picture.astype(np.uint8)[..., None], 3, axis=2)
