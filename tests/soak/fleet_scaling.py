"""What a log costs in a fleet of one and of more workers: `make fleet-scaling`.

Copies of a log are replayed by `octoview replay fleet`, each worker with one engine thread, on
processes of this machine and on Ray, where it is installed. The cost of a log is the time that its
worker had it; were scaling perfect, it would be the same for any number of workers. Where other
programs take the cores now and then, the median tick says more.
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from deploy.loop.machine import physical_cores


def measure(pool: str, logs: int, sample: Path, workers: int) -> dict[str, Any]:
    """Replay `logs` copies of `sample` on `workers` workers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(logs):
            shutil.copy(sample, folder / f"{number}.mcap")
        command = [sys.executable, "-m", "deploy.cli", "replay", "fleet", f"{folder}/*.mcap"]
        command += ["--out", str(folder / "out"), "--threads", "1"]
        command += ["--ray", "local"] if pool == "ray" else ["--workers", str(workers)]
        environment = os.environ | {"RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": workers})}
        began = time.monotonic()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        wall = time.monotonic() - began
        rows = [json.loads(path.read_text()) for path in folder.glob("out/*/row.json")]
    costs = [row["worker_seconds"] for row in rows]
    assert len(costs) == logs and not any(row["error"] for row in rows)
    return {
        "pool": pool,
        "workers": workers,
        "logs": logs,
        "ticks": rows[0]["ticks"],
        "cost_per_log_s": round(statistics.median(costs), 2),
        "tick_ms": round(statistics.median(row["tick_ms_p50"] for row in rows), 1),
        "wall_s": round(wall, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    found_here = ["local", *(["ray"] if importlib.util.find_spec("ray") else [])]
    parser.add_argument("--pools", nargs="+", choices=["local", "ray"], default=found_here)
    parser.add_argument("--logs", type=int, default=4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, physical_cores()])
    parser.add_argument("--sample", type=Path, default=Path("deploy/samples/hw2.mcap"))
    options = parser.parse_args()
    for pool in options.pools:
        first = None
        for workers in options.workers:
            found = measure(pool, options.logs, options.sample, workers)
            first = first or found
            for what in ("cost_per_log_s", "tick_ms"):
                found[f"{what}_over_first"] = round(found[what] / first[what], 3)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
