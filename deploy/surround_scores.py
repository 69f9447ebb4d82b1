"""The learned ground beside the geometric one: the same cells, the same truth (docs/surround.md).

Both are asked at the centres of the geometric map's cells. The geometric map's vehicles are the
footprints of its objects.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from deploy.log.boxes import Box
from deploy.log.grids import GroundGrid
from deploy.loop.ego_map import EgoMap
from deploy.loop.surround import SurroundMap
from deploy.map_truth import drivable_at, enough_seen

REACH_M = 30.0
MAPS = ("geometric", "learned")


class SurroundScores:
    """Intersections and unions over all ticks of a log; `to_json` gives the measures."""

    def __init__(self) -> None:
        self._both: Counter[tuple[str, str]] = Counter()
        self._either: Counter[tuple[str, str]] = Counter()

    def add(
        self,
        ego: EgoMap,
        learned: SurroundMap,
        ground: GroundGrid | None,
        boxes: list[Box] | None,
    ) -> None:
        """Count the cells of one tick, of either layer that has truth."""
        points = ego.grid.centres()[..., :2]
        near = np.linalg.norm(points, axis=-1) <= REACH_M
        layers = dict(zip(learned.spec.layers, learned.at(points) >= 0.5, strict=True))
        if ground is not None:
            drivable = drivable_at(ground, points)
            maps = (ego.seen & (ego.drivable >= 0.5), layers["drivable"])
            self._count("drivable", near & (drivable >= 0), drivable == 1, maps)
        if boxes is not None:
            vehicles = [box for box in boxes if box.object_class == "vehicle"]
            seen = [box for box in vehicles if enough_seen(box)]
            hidden = [box for box in vehicles if not enough_seen(box)]
            maps = (_footprints(ego), layers["vehicle"])
            true, unknown = _covered(points, seen), _covered(points, hidden)
            self._count("vehicle", near & ~(unknown & ~true), true, maps)

    def __add__(self, other: "SurroundScores") -> "SurroundScores":
        """Counts of both, as of one log."""
        total = SurroundScores()
        total._both = self._both + other._both
        total._either = self._either + other._either
        return total

    def to_json(self) -> dict[str, dict[str, float | None]]:
        """Intersection over union of each layer, by map; None where nothing was there."""
        layers = dict.fromkeys(layer for layer, _ in self._either)
        return {
            f"{layer}_iou_{REACH_M:g}_m": {
                name: self._both[layer, name] / self._either[layer, name]
                if self._either[layer, name]
                else None
                for name in MAPS
            }
            for layer in layers
        }

    def _count(
        self,
        layer: str,
        known: NDArray[np.bool_],
        true: NDArray[np.bool_],
        maps: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ) -> None:
        for name, mapped in zip(MAPS, maps, strict=True):
            self._both[layer, name] += int((known & true & mapped).sum())
            self._either[layer, name] += int((known & (true | mapped)).sum())


def _footprints(ego: EgoMap) -> NDArray[np.bool_]:
    cells = np.zeros(ego.grid.shape, bool)
    for thing in ego.objects:
        if thing.label == "vehicle":
            cells[ego.grid.rectangle(thing.x, thing.y, thing.size[0], thing.size[1])] = True
    return cells


def _covered(points: NDArray[np.float64], boxes: list[Box]) -> NDArray[np.bool_]:
    """Which of the ego points (rows, columns, 2) lie below a box."""
    cells = np.zeros(points.shape[:2], bool)
    for box in boxes:
        along = (points - box.ego_from_box[:2, 3]) @ box.ego_from_box[:2, :2]
        cells |= (np.abs(along) <= np.array(box.size[:2]) / 2).all(axis=-1)
    return cells
