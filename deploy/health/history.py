"""History: in how many ticks each camera was in which state, for summaries of a run."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from deploy.health.camera import CameraHealth


class HealthHistory:
    """Counts from tick to tick."""

    def __init__(self) -> None:
        self._ticks: dict[str, Counter[str]] = {}
        self._reasons: dict[str, dict[str, str]] = {}

    def add(self, health: Mapping[str, CameraHealth]) -> None:
        """Take the health of one tick."""
        for camera, one in health.items():
            self._ticks.setdefault(camera, Counter())[one.state] += 1
            if one.state != "ok":
                self._reasons.setdefault(camera, {}).setdefault(one.state, one.note)

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
    return [
        f"{camera}: {state} in {one['ticks'][state]} of {sum(one['ticks'].values())} ticks ({why})"
        for camera, one in content.items()
        for state, why in one["reasons"].items()
    ]
