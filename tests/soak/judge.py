"""Whether a long run was flat: its end against its beginning."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_MB = 500.0
# Of growth in memory from the second tenth to the last, which is what single samples scatter by.
MOST_GROWTH_MB = 5.0
# Of growth of the 99th percentile of a tick's CPU time from the first round of faults to the last.
# The wall time is told, too; programs beside the run decide on it as much as the run itself.
MOST_SLOWER = 1.10


@dataclass(frozen=True)
class Sample:
    """The process at one moment, after so many ticks. `descriptors` and `threads` are counts."""

    seconds: float
    ticks: int
    resident_mb: float
    descriptors: int
    threads: int


def judge(samples: list[Sample], ticks: NDArray[np.float64], round_s: float) -> dict[str, Any]:
    """Figures of a run, and under `problems` what was not flat. `ticks` (ticks, 3): stamp, wall and
    CPU time of each tick in seconds; every `round_s` the same faults come again, and times are told
    from two whole rounds on. Until a tenth has a sample there are no figures."""
    count = len(ticks)
    tenth = count // 10
    early = [s for s in samples if tenth <= s.ticks < 2 * tenth]
    late = [s for s in samples if count - tenth <= s.ticks]
    if not early or not late:
        return {"ticks": count, "problems": ["too short to judge"]}
    settled = [s for s in samples if s.ticks >= tenth]
    megabytes = np.array([s.resident_mb for s in settled])
    slope, start = np.polyfit([s.ticks for s in settled], megabytes, 1)
    before, after = (float(np.median([s.resident_mb for s in part])) for part in (early, late))
    scatter = megabytes - (start + slope * np.array([s.ticks for s in settled]))
    figures: dict[str, Any] = {
        "ticks": count,
        "seconds": samples[-1].seconds,
        "peak_mb": max(s.resident_mb for s in samples),
        "second_tenth_mb": before,
        "last_tenth_mb": after,
        "slope_kb_per_tick": round(1024 * float(slope), 4),
        "scatter_mb": round(float(scatter.std()), 2),
    }
    for name in ("descriptors", "threads"):
        counts = [float(np.median([getattr(s, name) for s in part])) for part in (early, late)]
        figures[name] = {"second_tenth": counts[0], "last_tenth": counts[1]}
    since = ticks[:, 0] - ticks[0, 0] + 1e-6  # not every instant has a tick, if all cameras fail
    last = int((since[-1] + np.median(np.diff(since))) // round_s) - 1
    for column, name in ((1, "wall_ms"), (2, "cpu_ms")):
        for part, number in (("first_round", 0), ("last_round", last)):
            if last > 0:
                times = 1e3 * ticks[since // round_s == number, column]
                p50, p99 = np.percentile(times, (50, 99)).round(2).tolist()
                figures.setdefault(name, {})[part] = {"p50": p50, "p99": p99}
    return figures | {"problems": _problems(figures)}


def _problems(figures: dict[str, Any]) -> list[str]:
    problems = []
    if figures["peak_mb"] > MOST_MB:
        problems.append(f"more than {MOST_MB:.0f} MB")
    if figures["last_tenth_mb"] - figures["second_tenth_mb"] > MOST_GROWTH_MB:
        problems.append(f"memory grew by more than {MOST_GROWTH_MB:.0f} MB")
    for name in ("descriptors", "threads"):
        if figures[name]["last_tenth"] > figures[name]["second_tenth"]:
            problems.append(f"more {name} at the end")
    cpu = figures.get("cpu_ms")
    if cpu and cpu["last_round"]["p99"] > MOST_SLOWER * cpu["first_round"]["p99"]:
        problems.append("slower ticks at the end")
    return problems
