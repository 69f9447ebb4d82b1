"""Whether a camera has moved since its mounting was written down."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calib.driving.estimate import Mounting

Verdict = Literal["ok", "moved", "unknown"]
SIGNIFICANT = 4.0
"""Standard deviations, and at least the next two lines' degrees and metres, that count as moved."""
LEAST_DEG = {"yaw": 0.3, "pitch": 0.3, "roll": 0.5}
LEAST_M = 0.05


@dataclass(frozen=True)
class Drift:
    """`verdict`, and in words why: what moved by how much, or what the drive did not show."""

    verdict: Verdict
    reason: str


def judge(found: Mounting) -> Drift:
    """Compare what a drive shows with the mounting that was given for the camera. Where no road
    was seen, the direction of travel alone may tell that it moved, not that it hasn't."""
    without_road = found.road_points == 0 and np.isfinite(found.sigma_deg).all()
    if found.doubt is not None and not without_road:
        return Drift("unknown", found.doubt)
    moved = []
    for (name, least), turn, sigma in zip(
        LEAST_DEG.items(), found.turn_deg, found.sigma_deg, strict=True
    ):
        if abs(turn) > max(least, SIGNIFICANT * sigma):
            moved.append(f"{name} by {turn:+.2f} ± {sigma:.2f} degree")
    raised, sigma = found.raised_m or 0.0, found.sigma_height_m or 0.0
    if abs(raised) > max(LEAST_M, SIGNIFICANT * sigma):
        moved.append(f"height by {100 * raised:+.1f} ± {100 * sigma:.1f} cm")
    if moved:
        return Drift("moved", ", ".join(moved))
    if found.doubt is not None:
        return Drift("unknown", found.doubt)
    worst = int(np.argmax(np.abs(found.turn_deg)))
    turn, sigma = abs(found.turn_deg[worst]), found.sigma_deg[worst]
    return Drift("ok", f"within {turn:.2f} ± {sigma:.2f} degree")
