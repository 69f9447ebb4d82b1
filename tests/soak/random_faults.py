"""Every fault of the table at random times, for random cameras, by seed."""

import numpy as np

from deploy.faults.injection import Injection
from deploy.faults.table import FAULTS

ROUNDS = 10
# Ticks that a fault lasts, and of a round.
SHORTEST, LONGEST = 10, 200
LARGEST_SHARE = 0.05


def random_faults(
    cameras: tuple[str, ...], ticks: int, period_s: float, seed: int
) -> list[Injection]:
    """Each fault of fewer cameras than all, once in every tenth of the run, a round; they overlap
    as it comes. All rounds have the same ones at the same places, so that they can be compared."""
    random = np.random.default_rng(seed)
    round_ticks = ticks // ROUNDS
    longest = max(SHORTEST, min(LONGEST, int(LARGEST_SHARE * round_ticks)))
    faults = []
    for name, fault in FAULTS.items():
        if fault.cameras >= len(cameras):
            continue
        struck = tuple(map(str, random.choice(cameras, fault.cameras, replace=False)))
        length = int(random.integers(SHORTEST, longest + 1))
        first = int(random.integers(round_ticks - length))
        for start in range(first, ticks - length, round_ticks):
            seconds = start * period_s, (start + length) * period_s
            faults.append(Injection(name, struck, *seconds))
    return faults
