"""One scoped timer for every stage of the loop."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from deploy.loop.histogram import Histogram

Percentiles = dict[str, float]
"""p50, p90, p99, max and mean, in milliseconds."""
STAGES = ("decode_image", "preprocess", "engine", "decode", "fuse", "surround", "sinks")
TICK = "tick"
_PERCENTS = (50, 90, 99)


class StageTimer:
    """Wall time of each stage of each tick, and of the whole tick, their sum.

    A stage entered twice in one tick adds up. What is kept does not grow with the ticks.
    """

    def __init__(self) -> None:
        self._stages: dict[str, Histogram] = {}
        self._tick = Histogram()
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
    def ticks(self) -> int:
        """Ticks that have ended."""
        return self._tick.count

    @property
    def busy_seconds(self) -> float:
        """Sum over all ticks."""
        return self._tick.sum

    @property
    def current(self) -> dict[str, float]:
        """Seconds of the stages of the tick in progress so far."""
        return dict(self._current)

    @property
    def current_ms(self) -> dict[str, float]:
        """The same in milliseconds, rounded to microseconds."""
        return {name: round(seconds * 1e3, 3) for name, seconds in self._current.items()}

    def end_tick(self) -> None:
        """Close the tick in progress."""
        for name in self._current.keys() - self._stages.keys():
            self._stages[name] = Histogram()
            self._stages[name].add(0.0, self.ticks)
        for name, histogram in self._stages.items():
            histogram.add(self._current.get(name, 0.0))
        self._tick.add(sum(self._current.values()))
        self._current = {}

    def summary(self) -> dict[str, Percentiles]:
        """Of each stage, in the order of the loop, and of the whole `tick`. Percentiles are within
        the histogram's relative error."""
        names = in_order(self._stages)
        histograms = {name: self._stages[name] for name in names} | {TICK: self._tick}
        return {name: _summary(histogram) for name, histogram in histograms.items() if names}


def in_order(stages: Iterable[str]) -> list[str]:
    """The stages as the loop has them, then others by name."""
    found = set(stages)
    return [name for name in STAGES if name in found] + sorted(found - set(STAGES))


def _summary(histogram: Histogram) -> Percentiles:
    seconds = {f"p{p}": histogram.percentile(p) for p in _PERCENTS}
    seconds |= {"max": histogram.largest, "mean": histogram.sum / histogram.count}
    return {name: round(1e3 * value, 3) for name, value in seconds.items()}
