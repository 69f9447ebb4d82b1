"""Truth about the objects in a view: boxes, occlusion, ground contact, from masks and geometry."""

from dataclasses import dataclass

import cv2
import numpy as np

from calib.rig import Camera
from perception.synthetic.world import WorldState

MIN_HEIGHT = 6
"""Pixels: lower boxes are marked ignore."""
MAX_OCCLUSION = 0.8

_SILHOUETTE = 96  # pixels across the canvas that silhouettes are measured on
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True)
class ObjectTruth:
    """One object in one view.

    box: x0, y0, x1, y1 pixels, outer edges of the visible mask (a whole picture is -0.5, -0.5,
    W - 0.5, H - 0.5). ground_point: projection of the centre of the footprint, NaN where the lens
    has no image of it; may lie outside the picture. occlusion: estimated share of the silhouette
    inside the picture that something else hides. The 3D box stands on (x, y, z) in the ego frame,
    metres; yaw in radians about z; size is length, width, height.
    """

    kind: str
    instance: int
    box: tuple[float, float, float, float]
    ground_point: tuple[float, float]
    occlusion: float
    ignore: bool
    position: tuple[float, float, float]
    yaw: float
    size: tuple[float, float, float]


def object_truths(
    state: WorldState, meshes: dict[int, np.ndarray], camera: Camera, instances: np.ndarray
) -> list[ObjectTruth]:
    """Truth of every object with a pixel in `instances` (H, W) uint16, by instance.

    `meshes` are the objects' vertices (n, 3) in the map frame. Occlusion compares the visible
    pixels with the area of the union of the object's projected triangles, clipped to the picture:
    a few per cent off for objects that the lens bends strongly.
    """
    ego_from_world = np.linalg.inv(state.world_from_ego)
    camera_from_world = np.linalg.inv(camera.ego_from_camera) @ ego_from_world
    flat = instances.ravel()
    counts = np.bincount(flat)
    out: list[ObjectTruth] = []
    present = np.flatnonzero(counts[1:]) + 1
    if len(present) == 0:
        return out
    occupied = np.flatnonzero(flat)
    owner = flat[occupied]
    y, x = np.divmod(occupied, instances.shape[1])
    limits = np.empty((len(counts), 4), np.int64)
    limits[:, :2], limits[:, 2:] = 1 << 30, -1
    np.minimum.at(limits[:, 0], owner, x)
    np.minimum.at(limits[:, 1], owner, y)
    np.maximum.at(limits[:, 2], owner, x)
    np.maximum.at(limits[:, 3], owner, y)
    rows = {actor.instance: actor for actor in state.actors}
    turn = np.arctan2(state.world_from_ego[1, 0], state.world_from_ego[0, 0])
    for instance in present:
        actor = rows[int(instance)]
        x0, y0, x1, y1 = limits[instance]
        foot = np.array([actor.x, actor.y, actor.z, 1.0])
        point, _ = camera.lens.project((camera_from_world @ foot)[:3])
        whole = _silhouette_area(meshes[int(instance)], camera_from_world, camera)
        hidden = float(np.clip(1 - counts[instance] / max(whole, 1e-6), 0, 1)) if whole > 0 else 0.0
        low = y1 + 1 - y0 < MIN_HEIGHT
        position = (ego_from_world @ foot)[:3]
        out.append(
            ObjectTruth(
                kind=actor.kind,
                instance=int(instance),
                box=(float(x0 - 0.5), float(y0 - 0.5), float(x1 + 0.5), float(y1 + 0.5)),
                ground_point=(float(point[0]), float(point[1])),
                occlusion=round(hidden, 3),
                ignore=bool(low or hidden > MAX_OCCLUSION),
                position=(float(position[0]), float(position[1]), float(position[2])),
                yaw=float(np.remainder(actor.yaw - turn + np.pi, 2 * np.pi) - np.pi),
                size=actor.size,
            )
        )
    return out


def _silhouette_area(vertices: np.ndarray, camera_from_world: np.ndarray, camera: Camera) -> float:
    """Pixels that the object would cover in the picture if nothing stood before it."""
    local = vertices @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    pixels, _ = camera.lens.project(local)
    triangles: np.ndarray = pixels.reshape(-1, 3, 2)
    triangles = triangles[np.isfinite(triangles).all(axis=(1, 2))]
    if len(triangles) == 0:
        return 0.0
    low = np.maximum(triangles.min((0, 1)), -0.5)
    high = np.minimum(triangles.max((0, 1)), [camera.lens.width - 0.5, camera.lens.height - 0.5])
    extent = float((high - low).max())
    if (high - low).min() <= 0:
        return 0.0
    scale = _SILHOUETTE / extent
    size = np.maximum(np.ceil((high - low) * scale).astype(int), 1)
    canvas = np.zeros((size[1], size[0]), np.uint8)
    points = np.round((triangles - low) * scale * 16 - 8).clip(-(2**20), 2**20).astype(np.int32)
    for triangle in points:
        cv2.fillConvexPoly(canvas, triangle, 1, shift=4)
    # OpenCV fills the pixels that an outline touches too, half a pixel more all round. Without
    # its outermost pixels the area is as much too small, so the mean of the two is right.
    core = cv2.erode(canvas, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return float(canvas.sum() + core.sum()) / 2 / scale**2
