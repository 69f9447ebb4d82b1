"""One scoped timer for every stage of the loop."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

STAGES = ("decode_image", "preprocess", "engine", "decode", "fuse", "sinks")


class StageTimer:
    """Wall time of each stage of each tick, in seconds.

    A stage entered twice in one tick adds up. The durations of the whole run are kept (a few
    hundred bytes per tick), because percentiles of a running estimate hide the worst tick.
    """

    def __init__(self) -> None:
        self.ticks: list[dict[str, float]] = []
        self._current: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self._current[name] = self._current.get(name, 0.0) + elapsed

    @property
    def current(self) -> dict[str, float]:
        """Stages of the tick in progress so far."""
        return dict(self._current)

    def end_tick(self) -> None:
        """Close the tick in progress; `tick` is the sum of its stages."""
        self.ticks.append(self._current)
        self._current = {}

    def summary(self) -> dict[str, dict[str, float]]:
        """Milliseconds p50, p90, p99, max and mean of each stage, and of the whole `tick`."""
        names = [name for name in STAGES if any(name in tick for tick in self.ticks)]
        names += sorted({name for tick in self.ticks for name in tick} - set(names))
        rows = {name: [tick.get(name, 0.0) for tick in self.ticks] for name in names}
        if rows:
            rows["tick"] = [sum(tick.values()) for tick in self.ticks]
        return {name: percentiles_ms(seconds) for name, seconds in rows.items()}


def percentiles_ms(seconds: list[float]) -> dict[str, float]:
    """p50, p90, p99, max and mean of `seconds`, in milliseconds rounded to microseconds."""
    values = np.asarray(seconds) * 1e3
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    named = {"p50": p50, "p90": p90, "p99": p99, "max": values.max(), "mean": values.mean()}
    return {name: round(float(value), 3) for name, value in named.items()}
