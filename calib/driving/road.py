"""The road among all points that a camera saw: the lowest plane along which the vehicle drives."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from calib.driving.observations import Observations, State, seen
from calib.driving.residuals import ground

Array = NDArray[np.float64]
_FARTHEST = 18.0
"""Heights of the camera: farther away the road shows little of it."""
_MOST_UNSURE = 0.06
"""Part of the height, one standard deviation, up to which a point helps to find the road."""
_THICKNESS = 0.02
"""Metres, one standard deviation, by which real roads and found points leave a plane."""
_HEIGHTS = (0.5, 2.0)
"""Heights that are looked at, as parts of the first guess."""
_SHARP, _ENOUGH = 0.03, 3000
"""The sharpest points tell the road from a pavement: to this part of the height, and so many."""
_GATE = 4.0
"""Standard deviations from the road up to which a point is taken for one of it."""
_ALIKE = 0.02
"""By how much a pavement may slope otherwise than its road."""
_OUTSIDE = 2.5
"""Standard deviations from a plane at which a point is none of it."""
_LANE = 2.0
"""Metres from the vehicle's middle within which it drives on the road."""
_TUKEY, _REFINEMENTS = 4.685, 30
_TRIALS = 500
_KERB = (0.05, 0.3)
"""Metres by which a pavement lies above the road."""
_LOWER = 0.3
"""Share of the best plane's points that a lower one needs to be the road."""


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


def find_road(points: Observations, state: State, pixels: float, steepest: float) -> State | None:
    """`state` with the height, and the turn about the vehicle's way by up to `steepest` radians,
    by which the best points lie on the road (MSAC, Torr and Zisserman 2000); None where no plane
    is seen.

    Seen along its way the road is a line, so two points are a trial. Where another plane lies up
    to a kerb's height below and has support too, that one is the road.
    """
    found = heights(points, state, pixels)
    y, z = found.across[found.useful], found.up[found.useful]
    sigma = np.hypot(found.sigma[found.useful], _THICKNESS)
    if len(y) < 20:
        return None
    # Sharply seen points tell planes apart, and near its lane the vehicle has road beside it.
    from_lane = np.abs(y + points.place[1]) / _LANE
    weight = (_THICKNESS / sigma) ** 2 / (1 + from_lane**2)
    rng = np.random.default_rng(0)
    pick = rng.choice(len(y), size=(_TRIALS, 2), p=weight / weight.sum())
    with np.errstate(all="ignore"):
        slopes = (z[pick[:, 1]] - z[pick[:, 0]]) / (y[pick[:, 1]] - y[pick[:, 0]])
    drops = z[pick[:, 0]] - slopes * y[pick[:, 0]]
    low, high = (part * state.height for part in _HEIGHTS)
    kept = (np.abs(slopes) < np.tan(steepest)) & (-drops > low) & (-drops < high)
    slopes, drops = slopes[kept], drops[kept]
    if not len(slopes):
        return None
    support = np.empty(len(slopes))
    for i, (slope, drop) in enumerate(zip(slopes, drops, strict=True)):
        off = (z - slope * y - drop) / sigma
        support[i] = (weight * np.maximum(0, 1 - (off / _OUTSIDE) ** 2)).sum()
    best = int(np.argmax(support))
    on_it = np.abs(z - slopes[best] * y - drops[best]) < _OUTSIDE * sigma
    middle = float(np.median(y[on_it]))
    below = (drops[best] + slopes[best] * middle) - (drops + slopes * middle)
    lower = (below > _KERB[0]) & (below < _KERB[1]) & (support > _LOWER * support[best])
    lower &= np.abs(slopes - slopes[best]) < _ALIKE
    if lower.any():
        best = int(np.flatnonzero(lower)[np.argmax(support[lower])])
    slope, drop = _refined(y, z, sigma, slopes[best], drops[best])
    roll = float(np.arctan(slope))
    level = Rotation.from_rotvec([-roll, 0, 0]).as_matrix()
    height = float(-drop * np.cos(roll))
    return replace(state, rotation=level @ state.rotation, height=height)


def _refined(y: Array, z: Array, sigma: Array, slope: float, drop: float) -> tuple[float, float]:
    """The line to which one nearby settles (reweighted least squares, Tukey's biweight)."""
    sides = np.stack([y, np.ones_like(y)], axis=1)
    for _ in range(_REFINEMENTS):
        off = (z - slope * y - drop) / sigma
        weight = np.maximum(0, 1 - (off / _TUKEY) ** 2) / sigma
        line = np.linalg.lstsq(sides * weight[:, None], z * weight, rcond=None)[0]
        slope, drop = float(line[0]), float(line[1])
    return slope, drop


def on_road(points: Observations, state: State, pixels: float) -> NDArray[np.bool_]:
    """(N,) which points to take for the road of `state`: where the road's place shows its height
    well, and the point moved as the road does.

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
        near = shows & (off < _GATE * np.hypot(sigma, _THICKNESS))
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
