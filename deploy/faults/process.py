"""Faults that strike the process and not the images, each on a real `octoview run` or `replay`."""

import signal
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from deploy.faults.attempt import AFTER, Attempt, CannotTryError, Strike
from deploy.faults.course import RATE_HZ, Course
from deploy.faults.files import disk_full, edited, log_cut, model_damaged
from deploy.faults.outcome import Outcome
from deploy.faults.running import ERROR, LEVEL, StuckError
from deploy.faults.wall_clock import WallClock

_BACKLOG = 6  # ticks at most with cameras unwell after a stall
_LOST_S = 1.0  # of a recording, by SIGKILL


@dataclass(frozen=True)
class ProcessFault:
    """`called`: what must be said of it, for people."""

    what: str
    called: str
    strike: Strike


def _terminated(attempt: Attempt) -> None:
    with attempt.start() as run:
        run.ticks(attempt.some_ticks())
        time.sleep(attempt.random.uniform(0, 1 / RATE_HZ))
        run.end()
    attempt.judge_whole(run)


def _stalled(attempt: Attempt) -> None:
    """Every camera delivers what has piled up, one after the other, which takes some ticks."""
    with attempt.start() as run:
        run.ticks(attempt.some_ticks())
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(attempt.random.uniform(0.2, 2.0))
        run.process.send_signal(signal.SIGCONT)
        run.ticks(_BACKLOG + AFTER)
        run.end()
    attempt.over = len(attempt.judge_whole(run, unwell=_BACKLOG).unwell)


def _clock_set(seconds: int) -> Strike:
    def strike(attempt: Attempt) -> None:
        try:
            clock = WallClock(attempt.folder)
        except FileNotFoundError as error:
            raise CannotTryError(str(error)) from error
        with attempt.start(environment=clock.environment) as run:
            run.ticks(attempt.some_ticks())
            clock.step(seconds)
            run.ticks(AFTER)
            run.end()
        attempt.judge_whole(run)

    return strike


def _killed(attempt: Attempt) -> None:
    with attempt.start() as run:
        run.ticks(attempt.some_ticks())
        time.sleep(attempt.random.uniform(0, 1))
        killed_ns = time.time_ns()
        run.end(signal.SIGKILL)
    stamps = attempt.judge(run, -signal.SIGKILL, cut=True).stamps_ns
    # What was captured before the last second; and a busy machine's longest ticks and flushes.
    longest_ns = max((b - a for a, b in pairwise(stamps)), default=0)
    lost_ns = killed_ns - (stamps[-1] if stamps else 0)
    if lost_ns > _LOST_S * 1e9 + 3 * longest_ns:
        attempt.problems.append(f"the last {lost_ns / 1e9:.2f} s are lost")


def _hung(attempt: Attempt) -> None:
    call = int(attempt.random.integers(4, 20))
    with attempt.start(("deploy.faults.hanging", str(call))) as run:
        engine = LEVEL.format("engine")
        run.until(lambda now: now.get(engine) == ERROR, "the engine is called hung")
        run.sign("STATUS=loop or engine hangs")
        run.ticks(AFTER)
        run.end()
    told = attempt.judge_whole(run, code=1).engine_failed
    if told != sorted(told) or not told[-1] or "the engine hangs" not in run.errors:
        attempt.problems.append("not said in every tick and at the end that the engine hangs")


PROCESS_FAULTS: dict[str, ProcessFault] = {
    "sigterm": ProcessFault("SIGTERM", "ends, log whole", _terminated),
    "sigkill": ProcessFault("SIGKILL", "a second lost at most", _killed),
    "stalled": ProcessFault("process stopped for up to 2 s", "late, disconnected", _stalled),
    "disk-full": ProcessFault("disk full, then room again", "recording paused", disk_full),
    "log-cut": ProcessFault("log cut at every 4 KB", "read up to there", log_cut),
    "clock-ahead": ProcessFault("wall clock set an hour ahead", "ok", _clock_set(3600)),
    "clock-back": ProcessFault("wall clock set an hour back", "ok", _clock_set(-3600)),
    "engine-hung": ProcessFault("engine hangs for good", "no result, watchdog", _hung),
    "model-damaged": ProcessFault("network's file damaged", "refused", model_damaged),
    "model-edited": ProcessFault("it changes in a run", "ok", edited("model.onnx")),
    "config-edited": ProcessFault("run's file changes in it", "ok", edited("run.yaml")),
    "rig-edited": ProcessFault("rig's file changes in it", "ok", edited("rig.yaml")),
}


def run_processes(
    course: Course, names: Iterable[str], seeds: Iterable[int]
) -> Iterator[tuple[str, list[Outcome]]]:
    """Outcomes of every fault, one for each seed."""
    for name in names:
        yield name, [_attempt(course, name, seed) for seed in seeds]


def _attempt(course: Course, name: str, seed: int) -> Outcome:
    random = np.random.default_rng(seed + zlib.crc32(name.encode()))
    with tempfile.TemporaryDirectory() as folder:
        attempt = Attempt(course, Path(folder), random)
        try:
            PROCESS_FAULTS[name].strike(attempt)
        except CannotTryError as error:
            return Outcome(skipped=str(error))
        except StuckError as error:
            attempt.problems.append(str(error))
    return Outcome(attempt.problems, over=attempt.over)
