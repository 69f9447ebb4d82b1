"""First poses: along a tree of sightings that starts at the measured boards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.extrinsics.sightings import Sighting
from calib.extrinsics.targets import Target
from calib.intrinsics.fit import Model, View, refine
from calib.lens import Lens
from calib.pose import invert

Array = NDArray[np.float64]
_WORST = 20.0
"""Pixels: beyond, a sighting disagrees, however far it is off."""


@dataclass(frozen=True)
class Poses:
    """Poses (4, 4) in the ego frame, of cameras by name and of boards by instant."""

    cameras: dict[str, Array]
    boards: dict[str, Array]


def first_poses(
    lenses: Mapping[str, Lens], sightings: Sequence[Sighting], targets: Mapping[str, Target]
) -> Poses:
    """Place every camera and board that a chain of sightings joins to a measured board.

    Each is placed where most of the sightings that it shares with what is placed agree, so that a
    single bad one leads nowhere. The others are absent from the result.
    """
    camera_from_board = [board_pose(lenses[s.camera], s) for s in sightings]
    seen = {s.instant for s in sightings}
    cameras: dict[str, Array] = {}
    boards = {name: t.ego_from_board() for name, t in targets.items() if name in seen}
    while True:
        # A camera by the boards that are placed, then a board by the cameras: most links first.
        links: dict[tuple[str, str], list[int]] = {}
        for i, s in enumerate(sightings):
            if s.instant in boards and s.camera not in cameras:
                links.setdefault(("camera", s.camera), []).append(i)
            elif s.camera in cameras and s.instant not in boards:
                links.setdefault(("board", s.instant), []).append(i)
        if not links:
            return Poses(cameras, boards)
        (kind, name), members = max(links.items(), key=lambda item: (len(item[1]), item[0]))
        best, least = np.eye(4), np.inf
        for i in members:
            s, link = sightings[i], camera_from_board[i]
            if kind == "camera":
                pose = boards[s.instant] @ invert(link)
            else:
                pose = cameras[s.camera] @ link
            off = 0.0
            for j in members:
                other = sightings[j]
                camera = pose if kind == "camera" else cameras[other.camera]
                board = boards[other.instant] if kind == "camera" else pose
                off += min(_distance(lenses[other.camera], invert(camera) @ board, other), _WORST)
            if off < least:
                best, least = pose, off
        (cameras if kind == "camera" else boards)[name] = best


def board_pose(lens: Lens, sighting: Sighting) -> Array:
    """camera_from_board (4, 4) from one picture."""
    model = Model(lens.model, len(lens.distortion))
    parameters = np.array([lens.fx, lens.fy, lens.cx, lens.cy, *lens.distortion])
    view = View(sighting.name, sighting.points, sighting.pixels)
    start = model.pose(parameters, view)
    fit = refine(model, parameters, [view], start[None], iterations=20, fixed_lens=True)
    vector = start if fit is None else fit.poses[0]
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(vector[:3])[0]
    pose[:3, 3] = vector[3:]
    return pose


def _distance(lens: Lens, camera_from_board: Array, sighting: Sighting) -> float:
    """Median distance in pixels of the corners from where the pose puts them."""
    seen = sighting.points @ camera_from_board[:3, :3].T + camera_from_board[:3, 3]
    off = np.linalg.norm(lens.project(seen)[0] - sighting.pixels, axis=1)
    return float(np.median(np.nan_to_num(off, nan=np.inf)))
