"""History: in how many ticks each camera was in which state, for the summary of a run."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from deploy.health.camera import STATES, CameraHealth

NO_RESULT = "no result"
"""Beside the states: the network gave none for a frame that was ok."""


class HealthHistory:
    """Counts from tick to tick."""

    def __init__(self) -> None:
        self._ticks: dict[str, Counter[str]] = {}
        self._reasons: dict[str, dict[str, str]] = {}

    def add(self, health: Mapping[str, CameraHealth], failed: Mapping[str, str]) -> None:
        """Take the health of one tick, and why the network `failed` for a camera."""
        for camera, one in health.items():
            self._count(camera, one.state, one.note)
        for camera, reason in failed.items():
            self._count(camera, NO_RESULT, reason)

    def _count(self, camera: str, what: str, reason: str) -> None:
        self._ticks.setdefault(camera, Counter())[what] += 1
        if what != "ok":
            self._reasons.setdefault(camera, {}).setdefault(what, reason)

    @property
    def content(self) -> dict[str, dict[str, Any]]:
        """By camera `ticks` in each state that it was in, and the first of the `reasons` of each
        but ok."""
        return {
            camera: {"ticks": dict(ticks), "reasons": self._reasons.get(camera, {})}
            for camera, ticks in self._ticks.items()
        }


def unwell(content: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each camera and state of `HealthHistory.content` that is not ok."""
    lines = []
    for camera, one in content.items():
        ticks = one["ticks"]
        total = sum(ticks.get(state, 0) for state in STATES)
        for what, why in one["reasons"].items():
            lines.append(f"{camera}: {what} in {ticks[what]} of {total} ticks ({why})")
    return lines
