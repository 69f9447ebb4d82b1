"""Fuse: camera results to one map, on the assumption that the ground is the plane z = 0.

The grid looks into the images (inverse perspective mapping, Mallot et al. 1991), through each
camera's true lens: which pixel shows which cell is computed once per rig.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.rig import Camera, Rig
from deploy.loop.decode import CameraResult
from deploy.loop.ego_map import EgoMap, GridSpec, MapObject
from deploy.loop.preprocess import Batch
from perception.spec import ModelSpec

# A cell that covers less of the scene map than this many pixels is too far for that camera.
MIN_FOOTPRINT = 0.01
# Below this the pixel may show something standing, which hides the ground behind it. At 0.5 two
# thirds more cells are wrongly called free (docs/ego-map.md).
MIN_GROUND = 0.85
MAX_RANGE_M = 60.0
# How far off the network's ground points are taken to be, in pixels of its input.
PIXEL_SIGMA = 2.0
# Two cameras' detections are one object within this distance plus both their sigmas; metres.
MERGE_RADIUS = {"vehicle": 2.0, "cyclist": 1.0, "pedestrian": 0.7}
MAX_MERGE_RADIUS = 6.0
# Two vehicles whose centres lie within this ellipse would overlap. Half axes in metres, across the
# line of sight and along it; the latter grows by a share of the range, as its error does.
OVERLAP_ACROSS_M, OVERLAP_ALONG_M = 1.6, 2.0
OVERLAP_ALONG_SHARE, MAX_OVERLAP_ALONG_M = 0.1, 5.0


@dataclass(frozen=True)
class GroundView:
    """Where one camera sees each ground cell: coordinates in its scene map, float32 (rows,
    columns), and the weight of what it sees there, 0 outside its view."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    weight: NDArray[np.float32]


@dataclass
class _Candidate:
    """Detections of one object; the position is their mean weighted by 1 / sigma^2."""

    label: str
    score: float
    x: float
    y: float
    sigma: float
    cameras: list[str]

    def merge(self, other: "_Candidate") -> None:
        mine, theirs = self.sigma**-2, other.sigma**-2
        self.x = (self.x * mine + other.x * theirs) / (mine + theirs)
        self.y = (self.y * mine + other.y * theirs) / (mine + theirs)
        self.sigma = (mine + theirs) ** -0.5
        self.score = max(self.score, other.score)
        self.cameras += other.cameras

    def distance(self, other: "_Candidate") -> float:
        return math.hypot(self.x - other.x, self.y - other.y)


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

    def fuse(self, results: dict[str, CameraResult]) -> EgoMap:
        """One map from the results of the cameras that have one."""
        drivable, seen = self._drivable(results)
        candidates = [c for result in results.values() for c in self._locate(result)]
        return EgoMap(self.grid, drivable, seen, merge(candidates))

    def _drivable(
        self, results: dict[str, CameraResult]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """P(drivable | ground), each camera weighted by footprint and by P(ground)."""
        free = np.zeros(self.grid.shape, np.float32)
        evidence = np.zeros(self.grid.shape, np.float32)
        for name, result in results.items():
            view = self.views[name]
            both = cv2.merge([result.drivable, result.ground])
            looked_up = np.asarray(
                cv2.remap(both, view.x, view.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
                np.float32,
            )
            weight = np.where(looked_up[..., 1] >= MIN_GROUND, view.weight, np.float32(0))
            free += weight * looked_up[..., 0]
            evidence += weight * looked_up[..., 1]
        seen = evidence > 0
        return np.divide(free, evidence, out=np.zeros_like(free), where=seen), seen

    def _locate(self, result: CameraResult) -> list[_Candidate]:
        """The camera's detections on the ground plane; those above the horizon or too far have
        no place on it."""
        if not result.objects:
            return []
        camera = self._rig[result.camera]
        points = np.array([detection.ground_point for detection in result.objects])
        step = PIXEL_SIGMA / result.letterbox.scale[1]
        around = points + np.array([(0, 0), (step, 0), (0, step)])[:, None]
        ground = on_ground(camera, around)
        sigmas = np.linalg.norm(ground[1:] - ground[0], axis=-1).max(axis=0)
        in_range = np.hypot(ground[0, :, 0], ground[0, :, 1]) <= MAX_RANGE_M
        keep = in_range & np.isfinite(sigmas)
        return [
            _Candidate(
                detection.label,
                detection.score,
                float(ground[0, i, 0]),
                float(ground[0, i, 1]),
                float(max(sigmas[i], 1e-3)),
                [result.camera],
            )
            for i, detection in enumerate(result.objects)
            if keep[i]
        ]


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
    x, y = (np.ascontiguousarray(centres[..., axis], np.float32) for axis in (0, 1))
    return GroundView(x, y, weight.astype(np.float32))


def on_ground(camera: Camera, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ego x, y (..., 2) in metres of the ground that pixels (..., 2) show; NaN for a pixel at or
    above the horizon or outside the lens's range."""
    rays = camera.unproject(pixels)
    x, y, height = camera.ego_from_camera[:3, 3]
    with np.errstate(all="ignore"):
        distance = np.where(rays[..., 2] < 0, -height / rays[..., 2], np.nan)
    return np.stack([x, y], axis=-1) + distance[..., None] * rays[..., :2]


def merge(candidates: Iterable[_Candidate]) -> tuple[MapObject, ...]:
    """One object for each, whoever saw it. Best scores first, every detection joins the nearest
    object of its class that its own camera is not part of: a camera reports different objects.
    Where it reports one vehicle twice all the same, the better score stays."""
    objects: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.score, c.cameras, c.x, c.y)):
        near = [
            known
            for known in objects
            if known.label == candidate.label
            and candidate.cameras[0] not in known.cameras
            and known.distance(candidate) <= _merge_radius(known, candidate)
        ]
        if near:
            min(near, key=candidate.distance).merge(candidate)
        else:
            objects.append(candidate)
    apart = _without_overlaps(objects)
    apart.sort(key=lambda known: math.hypot(known.x, known.y))
    return tuple(
        MapObject(o.label, o.score, o.x, o.y, o.sigma, tuple(sorted(o.cameras))) for o in apart
    )


def _without_overlaps(objects: list[_Candidate]) -> list[_Candidate]:
    """The objects without the vehicles that stand in one of a better score."""
    kept: list[_Candidate] = []
    for candidate in sorted(objects, key=lambda o: -o.score):
        if not any(_overlap(known, candidate) for known in kept):
            kept.append(candidate)
    return kept


def _overlap(a: _Candidate, b: _Candidate) -> bool:
    if not a.label == b.label == "vehicle":
        return False
    away = max(math.hypot(a.x, a.y), 1e-6)
    x, y, sight_x, sight_y = b.x - a.x, b.y - a.y, a.x / away, a.y / away
    reach = min(OVERLAP_ALONG_M + OVERLAP_ALONG_SHARE * away, MAX_OVERLAP_ALONG_M)
    along, across = sight_x * x + sight_y * y, sight_x * y - sight_y * x
    return math.hypot(along / reach, across / OVERLAP_ACROSS_M) < 1


def _merge_radius(a: _Candidate, b: _Candidate) -> float:
    return min(MERGE_RADIUS.get(a.label, 1.0) + a.sigma + b.sigma, MAX_MERGE_RADIUS)
