"""Memory of a long replay: `make soak`, hours on a slow machine, so not a test of the suite.

The sample log is written again and again, later each time, into one long log; `octoview replay`
runs on it in a process of its own, whose resident memory is read every second.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from deploy.log.reader import LogReader
from deploy.log.writer import LogWriter

MOST_MB = 500.0
MOST_GROWTH_MB = 10.0
"""From the second tenth of the run to its last."""


def write_long_log(sample: Path, path: Path, ticks: int) -> None:
    """`sample` repeated until it holds `ticks` ticks."""
    reader = LogReader(sample)
    rig = reader.rig
    images = list(reader.images())
    stamps = sorted({image.stamp_ns for image in images})
    period = stamps[1] - stamps[0]
    with LogWriter(path) as log:
        log.rig(rig, stamps[0])
        for start in range(0, ticks, len(stamps)):
            shift = start * period
            last = stamps[min(len(stamps), ticks - start) - 1]
            for image in images:
                if image.stamp_ns <= last:
                    log.image(image.camera, image.stamp_ns + shift, image.data, image.format)


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=10_000)
    parser.add_argument("--sample", type=Path, default=Path("deploy/samples/hw2.mcap"))
    parser.add_argument("--model", type=Path, default=Path("perception/weights/nano.onnx"))
    parser.add_argument("--json", type=Path, default=Path("out/soak.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "long.mcap"
        write_long_log(options.sample, log, options.ticks)
        command = [sys.executable, "-m", "deploy.cli", "replay", str(log), "--no-mosaic"]
        command += ["--model", str(options.model), "--out", str(Path(folder) / "out")]
        began = time.monotonic()
        replay = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        samples = []
        while replay.poll() is None:
            samples.append((time.monotonic() - began, resident_mb(replay.pid)))
            time.sleep(1)
        report = json.loads((Path(folder) / "out" / "report.json").read_text())
    assert replay.returncode == 0
    seconds, megabytes = np.array(samples[:-1]).T  # the last may be of a process that is ending
    tenth = len(seconds) // 10
    early, late = np.median(megabytes[tenth : 2 * tenth]), np.median(megabytes[-tenth:])
    slope = np.polyfit(seconds[tenth:], megabytes[tenth:], 1)[0] * seconds[-1] / report["ticks"]
    content = {
        "ticks": report["ticks"],
        "model": options.model.name,
        "seconds": round(float(seconds[-1]), 1),
        "peak_mb": round(float(megabytes.max()), 1),
        "second_tenth_mb": round(float(early), 1),
        "last_tenth_mb": round(float(late), 1),
        "slope_kb_per_tick": round(float(1024 * slope), 3),
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=2))
    return int(content["peak_mb"] > MOST_MB or late - early > MOST_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
