"""Random rigs: a head that has seen only one rig has learnt that rig."""

from dataclasses import replace

import cv2
import numpy as np

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig

# Few lenses, for the renderer keeps a table of each that takes longer to make than a picture.
_ZOOMS = (0.88, 1.12)
_FIELDS_DEG = (60.0, 78.0, 100.0, 130.0)
_SIZES = ((1280, 960, "large"), (1280, 720, "large"), (640, 480, "small"))
_WIDEST_PINHOLE_DEG = 100.0


def random_rig(rng: np.random.Generator, like: Rig) -> Rig:
    """Half the time `like` with every camera misplaced and some taken off, else a ring of three
    to eight equal cameras around a car or a van."""
    return _shaken(rng, like) if rng.random() < 0.5 else _ring(rng)


def _shaken(rng: np.random.Generator, rig: Rig) -> Rig:
    kept = [camera for camera in rig if rng.random() < 0.85] or list(rig)
    lift = rng.uniform(-0.2, 0.6)

    def shaken(camera: Camera) -> Camera:
        pose = camera.ego_from_camera.copy()
        turn, _ = cv2.Rodrigues(np.radians(rng.normal(0, [3.0, 6.0, 2.0])))
        pose[:3, :3] = pose[:3, :3] @ turn
        pose[:3, 3] += rng.normal([0.0, 0.0, lift], 0.15)
        pose[2, 3] = max(0.5, pose[2, 3])
        zoom = float(rng.choice(_ZOOMS))
        lens = replace(camera.lens, fx=camera.lens.fx * zoom, fy=camera.lens.fy * zoom)
        return replace(camera, lens=lens, ego_from_camera=pose)

    return Rig("shaken", tuple(map(shaken, kept)))


def _ring(rng: np.random.Generator) -> Rig:
    count = int(rng.integers(3, 9))
    first = rng.choice([0.0, rng.uniform(-np.pi, np.pi)], p=[0.7, 0.3])
    wide_enough = [field for field in _FIELDS_DEG if field >= 360 / count] or [_FIELDS_DEG[-1]]
    width, height, bucket = _SIZES[rng.integers(len(_SIZES))]
    lens = _lens(float(rng.choice(wide_enough[:2])), width, height)
    half_length, half_width = rng.uniform(1.0, 2.3), rng.uniform(0.5, 0.95)
    middle, z = rng.uniform(0.8, 1.6), rng.uniform(0.8, 2.1)
    pitch = rng.uniform(-15, 0)
    cameras = []
    for index in range(count):
        yaw = first + index * 2 * np.pi / count + rng.normal(0, 0.08)
        position = (
            middle + half_length * np.cos(yaw),
            half_width * np.sin(yaw),
            z + rng.normal(0, 0.1),
        )
        angles = (yaw, np.radians(pitch + rng.normal(0, 2)), rng.normal(0, 0.02))
        pose = ego_from_camera(position, *angles)
        cameras.append(Camera(f"camera_{index}", lens, pose, 10.0, bucket))
    return Rig("ring", tuple(cameras))


def _lens(field_deg: float, width: int, height: int) -> Lens:
    """A lens of that horizontal field of view, a fisheye where a pinhole would be silly."""
    half = np.radians(field_deg) / 2
    cx, cy = width / 2 + 4.0, height / 2 - 3.0
    if field_deg > _WIDEST_PINHOLE_DEG:
        focal = width / 2 / half
        return Lens("fisheye", width, height, focal, focal, cx, cy, (-0.015, 0.0, 0.0, 0.0))
    focal = width / 2 / np.tan(half)
    return Lens("pinhole", width, height, focal, focal, cx, cy, (-0.06, 0.01, 0.0, 0.0))
