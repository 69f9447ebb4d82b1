"""Probe: load, memory, temperature and clocks of this machine, read from Linux."""

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

_PROC = Path("/proc")
_ZONES = Path("/sys/class/thermal")
_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Sample:
    """`cpu_busy`: share of all processors since the sample before, 0 to 1. `memory_mib`: this
    process's. `temperature_c`: the hottest zone's; `clock_share`: the slowest processor's clock
    over its highest; None where the platform does not tell. `disk_free_gib`: where recordings go.
    """

    load_1min: float
    cpu_busy: float
    memory_mib: float
    memory_available_mib: float
    threads: int
    descriptors: int
    temperature_c: float | None
    clock_share: float | None
    disk_free_gib: float | None

    @property
    def values(self) -> dict[str, float]:
        """What is known, by name."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: round(float(value), 3) for name, value in known.items()}


class Probe:
    """Reads at most once a second, unless told that something just happened; some 20 small
    files."""

    def __init__(self, folder: Path | None = None, every_s: float = 1.0) -> None:
        self._folder, self._every_s = folder, every_s
        self._busy, self._total = _cpu_times()
        self._sample: Sample | None = None
        self._next = 0.0

    def sample(self, now: bool = False) -> Sample:
        """The newest values."""
        if self._sample is None or now or time.monotonic() >= self._next:
            self._sample = self._read()
            self._next = time.monotonic() + self._every_s
        return self._sample

    def _read(self) -> Sample:
        busy, total = _cpu_times()
        share = (busy - self._busy) / (total - self._total) if total > self._total else 0.0
        self._busy, self._total = busy, total
        temperatures = _numbers(_ZONES.glob("thermal_zone*/temp"))
        clocks = [
            now / most
            for policy in _CPUS.glob("cpu[0-9]*/cpufreq")
            for now, most in zip(
                _numbers([policy / "scaling_cur_freq"]),
                _numbers([policy / "cpuinfo_max_freq"]),
                strict=False,
            )
            if most > 0
        ]
        folder = self._folder
        free = shutil.disk_usage(folder).free / 2**30 if folder and folder.is_dir() else None
        return Sample(
            load_1min=os.getloadavg()[0],
            cpu_busy=share,
            memory_mib=_field("self/status", "VmRSS") / 1024,
            memory_available_mib=_field("meminfo", "MemAvailable") / 1024,
            threads=int(_field("self/status", "Threads")),
            descriptors=sum(1 for _ in (_PROC / "self/fd").iterdir()),
            temperature_c=max(temperatures) / 1000 if temperatures else None,
            clock_share=min(clocks) if clocks else None,
            disk_free_gib=free,
        )


def _cpu_times() -> tuple[int, int]:
    """Busy and all clock ticks of all processors since the machine started."""
    first = (_PROC / "stat").read_text().split("\n", 1)[0]
    ticks = [int(word) for word in first.split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)  # less idle and iowait


def _field(file: str, name: str) -> float:
    for line in (_PROC / file).read_text().splitlines():
        if line.startswith(name + ":"):
            return float(line.split()[1])
    return 0.0


def _numbers(paths: Iterable[Path]) -> list[float]:
    """Contents of the files that can be read and hold a number; some zones refuse."""
    numbers = []
    for path in paths:
        try:
            numbers.append(float(path.read_text()))
        except (OSError, ValueError):
            continue
    return numbers
