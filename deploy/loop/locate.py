"""Locate: where in the ego frame the things stand that one camera found, and how sure that is.

Distances are estimated and weighted as inverses, whose errors are close to normal and which go on
past the horizon (Civera et al. 2008, "Inverse depth parametrization for monocular SLAM").
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.rig import Camera
from deploy.loop.decode import CameraResult
from deploy.loop.ego_map import SIZE_PRIORS, MapObject, Motion

Box = tuple[float, float, float, float]

MAX_RANGE_M = 60.0
# Errors of the network in pixels of its input: some pixels, and a share of the box's side, for a
# near vehicle's middle is known less well in pixels than a far one's. Measured on synthetic worlds.
POINT_PIXELS, POINT_SHARE = 1.0, 0.07
EDGE_PIXELS, EDGE_SHARE = 0.8, 0.04
ACROSS_PIXELS, ACROSS_SHARE = 1.5, 0.1
# How far the plane of the ground may be tilted against the vehicle: slopes, springs, calibration.
SLOPE = np.radians(0.1)
# From the near face, which is what a box's edges show, to the middle: metres and their spread.
NEAR_TO_MIDDLE = {"vehicle": (1.5, 0.5), "cyclist": (0.4, 0.3), "pedestrian": (0.1, 0.1)}
# Height taken for a class before its box is looked at, metres, and its spread as a share.
HEIGHT = {"vehicle": (1.5, 0.2), "cyclist": (1.7, 0.15), "pedestrian": (1.7, 0.15)}
# A height that puts the thing so many sigmas elsewhere is not that of its class: a lorry, a child.
MAX_HEIGHT_SIGMAS = 2.0
# A box so near the edge of the image, in pixels of it, goes on outside.
CUT_PIXELS = 2.0


@dataclass(frozen=True)
class Sighting:
    """One thing on the ground plane, seen by one or more cameras.

    `position` (2,): middle of its footprint, ego x and y, metres; `covariance` (2, 2) of it.
    `height`: metres, or None where the box is cut. `boxes`: x0, y0, x1, y1 in pixels of each camera
    that saw it, by its name.
    """

    label: str
    score: float
    position: NDArray[np.float64]
    covariance: NDArray[np.float64]
    height: float | None
    boxes: Mapping[str, Box]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Who saw it."""
        return tuple(sorted(self.boxes))

    @property
    def sigma(self) -> float:
        """Standard deviation in the direction where it is largest: along the ray, metres."""
        (a, b), (_, d) = self.covariance.tolist()
        return math.sqrt((a + d) / 2 + math.hypot((a - d) / 2, b))

    @property
    def size(self) -> tuple[float, float, float]:
        """Length, width, height in metres: that of the class, scaled where its height tells."""
        length, width, height = SIZE_PRIORS.get(self.label, (1.0, 1.0, 1.0))
        if self.height is None:
            return length, width, height
        scale = float(np.clip(self.height / height, 0.8, 2.2))
        return length * scale, width * scale**0.4, height * scale


def locate(camera: Camera, result: CameraResult) -> list[Sighting]:
    """What the camera found, on the ground plane; what has no place within MAX_RANGE_M on it is
    left out.

    Three looks at the distance, by inverse variance: the ray through the network's ground point,
    the ray through the lower edge of the box, and the angle that a thing of its class's height
    fills. The first two share the tilt of the ground.
    """
    things = result.objects
    if not things:
        return []
    boxes = np.array([thing.box for thing in things])
    points = np.array([thing.ground_point for thing in things])
    scale = np.array(result.letterbox.scale)
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    lower, upper = (np.stack([middle, boxes[:, side]], axis=-1) for side in (3, 1))
    step_x, step_y = np.diag(1 / scale)  # one network pixel in pixels of the image
    looks = np.stack([points, points + step_x, points + step_y, lower, lower + step_y, upper])
    tangent, azimuth = _directions(camera, looks)
    width, tall = (boxes[:, 2:] - boxes[:, :2]).T * scale[:, None]
    mount = float(camera.ego_from_camera[2, 3])
    classes = [thing.label for thing in things]
    reach, reach_sigma = np.array([NEAR_TO_MIDDLE.get(c, (0.0, 0.5)) for c in classes]).T
    usual, spread = np.array([HEIGHT.get(c, (1.0, 0.5)) for c in classes]).T

    with np.errstate(all="ignore"):
        per_pixel = np.hypot(tangent[1] - tangent[0], tangent[2] - tangent[0]) / mount
        point = -tangent[0] / mount
        point_sigma = per_pixel * np.hypot(POINT_PIXELS, POINT_SHARE * tall)
        per_pixel = np.abs(tangent[4] - tangent[3]) / mount
        edge, stretch = _to_middle(-tangent[3] / mount, reach)
        edge_pixels = per_pixel * np.hypot(EDGE_PIXELS, EDGE_SHARE * tall)
        edge_sigma = np.hypot(edge_pixels * stretch, reach_sigma * edge**2)
        angle = tangent[5] - tangent[3]
        height, stretch = _to_middle(angle / usual, reach)
        height_sigma = np.hypot(spread * height, np.sqrt(2) * edge_pixels * mount / usual * stretch)

        bottom, top = result.letterbox.src_height - 1 - CUT_PIXELS, CUT_PIXELS
        edge_sigma[(boxes[:, 3] >= bottom) | ~np.isfinite(edge_sigma)] = np.inf
        inverse, sigma = _combine(point, point_sigma, edge, edge_sigma)
        sigma = np.hypot(sigma, SLOPE / mount)
        whole = (boxes[:, 3] < bottom) & (boxes[:, 1] > top) & np.isfinite(height_sigma)
        far_off = np.abs(height - inverse) > MAX_HEIGHT_SIGMAS * np.hypot(sigma, height_sigma)
        inverse, sigma = _combine(
            inverse, sigma, height, np.where(whole & ~far_off, height_sigma, np.inf)
        )
        distance = 1 / inverse
        along = sigma * distance**2
        turn = np.hypot(_wrapped(azimuth[1] - azimuth[0]), _wrapped(azimuth[2] - azimuth[0]))
        across = distance * turn * np.hypot(ACROSS_PIXELS, ACROSS_SHARE * width)
        heights = angle * (distance - reach)
    away = np.stack([np.cos(azimuth[0]), np.sin(azimuth[0])], axis=-1)
    positions = camera.ego_from_camera[:2, 3] + away * distance[:, None]
    near = (distance > 0) & (np.linalg.norm(positions, axis=1) <= MAX_RANGE_M)
    sightings = []
    for i in np.flatnonzero(near & np.isfinite(along) & np.isfinite(across)).tolist():
        ray, side = away[i], np.array([-away[i, 1], away[i, 0]])
        covariance = along[i] ** 2 * np.outer(ray, ray) + across[i] ** 2 * np.outer(side, side)
        tall_m = float(heights[i]) if whole[i] else None
        sightings.append(
            Sighting(
                classes[i],
                things[i].score,
                positions[i],
                covariance + 1e-6 * np.eye(2),
                tall_m,
                {result.camera: things[i].box},
            )
        )
    return sightings


def map_object(s: Sighting, motion: Motion | None = None) -> MapObject:
    """The sighting as an object of the map."""
    x, y = s.position.tolist()
    return MapObject(s.label, s.score, x, y, s.sigma, s.cameras, s.size, motion)


def on_ground(camera: Camera, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ego x, y (..., 2) in metres of the ground that pixels (..., 2) show; NaN for a pixel at or
    above the horizon or outside the lens's range."""
    rays = camera.unproject(pixels)
    x, y, height = camera.ego_from_camera[:3, 3]
    with np.errstate(all="ignore"):
        distance = np.where(rays[..., 2] < 0, -height / rays[..., 2], np.nan)
    return np.stack([x, y], axis=-1) + distance[..., None] * rays[..., :2]


def _directions(
    camera: Camera, pixels: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tangent of the elevation and azimuth in radians, ego frame, of pixels (..., 2); NaN outside
    the lens's range."""
    rays = camera.unproject(pixels)
    with np.errstate(all="ignore"):
        tangent = rays[..., 2] / np.hypot(rays[..., 0], rays[..., 1])
    return tangent, np.arctan2(rays[..., 1], rays[..., 0])


def _to_middle(
    inverse: NDArray[np.float64], reach: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inverse distance of the middle, `reach` metres behind that of the near face, and its
    derivative."""
    share = 1 / (1 + np.maximum(inverse, 0) * reach)
    return inverse * share, share**2


def _combine(
    a: NDArray[np.float64],
    a_sigma: NDArray[np.float64],
    b: NDArray[np.float64],
    b_sigma: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean by inverse variance, and its sigma; an infinite sigma of `b` leaves it out."""
    mine, theirs = a_sigma**-2, b_sigma**-2
    used = np.where(theirs > 0, b, 0)
    return (a * mine + used * theirs) / (mine + theirs), (mine + theirs) ** -0.5


def _wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return (angle + np.pi) % (2 * np.pi) - np.pi
