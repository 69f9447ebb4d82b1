"""The ground around the vehicle from straight above: the truth that maps are scored on."""

from collections.abc import Collection

import cv2
import numpy as np

from perception.synthetic.classes import DRIVABLE, PAVEMENT, TERRAIN
from perception.synthetic.mesh import joined
from perception.synthetic.site import ActorState
from perception.synthetic.street import rectangle
from perception.synthetic.world import World, WorldState
from perception.taxonomy import IGNORE

REACH_M = 40.0
"""The grid reaches this far from the ego vehicle to every side."""
CELL_M = 0.2

_FINE = 5  # pixels per cell: OpenCV paints the pixels that an outline touches, so they are small
_SHIFT = 4  # fractional bits of its coordinates


class BirdsEyeTruth:
    """Which ground of one world is drivable, and where vehicles stand.

    Grids are (rows, columns) of the square within REACH_M, cells of CELL_M; rows along ego y,
    columns along ego x, from the smallest up.
    """

    def __init__(self, world: World) -> None:
        # Flat ground in painter's order, then the raised pavements, which lie above it.
        raised = [mesh for mesh in world.static if mesh["id"][0] in (DRIVABLE, PAVEMENT, TERRAIN)]
        soup = joined([*world.ground, *raised])
        self._triangles = soup["position"][:, :2].reshape(-1, 3, 2).astype(np.float64)
        self._drivable = (soup["id"][::3] == DRIVABLE).astype(np.uint8)

    def drivable(self, state: WorldState) -> np.ndarray:
        """Bool: true where the surface at the cell's centre is drivable and no object stands on
        it, seen or not."""
        canvas = _canvas()
        _paint(canvas, state, self._triangles, self._drivable)
        _paint(canvas, state, *_footprints(state.actors, 0))
        return _cells(canvas).astype(bool)

    @staticmethod
    def vehicles(state: WorldState, seen: Collection[int]) -> np.ndarray:
        """uint8: 1 where a vehicle stands, IGNORE where one stands whose instance is not among
        those `seen`, else 0."""
        canvas = _canvas()
        vehicles = [actor for actor in state.actors if actor.kind == "vehicle"]
        for value, some in (
            (IGNORE, [actor for actor in vehicles if actor.instance not in seen]),
            (1, [actor for actor in vehicles if actor.instance in seen]),
        ):
            _paint(canvas, state, *_footprints(some, value))
        return _cells(canvas)


def _footprints(actors: list[ActorState], value: int) -> tuple[np.ndarray, np.ndarray]:
    corners = [rectangle(np.array([a.x, a.y]), a.size[:2], a.yaw) for a in actors]
    return np.array(corners).reshape(-1, 4, 2), np.full(len(actors), value, np.uint8)


def _canvas() -> np.ndarray:
    side = round(2 * REACH_M / CELL_M) * _FINE
    return np.zeros((side, side), np.uint8)


def _cells(canvas: np.ndarray) -> np.ndarray:
    return canvas[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]


def _paint(canvas: np.ndarray, state: WorldState, corners: np.ndarray, values: np.ndarray) -> None:
    """Convex polygons (n, corners, 2) in the map frame, later ones on top."""
    rotation, origin = state.world_from_ego[:2, :2], state.world_from_ego[:2, 3]
    metres = (corners - origin) @ rotation  # world to ego: the transposed rotation
    near = (metres.max(axis=1) > -REACH_M) & (metres.min(axis=1) < REACH_M)
    shown = near.all(axis=1)
    pixels = (metres[shown] + REACH_M) * (_FINE / CELL_M) - 0.5
    fixed = np.round(pixels * 2**_SHIFT).astype(np.int32)
    for polygon, value in zip(fixed, values[shown].tolist(), strict=True):
        cv2.fillConvexPoly(canvas, polygon, value, shift=_SHIFT)
