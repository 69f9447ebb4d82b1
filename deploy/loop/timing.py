"""One scoped timer for every stage of the loop."""

import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

STAGES = ("decode_image", "preprocess", "engine", "decode", "fuse", "surround", "sinks")


class StageTimer:
    """Wall time of each stage of each tick, in seconds.

    A stage entered twice in one tick adds up. The durations of the whole run are kept (8 bytes a
    stage and tick), because percentiles of a running estimate hide the worst tick.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self._stages: dict[str, array[float]] = {}
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
        """Close the tick in progress."""
        for name in self._current.keys() - self._stages.keys():
            self._stages[name] = array("d", bytes(8 * self.ticks))
        for name, seconds in self._stages.items():
            seconds.append(self._current.get(name, 0.0))
        self._current = {}
        self.ticks += 1

    @property
    def seconds(self) -> dict[str, NDArray[np.float64]]:
        """Each stage's seconds, (ticks,), in the order of the loop, and their sum as `tick`."""
        names = [name for name in STAGES if name in self._stages]
        names += sorted(self._stages.keys() - set(names))
        rows = {name: np.array(self._stages[name]) for name in names}
        return {**rows, "tick": np.sum(list(rows.values()), axis=0)} if rows else {}

    def summary(self) -> dict[str, dict[str, float]]:
        """Milliseconds p50, p90, p99, max and mean of each stage, and of the whole `tick`."""
        return {name: percentiles_ms(seconds) for name, seconds in self.seconds.items()}


def percentiles_ms(seconds: NDArray[np.float64]) -> dict[str, float]:
    """p50, p90, p99, max and mean of `seconds`, in milliseconds rounded to microseconds."""
    values = seconds * 1e3
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    named = {"p50": p50, "p90": p90, "p99": p99, "max": values.max(), "mean": values.mean()}
    return {name: round(float(value), 3) for name, value in named.items()}
