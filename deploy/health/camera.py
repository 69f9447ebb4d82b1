"""State of every camera: what one tick shows of it, and a state machine that a single bad frame
does not move."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from calib.rig import Camera, Rig
from deploy.loop.frames import Absence, Frame, FrameSet
from deploy.loop.join import LATE_NS

State = Literal[
    "ok", "late", "frozen", "blind", "corrupt", "out-of-sync", "disconnected", "bad-calibration"
]
STATES: tuple[State, ...] = (
    *("ok", "late", "frozen", "blind", "corrupt", "out-of-sync", "disconnected"),
    "bad-calibration",
)
# What a camera in these states shows is not where the map would put it, or is nothing at all.
UNFIT: frozenset[State] = frozenset({"blind", "bad-calibration"})

# Of the last WINDOW ticks so many must be bad before a camera is called so, and so many good ones
# in a row make it ok again: both within three ticks.
WINDOW, ENTER, LEAVE = 3, 2, 2
# Periods of its own rate without a frame after which a camera is late, and after which it is gone.
LATE_PERIODS, GONE_PERIODS = 0.75, 2.5


@dataclass(frozen=True)
class CameraHealth:
    """`state` with hysteresis; `verdict` on this tick alone, None where no frame was due yet;
    `note` why it is not ok, "" if it is. `fit`: whether its result may enter the map."""

    state: State
    verdict: State | None
    note: str = ""

    @property
    def fit(self) -> bool:
        return self.state not in UNFIT and self.verdict not in UNFIT


class CameraMonitor:
    """The state machine of one camera."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._bad: deque[bool] = deque(maxlen=WINDOW)
        self._good = 0
        self._note = ""

    def update(self, verdict: State | None, note: str, vague: bool = False) -> CameraHealth:
        """Take the verdict of one tick; the first one counts at once. A `vague` one makes a camera
        unwell, but does not rename what it already has."""
        if verdict == "ok":
            self._bad.append(False)
            self._good += 1
            if self._good >= LEAVE or self._state is None:
                self._state = "ok"
        elif verdict is not None:
            self._bad.append(True)
            self._good = 0
            if not vague or self._state in (None, "ok", "late"):
                if self._state != "ok" or sum(self._bad) >= ENTER:
                    self._state = verdict
                self._note = note
        state = self._state or "disconnected"
        return CameraHealth(state, verdict, "" if state == "ok" == verdict else self._note)


class RigMonitor:
    """The state machines of all cameras of a rig. Equal frame sets give equal states."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._monitors = {name: CameraMonitor() for name in rig.names}
        self._last_ns: dict[str, int] = {}  # camera -> capture time of its last image in a set
        self._tick_ns: int | None = None  # time of the tick before

    def update(
        self, frames: FrameSet, bad_calibration: Mapping[str, str] | None = None
    ) -> dict[str, CameraHealth]:
        """Health of every camera in this tick, in rig order. `bad_calibration`: what a
        calibration check holds against a camera, by its name."""
        health = {}
        # No camera is expected more often than there are ticks, whatever its rate is said to be.
        step_ns = 0 if self._tick_ns is None else frames.stamp_ns - self._tick_ns
        self._tick_ns = frames.stamp_ns
        for camera in self._rig:
            frame = frames.frames[camera.name]
            period_ns = max(1e9 / camera.rate_hz, step_ns)
            bad = (bad_calibration or {}).get(camera.name)
            verdict, note = self._verdict(camera, frame, period_ns, bad)
            # That one frame is missing says less than what was wrong with those before it.
            vague = verdict == "late" and (not frame.absence or frame.absence.offset_ns is None)
            health[camera.name] = self._monitors[camera.name].update(verdict, note, vague)
            if frame.stamp_ns is not None:
                self._last_ns[camera.name] = frame.stamp_ns
        return health

    def _verdict(
        self, camera: Camera, frame: Frame, period_ns: float, bad_calibration: str | None
    ) -> tuple[State | None, str]:
        if frame.stamp_ns is None:
            return _without_image(frame.absence or Absence(None), period_ns, frame.note)
        if frame.status != "ok":
            return ("frozen" if frame.status == "frozen" else "corrupt"), frame.note
        back_ns = self._last_ns.get(camera.name, frame.stamp_ns) - frame.stamp_ns
        if back_ns > 0:
            return "out-of-sync", f"stamp goes back by {back_ns / 1e6:.0f} ms"
        blindness = frame.sight.blindness if frame.sight else ""
        if blindness:
            return "blind", blindness
        if bad_calibration is not None:
            return "bad-calibration", bad_calibration
        return "ok", ""


def _without_image(absence: Absence, period_ns: float, note: str) -> tuple[State | None, str]:
    if absence.lost:
        return "disconnected", absence.lost
    if absence.offset_ns is not None:
        offset_ms = absence.offset_ns / 1e6
        if absence.backwards:
            return "out-of-sync", f"its stamps run backwards, {offset_ms:+.0f} ms off"
        if -LATE_NS <= absence.offset_ns < 0:
            return "late", f"its frames come {-offset_ms:.0f} ms after those of the others"
        return "out-of-sync", f"its stamps are {offset_ms:+.0f} ms off those of the others"
    if absence.silent_ns is None:
        return "disconnected", "nothing heard of it yet"
    periods = absence.silent_ns / period_ns
    if periods > GONE_PERIODS:
        return "disconnected", f"silent for {absence.silent_ns / 1e6:.0f} ms"
    if periods > LATE_PERIODS:
        return "late", note
    return None, ""
