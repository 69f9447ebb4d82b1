"""A long replay with random faults must stay flat: `make soak`, hours, so no test of the suite.

The sample log is written again and again into one long log (100,000 ticks: 26 GB, and 13 GB of
results). A process of its own replays it, all sinks but the video; its memory, descriptors and
threads are read from time to time, and it writes down how long every tick took, from result to
result: reading, the injection of the faults, the loop and the output. Ends with 1 when anything
grew.
"""

import argparse
import json
import multiprocessing
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.faults.injection import Injection
from deploy.log.reader import LogReader
from deploy.loop.clock import LockstepClock
from deploy.loop.pipeline import TickResult
from deploy.loop.playback import Part
from deploy.loop.replay import replay
from perception.spec import PRESETS
from tests.deploy.conftest import write_model
from tests.soak.judge import Sample, judge
from tests.soak.long_log import write_long_log
from tests.soak.random_faults import ROUNDS, random_faults

SAMPLE, PERIOD_S = Path("deploy/samples/hw2.mcap"), 0.1


def replay_timed(
    log: Path, model: Path, out: Path, part: Part, faults: Sequence[Injection]
) -> None:
    """Replay into the folder `out`. Each tick's stamp, wall and CPU time, all in seconds, go to
    `out`.ticks as they come."""
    with out.with_suffix(".ticks").open("wb", buffering=0) as stream:
        wall, cpu = time.perf_counter(), time.process_time()

        def progress(result: TickResult) -> None:
            nonlocal wall, cpu
            before = wall, cpu
            wall, cpu = time.perf_counter(), time.process_time()
            stamp = result.frames.stamp_ns / 1e9
            stream.write(struct.pack("=ddd", stamp, wall - before[0], cpu - before[1]))

        replay(
            *(log, model, out),
            clock=LockstepClock(),
            mosaic=False,
            images=False,
            faults=faults,
            part=part,
            progress=progress,
        )


def sample(process: int, ticks: int, seconds: float) -> Sample:
    """What the kernel says of a process."""
    proc = Path(f"/proc/{process}")
    resident = int((proc / "statm").read_text().split()[1]) * 4096 / 2**20
    descriptors, threads = (sum(1 for _ in (proc / name).iterdir()) for name in ("fd", "task"))
    return Sample(round(seconds, 1), ticks, round(resident, 2), descriptors, threads)


def watch(
    process: SpawnProcess, times: Path, every_s: float, most_s: float
) -> Iterator[tuple[list[Sample], NDArray[np.float64]]]:
    """Run `process`, `most_s` at the longest: from time to time all samples so far, and all ticks
    in the file `times`."""
    began = time.monotonic()
    process.start()
    samples: list[Sample] = []
    while process.exitcode is None:
        process.join(every_s)
        elapsed = time.monotonic() - began
        done = np.fromfile(times).reshape(-1, 3) if times.exists() else np.zeros((0, 3))
        with suppress(FileNotFoundError):  # it has just ended
            if process.pid and process.exitcode is None:
                samples.append(sample(process.pid, len(done), elapsed))
        yield samples, done
        if elapsed > most_s:
            process.kill()
            process.join()
            return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="then it is cut short")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between samples")
    parser.add_argument("--cameras", default="", help="some of the log's, with commas between")
    parser.add_argument("--model", type=Path, help="by default the stand-in network of the tests")
    parser.add_argument("--log", type=Path, help="the long log, kept, and written if missing")
    parser.add_argument("--json", type=Path, default=Path("out/soak.json"))
    options = parser.parse_args()
    rig = LogReader(SAMPLE).rig
    cameras = tuple(options.cameras.split(",")) if options.cameras else rig.names
    faults = random_faults(cameras, options.ticks, PERIOD_S, options.seed)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = options.log or folder / "long.mcap"
        if not log.exists():
            write_long_log(SAMPLE, log, options.ticks)
        model = options.model or write_model(folder / "stand_in.onnx", PRESETS["nano"])
        run = {
            "log_gb": round(log.stat().st_size / 1e9, 2),
            "cameras": cameras,
            "model": model.name,
            "faults": len(faults),
            "seed": options.seed,
        }
        out = folder / "out"
        part = Part(end_s=options.ticks * PERIOD_S, cameras=cameras)
        arguments = (log, model, out, part, faults)
        process = multiprocessing.get_context("spawn").Process(target=replay_timed, args=arguments)
        watched = watch(process, out.with_suffix(".ticks"), options.every, 60 * options.minutes)
        content: dict[str, object] = {}
        for samples, ticks in watched:
            figures = judge(samples, ticks, options.ticks // ROUNDS * PERIOD_S)
            content = {**run, "exit": process.exitcode, **figures}
            series = [astuple(s) for s in samples]
            options.json.write_text(json.dumps({**content, "samples": series}, indent=1) + "\n")
    print(json.dumps(content, indent=2))
    return int(bool(content["problems"] or content["exit"]))


if __name__ == "__main__":
    sys.exit(main())
