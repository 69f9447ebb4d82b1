"""Mounting: while driving, whether every camera still looks where the rig says."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from calib.driving.drift import Drift
from calib.driving.monitor import MountingMonitor
from calib.rig import Rig
from deploy.loop.pipeline import TickResult

EVERY_S = 5.0
"""Seconds between two judgements; the cameras take turns."""
AGREED = 2
"""Judgements in a row that must find a camera moved: a wrong one would take it off the map."""


class MountingWatch:
    """Looks at every tick; says of cameras by name how they have moved, as
    `deploy.loop.live.CalibrationCheck`. Judging goes on in a thread of its own. The live loop knows
    no pose of the vehicle, so it learns from straight driving, and height is not judged."""

    def __init__(self, rig: Rig, every_s: float = EVERY_S, pair_every_s: float = 0.5) -> None:
        self._monitors = {
            camera.name: MountingMonitor(camera, every_s=pair_every_s) for camera in rig
        }
        self._every_s = every_s
        self._turn = 0
        self._last_s: float | None = None
        self._thread = ThreadPoolExecutor(1, "mounting")
        self._judging: tuple[str, Future[Drift]] | None = None
        self._moved = dict.fromkeys(rig.names, 0)  # judgements in a row
        self._told: dict[str, str] = {}

    def __call__(self, result: TickResult) -> Mapping[str, str]:
        for name, frame in result.frames.frames.items():
            if frame.image is not None and frame.stamp_ns is not None:
                self._monitors[name].add(frame.stamp_ns / 1e9, frame.image, None)
        if self._judging and self._judging[1].done():
            self._take(*self._judging)
            self._judging = None
        now_s = result.frames.stamp_ns / 1e9
        self._last_s = now_s if self._last_s is None else self._last_s
        if self._judging is None and now_s - self._last_s >= self._every_s:
            names = list(self._monitors)
            name = names[self._turn % len(names)]
            self._turn += 1
            self._last_s = now_s
            self._judging = name, self._thread.submit(self._monitors[name].verdict)
        return self._told

    def _take(self, name: str, future: Future[Drift]) -> None:
        if future.exception() is not None:  # as if it could not tell; the next one may
            return
        found = future.result()
        if found.verdict == "unknown":
            return
        self._moved[name] = self._moved[name] + 1 if found.verdict == "moved" else 0
        if self._moved[name] >= AGREED:
            self._told[name] = f"its mounting has moved: {found.reason}"
        elif found.verdict == "ok":
            self._told.pop(name, None)
