"""Every fault of the table at random times, for random cameras, by seed."""

import numpy as np

from deploy.faults.injection import Injection
from deploy.faults.table import FAULTS

# Ticks that a fault lasts.
SHORTEST, LONGEST = 20, 200


def random_faults(
    cameras: tuple[str, ...], ticks: int, period_s: float, seed: int
) -> list[Injection]:
    """Each fault of fewer cameras than all, once in every tenth of the run; they overlap as it
    comes. All tenths have the same ones at the same places, so that they can be compared."""
    random = np.random.default_rng(seed)
    tenth = ticks // 10
    longest = min(LONGEST, tenth // 2)
    faults = []
    for name, fault in FAULTS.items():
        if fault.cameras >= len(cameras):
            continue
        struck = tuple(map(str, random.choice(cameras, fault.cameras, replace=False)))
        length = int(random.integers(min(SHORTEST, longest), longest + 1))
        first = int(random.integers(tenth - length))
        for start in range(first, ticks - length, tenth):
            seconds = start * period_s, (start + length) * period_s
            faults.append(Injection(name, struck, *seconds))
    return faults
