"""What the cameras of a rig would have in common on a street: matches, a third of them wrong."""

from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np

from calib.camera import Camera
from calib.check.evidence import Evidence, Matches, Motion
from calib.lens import Lens
from calib.pose import ego_from_camera, invert
from calib.rig import load_rig

NAMES = ("main", "wide", "left_pillar", "left_repeater", "rear")
MOMENTS = 2


def cameras() -> list[Camera]:
    rig = load_rig("hw2")
    return [rig[name] for name in NAMES]


def street(seed: int) -> np.ndarray:
    """(N, 3) points on house fronts, trees and the road, ego frame."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-70, 90, (3, 3000))
    sides = rng.choice([-1, 1], 3000) * rng.uniform(9, 13)
    fronts = np.stack([x[0], sides, rng.uniform(0, 9, 3000)], axis=1)
    trees = np.stack([x[1], rng.normal(0, 12, 3000), rng.uniform(0, 6, 3000)], axis=1)
    road = np.stack([x[2], rng.uniform(-8, 8, 3000), np.zeros(3000)], axis=1)
    return np.concatenate([fronts, trees[np.abs(trees[:, 1]) > 5], road])


def evidence(true: list[Camera], seed: int = 0, posed: bool = True, speed: float = 1.5) -> Evidence:
    """Matches of what `true` cameras see, found to half a pixel; the car turns a little. With
    `speed` 0 it stands. `posed`: the log tells how it moved."""
    rng = np.random.default_rng((seed, 1))
    matches, motions = [], []
    for moment in range(MOMENTS):
        points = street(seed + 100 * moment)
        after = np.eye(4)  # ego_before from ego_after
        turn = rng.normal(0, 0.004) if speed else 0.0
        after[:3, :3] = cv2.Rodrigues(np.array([0, 0, turn]))[0]
        after[:3, 3] = [speed * np.cos(turn / 2), speed * np.sin(turn / 2), 0]
        moved = invert(after)
        motions.append(Motion(0.15, moved if posed else None))
        for a, b in combinations(true, 2):
            matches.append(_matches(rng, (a, points), (b, points), moment, None))
        later = points @ moved[:3, :3].T + moved[:3, 3]
        matches += [_matches(rng, (c, points), (c, later), moment, moment) for c in true]
    return Evidence([camera.name for camera in true], matches, motions)


def _matches(
    rng: np.random.Generator,
    a: tuple[Camera, np.ndarray],
    b: tuple[Camera, np.ndarray],
    moment: int,
    motion: int | None,
) -> Matches:
    (a_pixels, a_sees), (b_pixels, b_sees) = (camera.project(points) for camera, points in (a, b))
    both = rng.permutation(np.flatnonzero(a_sees & b_sees))[:45]
    pairs = []
    for pixels, (camera, _) in ((a_pixels, a), (b_pixels, b)):
        wrong = rng.uniform([0, 0], [camera.lens.width, camera.lens.height], (15, 2))
        pairs.append(np.concatenate([pixels[both] + rng.normal(0, 0.5, (len(both), 2)), wrong]))
    return Matches(a[0].name, b[0].name, moment, motion, *pairs)


def yawed(camera: Camera, degrees: float) -> Camera:
    pose = camera.ego_from_camera.copy()
    pose[:3, :3] = cv2.Rodrigues(np.array([0, 0, np.radians(degrees)]))[0] @ pose[:3, :3]
    return replace(camera, ego_from_camera=pose)


def inverted(camera: Camera) -> Camera:
    return replace(camera, ego_from_camera=invert(camera.ego_from_camera))


def degrees_for_radians(camera: Camera, yaw: float, pitch: float, roll: float) -> Camera:
    """A camera whose angles in degrees were given to what takes radians."""
    pose = ego_from_camera(camera.ego_from_camera[:3, 3], yaw, pitch, roll)
    return replace(camera, ego_from_camera=pose)


def of_size(camera: Camera, scale: float) -> Camera:
    """Intrinsics of images `scale` times the size, said to be of the camera's own."""
    lens = camera.lens
    other = lens.resized(round(scale * lens.width), round(scale * lens.height))
    return replace(camera, lens=replace(other, width=lens.width, height=lens.height))


def longer(camera: Camera, factor: float) -> Camera:
    lens = camera.lens
    return replace(camera, lens=replace(lens, fx=factor * lens.fx, fy=factor * lens.fy))


def of_other_model(camera: Camera) -> Camera:
    lens = camera.lens
    kind = "fisheye" if lens.model == "pinhole" else "pinhole"
    return replace(
        camera,
        lens=Lens(
            kind,  # type: ignore[arg-type]
            *(lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy),
            lens.distortion[:4],
        ),
    )


def swapped(given: list[Camera], a: str, b: str) -> list[Camera]:
    by_name = {camera.name: camera for camera in given}
    other = {a: b, b: a}
    return [replace(by_name[other.get(c.name, c.name)], name=c.name) for c in given]
