"""Drivable ground around the vehicle from straight above: the truth that maps are scored on."""

import cv2
import numpy as np

from perception.synthetic.classes import DRIVABLE, PAVEMENT, TERRAIN
from perception.synthetic.mesh import joined
from perception.synthetic.street import rectangle
from perception.synthetic.world import World, WorldState

REACH_M = 40.0
"""The grid reaches this far from the ego vehicle to every side."""
CELL_M = 0.2

_FINE = 5  # pixels per cell: OpenCV paints the pixels that an outline touches, so they are small
_SHIFT = 4  # fractional bits of its coordinates


class BirdsEyeTruth:
    """Which ground of one world is drivable."""

    def __init__(self, world: World) -> None:
        # Flat ground in painter's order, then the raised pavements, which lie above it.
        raised = [mesh for mesh in world.static if mesh["id"][0] in (DRIVABLE, PAVEMENT, TERRAIN)]
        soup = joined([*world.ground, *raised])
        self._triangles = soup["position"][:, :2].reshape(-1, 3, 2).astype(np.float64)
        self._drivable = (soup["id"][::3] == DRIVABLE).astype(np.uint8)

    def drivable(self, state: WorldState) -> np.ndarray:
        """(rows, columns) bool of the square within REACH_M, cells of CELL_M; rows along ego y,
        columns along ego x, from the smallest up. True where the surface at the cell's centre is
        drivable and no object stands on it, seen or not."""
        cells = round(2 * REACH_M / CELL_M)
        canvas = np.zeros((cells * _FINE, cells * _FINE), np.uint8)
        rotation, origin = state.world_from_ego[:2, :2], state.world_from_ego[:2, 3]

        def paint(corners: np.ndarray, values: np.ndarray) -> None:
            """Convex polygons (n, corners, 2) in the map frame, later ones on top."""
            metres = (corners - origin) @ rotation  # world to ego: the transposed rotation
            near = (metres.max(axis=1) > -REACH_M) & (metres.min(axis=1) < REACH_M)
            shown = near.all(axis=1)
            pixels = (metres[shown] + REACH_M) * (_FINE / CELL_M) - 0.5
            fixed = np.round(pixels * 2**_SHIFT).astype(np.int32)
            for polygon, value in zip(fixed, values[shown].tolist(), strict=True):
                cv2.fillConvexPoly(canvas, polygon, value, shift=_SHIFT)

        paint(self._triangles, self._drivable)
        footprints = [rectangle(np.array([a.x, a.y]), a.size[:2], a.yaw) for a in state.actors]
        if footprints:
            paint(np.array(footprints), np.zeros(len(footprints), np.uint8))
        return canvas[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE].astype(bool)
