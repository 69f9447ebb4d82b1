"""Is the version on trial healthy? It is when its service has been up for a minute.

The service is of systemd's type notify with a watchdog: up means that the loop said so itself and
goes on saying it.
"""

import subprocess
import time
from pathlib import Path

UP_S = 60.0
SERVICE = "octoview.service"


def is_healthy(trial: Path, running: Path) -> bool:
    """`running` is the link to the version that the service started."""
    if not (running.is_symlink() and running.readlink() == trial):
        return False
    command = ["systemctl", "show", SERVICE, "--property=ActiveState,ActiveEnterTimestampMonotonic"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return has_been_up(done.stdout, time.clock_gettime(time.CLOCK_MONOTONIC))


def has_been_up(properties: str, now_s: float) -> bool:
    """`properties` as `systemctl show` prints them; times are microseconds of CLOCK_MONOTONIC."""
    values = dict(line.split("=", 1) for line in properties.splitlines() if "=" in line)
    since = values.get("ActiveEnterTimestampMonotonic", "")
    if values.get("ActiveState") != "active" or not since.isdigit() or since == "0":
        return False
    return now_s - int(since) / 1e6 >= UP_S
