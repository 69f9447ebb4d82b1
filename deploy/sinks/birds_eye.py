"""The map in the mosaic: the ground around the vehicle from above, forward up."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.rig import Camera, Rig
from deploy.loop.ego_map import EgoMap, GridSpec, MapObject
from deploy.loop.frames import FrameSet
from deploy.sinks.drawing import (
    Box,
    Image,
    blend,
    draw_circle,
    draw_polygon,
    draw_text,
    overlap,
    plain,
    rounded_rectangle,
    text_width,
)
from deploy.sinks.palette import (
    BACKGROUND,
    DRIVABLE,
    GROUND,
    LINE,
    STATUS,
    TEXT,
    bgr,
    object_colour,
)

RINGS_M = (10, 20, 30, 40)
RING_LABEL = math.radians(26)  # right of straight ahead
WEDGE_M = 70.0
TEXT_HEIGHT = 7.5
# The own vehicle as drawn: rear and front end along x and width, metres, a mid-size car.
EGO_REAR, EGO_FRONT, EGO_WIDTH = -1.0, 3.8, 1.9

# A soft step around one half: smooth edges although the grid is coarser than the picture.
_STEP = np.clip((np.arange(256) / 255 - 0.5) * 4 + 0.5, 0, 1).astype(np.float32)
_DIMMED_DRIVABLE = 0.62 * np.array(bgr(DRIVABLE)) + 0.38 * np.array(bgr(BACKGROUND))
# Colour (1, 256, 3) of seen ground by its probability of being drivable.
_FLOOR_COLOURS = np.rint(
    bgr(GROUND) + _STEP[None, :, None] * (_DIMMED_DRIVABLE - bgr(GROUND))
).astype(np.uint8)


class BirdsEye:
    """Draws one EgoMap after another into pictures of one size, uint8 (H, W, 3) BGR."""

    def __init__(self, rig: Rig, grid: GridSpec, width: int, height: int) -> None:
        self._rig = rig
        self._grid = grid
        self.scale = min(
            width / (grid.y_max - grid.y_min), height / (grid.x_max - grid.x_min)
        )  # pixels per metre
        self._origin = (
            width / 2 + self.scale * (grid.y_max + grid.y_min) / 2,
            height / 2 + self.scale * (grid.x_max + grid.x_min) / 2,
        )
        self._size = width, height
        self._wedges = {camera.name: self.pixels(coverage(camera, WEDGE_M)) for camera in rig}

    def pixels(self, ego: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ego points (..., 2 or more) in metres to pixels (..., 2)."""
        x = self._origin[0] - ego[..., 1] * self.scale
        y = self._origin[1] - ego[..., 0] * self.scale
        return np.stack([x, y], axis=-1)

    def draw(self, ego: EgoMap, frames: FrameSet) -> Image:
        """A new picture of the map."""
        image = self._ground(ego)
        for name, wedge in self._wedges.items():
            status = frames.frames[name].status
            healthy = status == "ok"
            colour = TEXT if healthy else STATUS[status]
            draw_polygon(image, wedge, colour, fill=0.03 if healthy else 0.12, line=0)
        self._rings(image)
        draw_vehicle(image, self.pixels(np.zeros(2)), self.scale)
        for thing in reversed(ego.objects):
            self._object(image, thing)
        taken: list[Box] = []
        for thing in ego.objects:
            self._label(image, thing, taken)
        return image

    def _ground(self, ego: EgoMap) -> Image:
        """Seen ground between GROUND and DRIVABLE by probability; unknown is BACKGROUND."""
        # Resampled in bytes and coloured by tables: a tenth of the time of doing it in floats.
        seen = self._to_picture(np.where(ego.seen, 255, 0))
        free = self._to_picture(np.where(ego.seen, ego.drivable * 255, 0))
        share = cv2.divide(free, seen, scale=255)  # what unknown cells mixed in is divided out
        image = plain(*self._size, BACKGROUND)
        floor = np.asarray(cv2.LUT(cv2.merge([share] * 3), _FLOOR_COLOURS), np.uint8)
        blend(image, floor, np.asarray(cv2.LUT(seen, _STEP), np.float32))
        return image

    def _to_picture(self, layer: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Grid (rows y, columns x) of 0..255 resampled to the picture, forward up, left left."""
        grid, scale = self._grid, self.scale
        per_pixel = 1 / (scale * grid.cell)
        column = (self._origin[1] / scale - grid.x_min) / grid.cell - 0.5
        row = (self._origin[0] / scale - grid.y_min) / grid.cell - 0.5
        # Pictures run along -y and down along -x: the axes swap and both turn round.
        to_grid = np.array([[0, -per_pixel, column], [-per_pixel, 0, row]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(layer.astype(np.uint8), to_grid, self._size, flags=flags)
        return np.asarray(warped, np.uint8)

    def _rings(self, image: Image) -> None:
        x, y = self.pixels(np.zeros(2)).tolist()
        for radius in RINGS_M:
            reach = radius * self.scale
            draw_circle(image, (x, y), reach, LINE, line=1)
            # Off our own lane, where objects have their labels.
            at = (x + reach * math.sin(RING_LABEL), y - reach * math.cos(RING_LABEL))
            draw_text(image, f"{radius} m", at, TEXT_HEIGHT, TEXT, anchor="centre")

    def _object(self, image: Image, thing: MapObject) -> None:
        colour = object_colour(thing.label)
        at = self.pixels(np.array([thing.x, thing.y]))
        centre = (float(at[0]), float(at[1]))
        length, width = (max(side * self.scale, 9.0) for side in thing.size[:2])
        if thing.label == "pedestrian":
            draw_circle(image, centre, 7, colour, line=1)
        body = rounded_rectangle(centre, (width, length), width * 0.28)
        draw_polygon(image, body, colour, fill=0.55, line=1)

    def _label(self, image: Image, thing: MapObject, taken: list[Box]) -> None:
        """Class and distance beside the mark; left out where it would cover another label."""
        x, y = self.pixels(np.array([thing.x, thing.y])).tolist()
        if not (0 <= x < image.shape[1] and 0 <= y < image.shape[0]):
            return
        text = f"{thing.label} {math.hypot(thing.x, thing.y):.0f} m"
        width, beside = text_width(text, TEXT_HEIGHT), thing.size[1] / 2 * self.scale + 6
        for left in (x + beside, x - beside - width):
            box = (left, y - TEXT_HEIGHT, left + width, y + TEXT_HEIGHT)
            inside = box[0] >= 0 and box[2] <= image.shape[1]
            if inside and not any(overlap(box, other) for other in taken):
                draw_text(image, text, (left, y), TEXT_HEIGHT, object_colour(thing.label))
                taken.append(box)
                return


def coverage(camera: Camera, reach: float) -> NDArray[np.float64]:
    """What the camera covers seen from above: ego points (n, 2) in metres, first the camera, then
    an arc at distance `reach` in the directions of its middle image row."""
    columns = np.linspace(-0.5, camera.lens.width - 0.5, 33)
    rays = camera.unproject(np.stack([columns, np.full(33, camera.lens.cy)], axis=-1))
    rays = rays[np.isfinite(rays).all(axis=-1)]
    level = rays[:, :2] / np.linalg.norm(rays[:, :2], axis=-1, keepdims=True)
    mount = camera.ego_from_camera[:2, 3]
    return np.concatenate([mount[None], mount + level * reach])


def draw_vehicle(image: Image, origin: NDArray[np.float64], scale: float) -> None:
    """The own vehicle from above, forward up; `origin`: pixel of the ego origin, `scale`: pixels
    per metre."""
    length, width = (EGO_FRONT - EGO_REAR) * scale, EGO_WIDTH * scale
    centre = origin - (0, (EGO_REAR + EGO_FRONT) / 2 * scale)
    at = (float(centre[0]), float(centre[1]))
    draw_polygon(image, rounded_rectangle(at, (width, length), width * 0.36), TEXT, fill=1.0)
    windscreen = np.array([(-0.36, -0.24), (0.36, -0.24), (0.3, -0.08), (-0.3, -0.08)])
    rear_window = np.array([(-0.29, 0.26), (0.29, 0.26), (0.34, 0.36), (-0.34, 0.36)])
    for window in (windscreen, rear_window):
        draw_polygon(image, centre + window * (width, length), BACKGROUND, fill=0.85, line=0)
