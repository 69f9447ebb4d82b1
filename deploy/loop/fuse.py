"""Fuse: camera results to one map, on the assumption that the ground is the plane z = 0.

The grid looks into the images (inverse perspective mapping, Mallot et al. 1991), through each
camera's true lens: which pixel shows which cell is computed once per rig.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.rig import Camera, Rig
from deploy.loop.associate import associate
from deploy.loop.decode import CameraResult
from deploy.loop.ego_map import EgoMap, GridSpec, MapObject
from deploy.loop.locate import Sighting, locate, map_object
from deploy.loop.preprocess import Batch
from perception.spec import ModelSpec

# A cell that covers less of the scene map than this many pixels is too far for that camera.
MIN_FOOTPRINT = 0.01
# Below this the pixel may show something standing, which hides the ground behind it. At 0.5 two
# thirds more cells are wrongly called free (docs/ego-map.md).
MIN_GROUND = 0.85
# Cameras look in below the bodies of vehicles, at ground that is not free. Of a footprint along our
# heading, the inner share is taken for not drivable, the rest for unknown: it may be misplaced.
INNER_FOOTPRINT = 0.5
# Evidence of a cell is how many pixels of the scene map show it, at most 1 a camera, and what is
# remembered of that. With less it is unknown; with SURE_EVIDENCE its confidence is 63 %.
MIN_EVIDENCE, SURE_EVIDENCE = 0.02, 0.5


@dataclass(frozen=True)
class GroundView:
    """Where one camera sees the ground: `window`, the rows and columns of the grid that hold all
    it sees, and for each cell of it coordinates in the camera's scene map and the weight of what
    it sees there, 0 outside its view; float32 (rows, columns) of the window."""

    window: tuple[slice, slice]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    weight: NDArray[np.float32]


Follow = Callable[[list[list[Sighting]]], tuple[MapObject, ...]]


def _untracked(cameras: list[list[Sighting]]) -> tuple[MapObject, ...]:
    return tuple(map_object(thing) for thing in associate(cameras))


Remember = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]


def _without_memory(
    evidence: NDArray[np.float32], hidden: NDArray[np.bool_]
) -> NDArray[np.float32]:
    return evidence


class Fuser:
    """Puts the results of all cameras of a rig together in the ego frame."""

    def __init__(
        self, rig: Rig, batches: Iterable[Batch], spec: ModelSpec, grid: GridSpec | None = None
    ) -> None:
        self.grid = grid or GridSpec()
        self._rig = rig
        self.views = {
            camera.name: ground_view(camera, batch, spec, self.grid)
            for batch in batches
            for camera in batch.cameras
        }

    def fuse(
        self,
        results: dict[str, CameraResult],
        follow: Follow = _untracked,
        remember: Remember = _without_memory,
    ) -> EgoMap:
        """One map from the results of the cameras that have one; `follow` makes objects of what
        they saw, `remember` adds evidence of before to that of now."""
        objects = follow([locate(self._rig[name], result) for name, result in results.items()])
        evidence, hidden = self._evidence(results)
        for thing in objects:  # what cameras see below it is no ground to drive on
            cells = self.grid.rectangle(thing.x, thing.y, *thing.size[:2])
            evidence[cells], hidden[cells] = 0, True
        evidence = remember(evidence, hidden)
        free, ground = evidence[..., 0], evidence[..., 1]
        seen = ground >= MIN_EVIDENCE
        drivable = np.divide(free, ground, out=np.zeros_like(free), where=seen)
        confidence = np.where(seen, 1 - np.exp(-ground / SURE_EVIDENCE), np.float32(0))
        _stand(self.grid, objects, drivable, confidence)
        return EgoMap(self.grid, drivable, confidence, objects)

    def _evidence(
        self, results: dict[str, CameraResult]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Evidence (rows, columns, 2) of drivable ground and of any ground, each camera weighted
        by footprint, and the cells (rows, columns) where cameras see something standing only."""
        evidence = np.zeros((*self.grid.shape, 2), np.float32)
        watched = np.zeros(self.grid.shape, np.bool_)
        for name, result in results.items():
            view = self.views[name]
            both = cv2.merge([result.drivable, result.ground])
            looked_up = np.asarray(
                cv2.remap(both, view.x, view.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
                np.float32,
            )
            weight = np.where(looked_up[..., 1] >= MIN_GROUND, view.weight, np.float32(0))
            evidence[view.window] += weight[..., None] * looked_up
            watched[view.window] |= view.weight > 0
        return evidence, watched & (evidence[..., 1] == 0)


def ground_view(camera: Camera, batch: Batch, spec: ModelSpec, grid: GridSpec) -> GroundView:
    """Look-up table of one camera. A cell's weight is the area in scene map pixels that it
    covers, at most 1: beyond one pixel per cell more pixels tell nothing new."""
    letterbox, stride = batch.letterboxes[camera.name], spec.output_stride

    def scene(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        pixels, visible = camera.project(points)
        # Scene map pixel k covers network pixels k * stride to k * stride + stride - 1.
        return (letterbox.forward(pixels) + 0.5) / stride - 0.5, visible

    centres, visible = scene(grid.centres())
    corners, _ = scene(grid.corners())
    diagonal, other = corners[1:, 1:] - corners[:-1, :-1], corners[1:, :-1] - corners[:-1, 1:]
    area = 0.5 * np.abs(diagonal[..., 0] * other[..., 1] - diagonal[..., 1] * other[..., 0])
    visible &= area >= MIN_FOOTPRINT  # False where a corner is NaN, at the edge of the lens
    weight = np.where(visible, np.minimum(area, 1), 0)
    centres[~visible] = 0
    window = _bounds(weight > 0)
    x, y = (np.ascontiguousarray(centres[window][..., axis], np.float32) for axis in (0, 1))
    return GroundView(window, x, y, np.ascontiguousarray(weight[window], np.float32))


def _bounds(cells: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns from the first to the last cell that is true; one cell if none is."""
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _stand(
    grid: GridSpec,
    objects: tuple[MapObject, ...],
    drivable: NDArray[np.float32],
    confidence: NDArray[np.float32],
) -> None:
    """Put the objects on the ground: of their footprints the inner parts, last whatever the order
    of objects, are surely not drivable, and the rims unknown."""
    for share in (1.0, INNER_FOOTPRINT):
        for thing in objects:
            cells = grid.rectangle(thing.x, thing.y, thing.size[0] * share, thing.size[1] * share)
            confidence[cells] = thing.score if share < 1 else 0
            drivable[cells] = 0
