"""Health of the whole: deadline, engine, recording, and the machine they run on."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from deploy.health.probe import Probe

Level = Literal["ok", "warn", "error"]

# The engine is slow when it takes so many times as long as it usually does, in two of three ticks.
SLOW = 3.0
_USUAL_TICKS = 100
_WINDOW, _ENTER = 3, 2
# Memory and temperature from which on a person should look.
LOW_MEMORY_MIB = 256.0
HOT_C = 95.0


@dataclass(frozen=True)
class Part:
    """One part of the whole: `message` for people, `values` for plots, units in their names."""

    name: str
    level: Level
    message: str
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SystemHealth:
    """All parts, in a fixed order."""

    parts: tuple[Part, ...]

    def __getitem__(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)


@dataclass(frozen=True)
class Recording:
    """What the recorder says of itself. `paused`: why it does not write now, "" if it does."""

    on: bool = False
    paused: str = ""
    dropped: int = 0
    written_mib: float = 0.0


class SystemMonitor:
    """Follows the loop from tick to tick."""

    def __init__(self, deadline_ms: float, probe: Probe) -> None:
        self._deadline_ms = deadline_ms
        self._probe = probe
        self._usual: deque[float] = deque(maxlen=_USUAL_TICKS)
        self._slow: deque[bool] = deque(maxlen=_WINDOW)
        self.missed = 0
        self._last_miss: dict[str, float] = {}

    def update(
        self,
        latency_ms: float,
        engine_ms: float,
        failed: Mapping[str, str],
        broken: str,
        counts: Mapping[str, float],
        recording: Recording,
    ) -> SystemHealth:
        """Take one tick: `latency_ms` from capture to result, `failed` cameras that the network
        gave no result for, `broken` what was thrown since the tick before, `counts` of frame sets
        since the start."""
        return SystemHealth(
            (
                self._deadline(latency_ms),
                self._engine(engine_ms, failed, broken),
                Part("frame sets", "ok", "counted since the start", counts),
                _recording(recording),
                self._machine(),
            )
        )

    def _deadline(self, latency_ms: float) -> Part:
        values = {"latency_ms": round(latency_ms, 3), "deadline_ms": self._deadline_ms}
        missed = latency_ms > self._deadline_ms
        if missed:
            self.missed += 1
            sample = self._probe.sample(now=True)
            self._last_miss = {
                "last_miss_latency_ms": round(latency_ms, 3),
                "last_miss_load_1min": round(sample.load_1min, 2),
                "last_miss_cpu_busy": round(sample.cpu_busy, 3),
            }
        message = f"result after {latency_ms:.0f} ms" if missed else "kept"
        counts = {"missed": float(self.missed)}
        return Part(
            "deadline", "warn" if missed else "ok", message, values | counts | self._last_miss
        )

    def _engine(self, engine_ms: float, failed: Mapping[str, str], broken: str) -> Part:
        values = {"engine_ms": round(engine_ms, 3)}
        if broken:
            return Part("engine", "error", broken, values)
        if failed:
            camera, reason = next(iter(failed.items()))
            cameras = f"{len(failed)} cameras, first {camera}" if len(failed) > 1 else camera
            return Part("engine", "error", f"no result for {cameras}: {reason}", values)
        usual = median(self._usual) if self._usual else engine_ms
        self._slow.append(engine_ms > SLOW * usual)
        if not self._slow[-1]:
            self._usual.append(engine_ms)
        if sum(self._slow) >= _ENTER:
            message = f"slow: {engine_ms:.0f} ms, usually {usual:.0f} ms"
            return Part("engine", "warn", message, values)
        return Part("engine", "ok", "runs", values)

    def _machine(self) -> Part:
        sample = self._probe.sample()
        troubles = []
        if 0 < sample.memory_available_mib < LOW_MEMORY_MIB:
            troubles.append(f"{sample.memory_available_mib:.0f} MiB of memory left")
        if sample.temperature_c is not None and sample.temperature_c > HOT_C:
            troubles.append(f"{sample.temperature_c:.0f} degrees C")
        level: Level = "warn" if troubles else "ok"
        return Part("machine", level, ", ".join(troubles) or "well", sample.values)


def _recording(recording: Recording) -> Part:
    if not recording.on:
        return Part("recording", "ok", "off")
    values = {"dropped_ticks": float(recording.dropped), "written_mib": recording.written_mib}
    if recording.paused:
        return Part("recording", "error", recording.paused, values)
    return Part("recording", "ok", "writes", values)
