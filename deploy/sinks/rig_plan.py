"""The rig from above: which camera looks where, and how it is."""

import math

import numpy as np

from calib.rig import Camera, Rig
from deploy.loop.frames import FrameSet
from deploy.sinks.birds_eye import coverage, draw_vehicle
from deploy.sinks.drawing import Image, draw_polygon
from deploy.sinks.palette import BACKGROUND, STATUS, bgr

PIXELS_PER_METRE = 14.0


def draw_rig_plan(area: Image, rig: Rig, frames: FrameSet) -> None:
    """Fill `area` with the vehicle and each camera's field of view in the colour of its state.

    A narrow view is drawn long and a wide one short, which is also how far each one sees.
    """
    area[:] = bgr(BACKGROUND)
    height, width = area.shape[:2]
    origin = np.array([width / 2, height / 2 + 14])
    foremost = max(camera.ego_from_camera[0, 3] for camera in rig)
    longest = (origin[1] - 6) / PIXELS_PER_METRE - foremost
    for camera in sorted(rig, key=_half_angle, reverse=True):
        colour = STATUS[frames.frames[camera.name].status]
        reach = longest * min(1.0, (math.radians(14) / _half_angle(camera)) ** 0.35)
        wedge = origin - coverage(camera, reach)[:, ::-1] * PIXELS_PER_METRE
        draw_polygon(area, wedge, colour, fill=0.10, line=1)
    draw_vehicle(area, origin, PIXELS_PER_METRE)


def _half_angle(camera: Camera) -> float:
    """Half the horizontal field of view in radians, for pinhole and fisheye alike."""
    lens = camera.lens
    right = camera.lens.unproject(np.array([lens.width - 0.5, lens.cy]))
    return max(math.acos(float(np.clip(right[2], -1, 1))), 0.05) if np.isfinite(right[2]) else 1.5
