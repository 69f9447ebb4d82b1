"""A car on a chequered cloth, four fisheyes around it, and what they see."""

import cv2
import numpy as np

from calib.camera import Camera
from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Rig
from calib.surround.birds_eye import Body

SIDE = 0.4
BODY = Body(-2.0, 2.4, 1.9)
LENS = Lens("fisheye", 480, 320, 152, 160, 243, 160, (-0.04, 0.003, -0.002, 0.0002))
_OVERSAMPLED = 3


def camera(name: str, place: tuple[float, float, float], yaw: float, pitch: float) -> Camera:
    pose = ego_from_camera(place, np.radians(yaw), np.radians(pitch), 0)
    return Camera(name, LENS, pose, 30, "small")


RIG = Rig(
    "surround",
    (
        camera("front", (2.45, 0.1, 0.7), 3, -20),
        camera("left", (0.9, 1.0, 1.0), 91, -45),
        camera("rear", (-2.05, -0.1, 0.95), 178, -35),
        camera("right", (0.8, -1.0, 1.0), -92, -45),
    ),
)


def ground(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Brightness of the ground: a cloth of 10 by 6 m, turned by 3 degrees, on grey stone."""
    c, s = np.cos(0.05), np.sin(0.05)
    along, across = c * x + s * y + 0.13, c * y - s * x - 0.07
    even = (np.floor(along / SIDE) + np.floor(across / SIDE)) % 2 == 0
    cloth = (np.abs(along - 0.2) < 5) & (np.abs(across) < 3)
    return np.where(cloth, np.where(even, 40.0, 230.0), 120 + 25 * np.sin(5 * x) * np.sin(6 * y))


def cast(camera: Camera) -> np.ndarray:
    """What `camera` sees, uint8 (H, W, 3); dark where its own car is in the way."""
    lens = camera.lens.resized(*(_OVERSAMPLED * n for n in (LENS.width, LENS.height)))
    columns, rows = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    rays = lens.unproject(np.stack([columns, rows], -1)) @ camera.ego_from_camera[:3, :3].T
    eye = camera.ego_from_camera[:3, 3]
    with np.errstate(all="ignore"):
        points = eye + np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.nan)[..., None] * rays
        bright = ground(points[..., 0], points[..., 1])
        bright[BODY.hides(camera, points)] = 20
    bright[~np.isfinite(points[..., 0])] = 200
    small = cv2.resize(bright, (LENS.width, LENS.height), interpolation=cv2.INTER_AREA)
    return np.repeat(np.rint(small)[..., None], 3, axis=-1).astype(np.uint8)
