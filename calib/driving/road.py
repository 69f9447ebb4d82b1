"""The road among all points that a camera followed: the plane along which the vehicle drives."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from calib.driving.cross_section import find_line
from calib.driving.observations import Observations, State, seen
from calib.driving.residuals import ground

Array = NDArray[np.float64]
_FARTHEST = 18.0
"""Heights of the camera: farther away the road shows little of it."""
_MOST_UNSURE = 0.06
"""Part of the height, one standard deviation, up to which a point helps to find the road."""
_THICKNESS = 0.02
"""Metres, one standard deviation, by which points of the road leave its plane."""
_HEIGHTS = (0.5, 2.0)
"""Heights that are looked at, as parts of the first guess."""
_FEWEST = 20
_CLOSE = 2.0
"""Points near the vehicle change their looks from frame to frame: they are off by more."""
_SHARP, _ENOUGH = 0.02, 800
"""Only the sharpest points are taken: to this part of the height, or so many."""
_GATE = 3.0
"""Standard deviations from the road up to which a point is taken for one of it."""


@dataclass(frozen=True)
class Heights:
    """Each point's place across and above the camera (N,) in metres with its standard deviation,
    by the two rays and the camera's way alone; `useful` (N,) where that says enough."""

    across: Array
    up: Array
    sigma: Array
    useful: NDArray[np.bool_]


def heights(points: Observations, state: State, pixels: float) -> Heights:
    """`pixels`: how far points are usually off."""
    rays = seen(points, state)
    length = np.linalg.norm(rays.baseline, axis=1)
    parallax = np.arctan2(
        np.linalg.norm(np.cross(rays.before, rays.after), axis=1),
        (rays.before * rays.after).sum(1),
    )
    with np.errstate(all="ignore"):
        away = np.linalg.norm(np.cross(rays.baseline, rays.after), axis=1) / np.sin(parallax)
        place = rays.before * away[:, None]
        sigma = np.abs(place[:, 2]) * pixels * points.sigma * np.sqrt(2) / parallax
        # Only what moved against the camera's way lies in front of it.
        forward = ((rays.before - rays.after) * rays.baseline).sum(1) > 0
        useful = forward & (length > 0) & (place[:, 2] < 0)
        useful &= (away < -_FARTHEST * place[:, 2]) & (sigma < -_MOST_UNSURE * place[:, 2])
    return Heights(place[:, 1], place[:, 2], sigma, useful)


def find_road(
    points: Observations, state: State, pixels: float, steepest: float
) -> tuple[State, float | None] | None:
    """`state` with the height, and the turn about the vehicle's way by up to `steepest` radians,
    by which the best points lie on the road, and the height of a kerb beside it, if one is seen.
    None where there is no plane."""
    found = heights(points, state, _CLOSE * pixels)
    y, z, sigma = (each[found.useful] for each in (found.across, found.up, found.sigma))
    if len(y) < _FEWEST:
        return None
    low, high = (part * state.height for part in _HEIGHTS)
    line = find_line(y, z, sigma, -float(points.place[1]), float(np.tan(steepest)), -high, -low)
    if line is None:
        return None
    roll = float(np.arctan(line.slope))
    level = Rotation.from_rotvec([-roll, 0, 0]).as_matrix()
    height = float(-line.drop * np.cos(roll))
    return replace(state, rotation=level @ state.rotation, height=height), line.kerb


def on_road(
    points: Observations, state: State, pixels: float, kerb: float | None
) -> NDArray[np.bool_]:
    """(N,) which points to take for the road of `state`: where the road's place shows its height
    well, and the point moved as the road does and not as a pavement a `kerb` above it.

    Both are judged by where the road is, not by where noise puts the point, which would prefer
    errors of one sign.
    """
    rays = seen(points, state)
    with np.errstate(all="ignore"):
        away = -state.height / rays.before[:, 2]
        onward = rays.before * away[:, None] - rays.baseline
        onward /= np.linalg.norm(onward, axis=1, keepdims=True)
        parallax = np.linalg.norm(np.cross(rays.before, onward), axis=1)
        sigma = state.height * pixels * points.sigma * np.sqrt(2) / parallax
        shows = (rays.before[:, 2] < 0) & (away < _FARTHEST * state.height)
        off = np.abs(ground(points, state)[0]) / pixels * sigma
    most_off = _GATE * np.hypot(sigma, _THICKNESS)
    if kerb is not None:
        most_off = np.minimum(most_off, kerb / 2)
        shows &= sigma < kerb / 4
    near = shows & (off < most_off)
    sharpest = np.sort(sigma[near])[:_ENOUGH]
    if not len(sharpest):
        return near
    worst = np.clip(sharpest[-1], _SHARP * state.height, _MOST_UNSURE * state.height)
    return near & (sigma < worst)


def guess_pace(points: Observations, state: State, pixels: float) -> State:
    """`state` with the pace by which the middle point below the camera lies on the road, for a
    first guess where the travel was not measured; the pairs without such points go as the rest."""
    found = heights(points, state, pixels)
    pace = np.full(points.pairs, np.nan)
    drop, pair = -found.up[found.useful], points.pair[found.useful]
    for number in np.unique(pair):
        pace[number] = np.log(state.height / np.median(drop[pair == number]))
    known = np.isfinite(pace)
    pace[~known] = np.median(pace[known]) if known.any() else 0.0
    return replace(state, pace=state.pace + pace)
