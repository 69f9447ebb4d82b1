"""Things timed in turn, A B A B, so that a machine's moods touch all of them alike."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Seconds = Sequence[float]


def alternate(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call in each of `rounds` rounds, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            elapsed = time.perf_counter() - start
            if number:
                seconds[name].append(elapsed)
    return seconds


def quartiles(values: Seconds) -> dict[str, float]:
    """p25, p50 and p75 of `values`, to four significant digits."""
    named = zip(("p25", "p50", "p75"), np.percentile(values, (25, 50, 75)), strict=True)
    return {name: float(f"{value:.4g}") for name, value in named}


def ratio(over: Seconds, under: Seconds) -> dict[str, float]:
    """Quartiles of over / under, round by round: drift that lasts longer than a round cancels."""
    return quartiles([a / b for a, b in zip(over, under, strict=True)])
