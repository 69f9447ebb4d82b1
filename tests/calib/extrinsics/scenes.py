"""The hw2 rig before boards: what it sees, with the noise of a good corner detector."""

from dataclasses import dataclass

import cv2
import numpy as np

from calib.boards.corners import Board
from calib.boards.parse import parse_board
from calib.extrinsics.sightings import Sighting, Sightings
from calib.extrinsics.targets import PLACES, Target, outer_points
from calib.rig import Rig, load_rig

BOARD = parse_board("chessboard:9x6:0.1")


@dataclass(frozen=True)
class Scene:
    rig: Rig
    found: Sightings
    targets: dict[str, Target]


def boards_around(
    count: int = 100, noise: float = 0.15, seed: int = 0, tape: float = 0.002, board: Board = BOARD
) -> Scene:
    """`count` boards held up around the car, some far ahead, and sixteen on the ground whose outer
    corners are measured with `tape` metres of error."""
    rig = load_rig("hw2")
    rng = np.random.default_rng(seed)
    middle = board.points.mean(axis=0)
    placed: dict[str, np.ndarray] = {}
    for number in range(count):
        azimuth = 2 * np.pi * number / count
        away = np.array([np.cos(azimuth), np.sin(azimuth), 0])
        place = np.array([1.2, 0, 0]) + away * rng.uniform(3, 4.5) + [0, 0, rng.uniform(0.7, 1.6)]
        pose = np.eye(4)
        # Its z axis points away from the car.
        down = np.array([0, 0, -1.0])
        facing = np.stack([np.cross(down, away), down, away], axis=1)
        pose[:3, :3] = facing @ cv2.Rodrigues(rng.normal(0, 0.35, 3))[0]
        pose[:3, 3] = place - pose[:3, :3] @ middle
        placed[f"{number:03}"] = pose
    for number in range(30):  # the narrow camera sees a whole board only from afar
        place = np.array([rng.uniform(5.5, 8), rng.uniform(-1, 1), rng.uniform(0.9, 1.8)])
        pose = np.eye(4)
        facing = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
        pose[:3, :3] = facing @ cv2.Rodrigues(rng.normal(0, 0.35, 3))[0]
        pose[:3, 3] = place - pose[:3, :3] @ middle
        placed[f"far_{number}"] = pose
    targets = {}
    for number, azimuth in enumerate(np.radians(np.arange(0, 360, 22.5))):
        pose = np.eye(4)
        forward = np.array([np.cos(azimuth), np.sin(azimuth), 0])
        pose[:3, :3] = np.stack([[forward[1], -forward[0], 0], -forward, [0, 0, -1]], axis=1)
        pose[:3, 3] = np.array([1.2, 0, 0]) + 4.5 * forward - pose[:3, :3] @ middle
        name = f"ground_{number}"
        placed[name] = pose
        points = outer_points(board)
        corners = points @ pose[:3, :3].T + pose[:3, 3]
        corners = corners + rng.normal(0, tape, corners.shape)
        targets[name] = Target(points, corners, max(tape, 0.001))
    sightings = []
    for name, pose in placed.items():
        ego = board.points @ pose[:3, :3].T + pose[:3, 3]
        for camera in rig:
            if not (pose[:3, 2] @ (ego.mean(axis=0) - camera.ego_from_camera[:3, 3]) > 0.05):
                continue
            pixels, visible = camera.project(ego)
            if visible.all():
                pixels = pixels + rng.normal(0, noise, pixels.shape)
                sightings.append(Sighting(camera.name, name, board.points, pixels))
    lenses = {camera.name: camera.lens for camera in rig}
    return Scene(rig, Sightings(lenses, tuple(sightings), {}), targets)


def targets_yaml(targets: dict[str, Target]) -> dict[str, dict[str, list[float]]]:
    return {
        name: dict(zip(PLACES, target.corners.round(5).tolist(), strict=True))
        for name, target in targets.items()
    }
