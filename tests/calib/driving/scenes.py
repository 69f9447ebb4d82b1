"""A street driven along, as points: what a camera follows from frame to frame, with its errors."""

import numpy as np
from scipy.spatial.transform import Rotation

from calib.camera import Camera
from calib.driving.flow import FlowPair
from calib.pose import invert

ROAD, KERB_M = 4.0, 0.13
"""Half the road's width in metres, and how much higher the pavement beside it lies."""


def mounted(camera: Camera, turn_deg: tuple[float, float, float], raised: float = 0.0) -> Camera:
    """`camera` turned about the ego frame's axes by a rotation vector, and raised in metres."""
    pose = camera.ego_from_camera.copy()
    pose[:3, :3] = Rotation.from_rotvec(np.radians(turn_deg)).as_matrix() @ pose[:3, :3]
    pose[2, 3] += raised
    return Camera(camera.name, camera.lens, pose, camera.rate_hz, camera.bucket)


def path(count: int, step: float, bend: float, rng: np.random.Generator) -> list[np.ndarray]:
    """world_from_ego (4, 4) of `count` stations `step` metres apart on a road that winds by up to
    `bend` radians a metre."""
    curvature = bend * np.sin(np.arange(count) * step / 12 + rng.uniform(0, 6))
    heading = np.cumsum(curvature * step)
    poses = []
    place = np.zeros(3)
    for yaw in heading:
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
        pose[:3, 3] = place
        poses.append(pose)
        half = yaw + 0.5 * curvature[len(poses) - 1] * step
        place = place + step * np.array([np.cos(half), np.sin(half), 0])
    return poses


def street(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3) in ego: road, pavements, walls and things before them, 60 m around."""
    kind = rng.choice(4, count, p=[0.35, 0.15, 0.35, 0.15])
    x = rng.uniform(-1, 1, count)
    x = np.where(kind == 2, 60 * x, 25 * np.sign(x) * x**2)
    side = rng.choice([-1, 1], count)
    y = side * rng.uniform(0, ROAD, count)
    z = np.zeros(count)
    pavement = kind == 1
    y[pavement] = (side * rng.uniform(ROAD, ROAD + 3, count))[pavement]
    z[pavement] = KERB_M
    wall = kind == 2
    y[wall] = (side * rng.uniform(ROAD + 3, 25, count))[wall]
    z[wall] = rng.uniform(0, 9, count)[wall]
    things = kind == 3
    y[things] = (side * rng.uniform(2.5, ROAD + 3, count))[things]
    z[things] = rng.uniform(0.2, 2, count)[things]
    return np.stack([x, y, z], axis=1)


def drive(
    camera: Camera,
    *,
    seed: int = 0,
    pairs: int = 100,
    points: int = 150,
    step: float = 0.7,
    bend: float = 0.004,
    noise: float = 0.3,
    wrong: float = 0.1,
    sway_deg: float = 0.0,
    poses: bool = True,
) -> list[FlowPair]:
    """What `camera` follows along a winding street.

    `noise`: pixels in both frames; `wrong`: share of points that are found elsewhere, or on other
    vehicles that drive too; `sway_deg`: how much the body pitches and rolls from frame to frame
    without its pose telling so; `poses`: whether the log tells the vehicle's motion.
    """
    rng = np.random.default_rng(seed)
    stations = path(pairs + 1, step, bend, rng)
    found = []
    for number in range(pairs):
        motion = invert(stations[number]) @ stations[number + 1]
        sway = np.eye(4)
        turn = np.radians(sway_deg) * rng.normal(0, [1, 1, 0.2])
        sway[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
        place = street(rng, 40 * points)
        moving = rng.random(len(place)) < wrong / 2
        later = place - moving[:, None] * [rng.uniform(-2, 2), 0, 0]
        seen, visible = camera.project(place)
        moved = invert(motion @ sway)
        again, still_visible = camera.project(later @ moved[:3, :3].T + moved[:3, 3])
        both = np.flatnonzero(visible & still_visible)[:points]
        before, after = seen[both], again[both]
        lost = rng.random(len(both)) < wrong / 2
        after = after + lost[:, None] * rng.normal(0, 15, after.shape)
        before = before + rng.normal(0, noise, before.shape)
        after = after + rng.normal(0, noise, after.shape)
        found.append(FlowPair(0.5 * number, before, after, motion if poses else None))
    return found
