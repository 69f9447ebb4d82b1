"""The road in cross-section: seen along the vehicle's way it is a line, a kerb's height below the
pavement beside it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_THICKNESS = 0.01
"""Metres, one standard deviation, by which real roads leave a plane."""
_LANE = 2.0
"""Metres from the vehicle's middle within which it drives on the road."""
_KERBS = (0.1, 0.12, 0.14, 0.16, 0.18)
"""Metres by which a pavement may lie above its road."""
_PAVEMENT = 0.8
"""What a point of a pavement counts for its road, whose own count 1."""
_CLEAR = 0.15
"""Part of the support by which there is a pavement at all."""
_OTHERWISE, _SAME, _RIVAL = 0.03, 0.015, 0.95
"""By how much the slope of quite another line differs, and how much apart two settle that are the
same; and the part of the best line's support that none of the others may have."""
_MOST = 3000
"""Points that are looked at."""
_TRIALS, _REFINEMENTS = 400, 30
_OUTSIDE, _TUKEY = 3.0, 4.685
"""Standard deviations from a line at which a point is none of it: in the search, at the end."""


@dataclass(frozen=True)
class Line:
    """z = slope y + drop; `kerb`: metres by which a pavement is seen to lie above, or None."""

    slope: float
    drop: float
    kerb: float | None


def find_line(
    y: Array, z: Array, sigma: Array, middle: float, steepest: float, lowest: float, highest: float
) -> Line | None:
    """The line of the road among points (N,) across and up in metres, `sigma` being the standard
    deviations of z. `middle`: the vehicle's y; `steepest`: the largest slope; `lowest`, `highest`:
    bounds of the drop. None where no trial is within them, or another says as much: a road and
    its pavement, dimly seen, make one slope.

    MSAC (Torr and Zisserman 2000) over a road with a pavement or without.
    """
    rng = np.random.default_rng(0)
    if len(y) > _MOST:
        some = rng.choice(len(y), _MOST, replace=False)
        y, z, sigma = y[some], z[some], sigma[some]
    sigma = np.hypot(sigma, _THICKNESS)
    # Sharply seen points tell planes apart. Near its lane the vehicle has road beside it, smooth as
    # that may be: a metre across doesn't count as much more as it has more points.
    weight = (_THICKNESS / sigma) ** 2 / (1 + ((y - middle) / _LANE) ** 2)
    metres = np.floor(y).astype(int) - int(np.floor(y.min()))
    weight /= np.sqrt(np.bincount(metres, weight))[metres]
    pick = rng.choice(len(y), size=(_TRIALS, 2), p=weight / weight.sum())
    first, second = pick.T
    with np.errstate(all="ignore"):
        slopes = (z[second] - z[first]) / (y[second] - y[first])
    drops = z[first] - slopes * y[first]
    kept = (np.abs(slopes) < steepest) & (drops > lowest) & (drops < highest)
    trials = [
        _supported(y, z, sigma, weight, slope, drop)
        for slope, drop in zip(slopes[kept].tolist(), drops[kept].tolist(), strict=True)
    ]
    if not trials:
        return None
    trials.sort(key=lambda trial: -trial[0])
    # The best, and the best of those that are quite another line, if they don't settle to one.
    best = trials[0][1]
    others = [line for _, line in trials if abs(line.slope - best.slope) > _OTHERWISE][:1]
    settled = [_refined(y, z, sigma, line) for line in (best, *others)]
    supports = [_supported(y, z, sigma, weight, s.slope, s.drop)[0] for s in settled]
    first, *rest = sorted(zip(supports, settled, strict=True), key=lambda pair: -pair[0])
    for support, line in rest:
        if abs(line.slope - first[1].slope) > _SAME and support > _RIVAL * first[0]:
            return None
    return first[1]


def _supported(
    y: Array, z: Array, sigma: Array, weight: Array, slope: float, drop: float
) -> tuple[float, Line]:
    """What the points say for a road at this line, and the line with its kerb if there is one."""
    off = z - slope * y - drop
    road = weight * _near(off / sigma)
    supports = [
        float(np.maximum(road, _PAVEMENT * weight * _near((off - kerb) / sigma)).sum())
        for kerb in _KERBS
    ]
    most = max(supports)
    clear = most - float(road.sum()) > _CLEAR * most
    return most, Line(slope, drop, _KERBS[supports.index(most)] if clear else None)


def _near(off: Array) -> Array:
    """1 on a line, 0 from `_OUTSIDE` standard deviations away from it."""
    return np.maximum(0, 1 - (off / _OUTSIDE) ** 2)


def _refined(y: Array, z: Array, sigma: Array, line: Line) -> Line:
    """To where a line nearby settles (reweighted least squares, Tukey's biweight)."""
    sides = np.stack([y, np.ones_like(y)], axis=1)
    cut = _TUKEY * sigma
    if line.kerb is not None:
        cut = np.minimum(cut, line.kerb / 2)
    slope, drop = line.slope, line.drop
    for _ in range(_REFINEMENTS):
        weight = np.maximum(0, 1 - ((z - slope * y - drop) / cut) ** 2) / sigma
        found = np.linalg.lstsq(sides * weight[:, None], z * weight, rcond=None)[0]
        slope, drop = float(found[0]), float(found[1])
    return Line(slope, drop, line.kerb)
