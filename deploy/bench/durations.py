"""Durations of every tick, kept whole: a measurement is short, and its percentiles exact."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deploy.loop.timing import TICK, Percentiles, in_order


def by_stage(ticks: Sequence[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    """Seconds (ticks,) of each stage, in the order of the loop, and their sum as `tick`.

    ticks: seconds by stage, as `StageTimer.current` says just before a tick ends.
    """
    stages = in_order({stage for tick in ticks for stage in tick})
    rows = {stage: np.array([tick.get(stage, 0.0) for tick in ticks]) for stage in stages}
    return {**rows, TICK: np.sum(list(rows.values()), axis=0)}


def percentiles_ms(seconds: NDArray[np.float64]) -> Percentiles:
    """Of `seconds`, in milliseconds rounded to microseconds."""
    values = seconds * 1e3
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    named = {"p50": p50, "p90": p90, "p99": p99, "max": values.max(), "mean": values.mean()}
    return {name: round(float(value), 3) for name, value in named.items()}
