"""Waits before the service starts again: longer after each failure in a row.

systemd has this from release 254 on; Ubuntu 22.04 has 249.
"""

import time
from pathlib import Path

LONGEST_S = 60
HEALTHY_S = 300
"""A run of this length ends the row of failures."""


def wait_after_failure(file: Path, now: float) -> float:
    """Seconds to wait; `file`, gone with the next boot, holds the row's length and last time."""
    failures = failures_in_a_row(file, now) + 1
    wait = min(2.0**failures, LONGEST_S)
    file.write_text(f"{failures} {now + wait}", encoding="utf-8")
    return wait


def failures_in_a_row(file: Path, now: float) -> int:
    """Length of the row that goes on; 0 where there is none."""
    try:
        failures, last = (float(word) for word in file.read_text(encoding="utf-8").split())
    except (OSError, ValueError):
        return 0
    return 0 if now - last > HEALTHY_S else int(failures)


def sleep_after_failure(file: Path) -> None:
    time.sleep(wait_after_failure(file, time.monotonic()))
