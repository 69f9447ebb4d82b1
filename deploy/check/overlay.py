"""What a rig says, drawn over the pictures: the ground, the horizon, boxes, and matches."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.encoded_image import decode
from deploy.log.boxes import Box
from deploy.sinks.drawing import Image, blend, draw_circle, draw_polygon, plain, shrink
from deploy.sinks.palette import DRIVABLE, FAINT, STATUS, TEXT, Rgb, object_colour

_WIDTH = 640
_REACH, _STEP = 40.0, 5.0
"""Metres of the ground grid to every side, and between its lines."""
_HORIZON: Rgb = (255, 92, 108)
_PIECE = 0.5
"""Metres from point to point of a line on the ground: a lens bends it."""
_EDGES = (
    *((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4)),
    *((0, 4), (1, 5), (2, 6), (3, 7)),
)
_RIGHT, _WRONG = DRIVABLE, STATUS["corrupt"]


def colour_image(data: bytes) -> Image | None:
    """An encoded image, BGR."""
    image = decode(data, cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, np.uint8)


def small(image: Image) -> tuple[Image, float]:
    """The image at the size shown, and by how much it was reduced."""
    scale = min(1.0, _WIDTH / image.shape[1])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return shrink(image, *size), scale


def camera_overlay(image: Image, camera: Camera, boxes: Iterable[Box]) -> Image:
    """The picture (small) with the ground every 5 m, the horizon, and boxes (ego frame)."""
    canvas, scale = small(image)
    over = canvas.copy()
    for level in np.arange(-_REACH, _REACH + _STEP / 2, _STEP):
        along = np.arange(-_REACH, _REACH + _PIECE / 2, _PIECE)
        for x, y in ((along, np.full_like(along, level)), (np.full_like(along, level), along)):
            bright = TEXT if level == 0 else DRIVABLE
            _line(over, camera, np.stack([x, y, np.zeros_like(x)], axis=-1), scale, bright, 2)
    blend(canvas, over, np.full(canvas.shape[:2], 0.55, np.float32))
    around = np.radians(np.arange(0, 360.5, 0.5))
    far = 1e5 * np.stack([np.cos(around), np.sin(around), np.zeros_like(around)], axis=-1)
    _line(canvas, camera, far + camera.ego_from_camera[:3, 3], scale, _HORIZON, 2)
    for box in boxes:
        corners = box.corners
        for i, j in _EDGES:
            share = np.linspace(0, 1, 9)[:, None]
            edge = corners[i] + share * (corners[j] - corners[i])
            _line(canvas, camera, edge, scale, object_colour(box.object_class), 1)
    return canvas


def _line(
    canvas: Image,
    camera: Camera,
    points: NDArray[np.float64],
    scale: float,
    colour: Rgb,
    width: int,
) -> None:
    """A line through ego points (N, 3), where the camera sees it."""
    pixels, visible = camera.project(points)
    shown = visible[:-1] & visible[1:]
    pixels = (pixels + 0.5) * scale - 0.5
    starts = np.flatnonzero(np.diff(np.concatenate([[False], shown, [False]]).astype(int)))
    for first, last in starts.reshape(-1, 2):
        draw_polygon(canvas, pixels[first : last + 1], colour, line=width, closed=False)


def matches_overlay(
    images: tuple[Image, Image],
    pixels: tuple[NDArray[np.float64], NDArray[np.float64]],
    agrees: NDArray[np.bool_],
) -> Image:
    """Two pictures side by side with lines from point to point, red where the rig denies them."""
    (left, left_scale), (right, right_scale) = small(images[0]), small(images[1])
    height = max(left.shape[0], right.shape[0])
    canvas = plain(left.shape[1] + right.shape[1], height, FAINT)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], left.shape[1] :] = right
    a = (pixels[0] + 0.5) * left_scale - 0.5
    b = (pixels[1] + 0.5) * right_scale - 0.5 + [left.shape[1], 0]
    lines = canvas.copy()
    for p, q, right_one in zip(a, b, agrees, strict=True):
        draw_polygon(lines, np.stack([p, q]), _RIGHT if right_one else _WRONG, closed=False)
    blend(canvas, lines, np.full(canvas.shape[:2], 0.45, np.float32))
    for p, q, right_one in zip(a, b, agrees, strict=True):
        for point in (p, q):
            draw_circle(canvas, tuple(point), 2.2, _RIGHT if right_one else _WRONG)
    return canvas
