"""Faults that strike the process and not the images, each on a real `octoview run` or `replay`."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from mcap.records import Chunk, Message
from mcap.stream_reader import StreamReader, breakup_chunk

from deploy.errors import LogError
from deploy.faults.attempt import Attempt, CannotTryError
from deploy.faults.course import RATE_HZ, Course
from deploy.faults.outcome import Outcome
from deploy.faults.running import COMMAND, PATIENCE_S, Running, StuckError
from deploy.faults.wall_clock import WallClock
from deploy.log.reader import LogReader

_BACKLOG = 6  # ticks at most with cameras unwell after a stall
_AFTER = 4  # ticks that must come after whatever has happened
_LOST_S = 1.0  # of a recording, by SIGKILL
_CUT_EVERY, _SHARES = 4096, 25  # a cut at every 4 KB, a 25th of them with each seed
_DISK_MIB = 160
_LEVEL = "octoview_{}_level"
_OK, _ERROR = 0, 2


@dataclass(frozen=True)
class ProcessFault:
    """`called`: what must be said of it, for people."""

    what: str
    called: str
    strike: Callable[[Attempt], None]


def _harmless(change: Callable[[Attempt, Running], None]) -> Callable[[Attempt], None]:
    """Something happens around the process that must not matter to it."""

    def strike(attempt: Attempt) -> None:
        with attempt.start() as run:
            run.ticks(attempt.some_ticks())
            change(attempt, run)
            run.ticks(_AFTER)
            run.end()
        attempt.judge_whole(run)

    return strike


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
        run.ticks(_BACKLOG + _AFTER)
        run.end()
    attempt.judge_whole(run, unwell=_BACKLOG)


def _edited(name: str) -> Callable[[Attempt, Running], None]:
    """A file of the run is written again with other numbers, emptied, cut, replaced or removed."""

    def change(attempt: Attempt, run: Running) -> None:
        file = run.folder / name
        whole = file.read_bytes()
        way = int(attempt.random.integers(5))
        if way == 0:
            file.write_bytes(whole.translate(bytes.maketrans(b"1", b"2")))
        elif way == 1:
            file.write_bytes(b"")
        elif way == 2:
            os.truncate(file, len(whole) // 2)
        elif way == 3:
            other = file.with_suffix(".new")
            other.write_bytes(whole[: len(whole) // 3] + attempt.random.bytes(100))
            other.replace(file)
        else:
            file.unlink()

    return change


def _clock_set(seconds: int) -> Callable[[Attempt], None]:
    def strike(attempt: Attempt) -> None:
        try:
            clock = WallClock(attempt.folder)
        except FileNotFoundError as error:
            raise CannotTryError(str(error)) from error
        with attempt.start(environment=clock.environment) as run:
            run.ticks(attempt.some_ticks())
            clock.step(seconds)
            run.ticks(_AFTER)
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


def _disk_full(attempt: Attempt) -> None:
    with _small_disk(attempt.folder / "drive") as disk, attempt.start() as run:
        run.ticks(attempt.some_ticks())
        ballast = disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(2**20)):
                pass
        recording = _LEVEL.format("recording")
        run.until(lambda now: now.get(recording) == _ERROR, "the recording is called paused")
        run.ticks(attempt.some_ticks())
        ballast.unlink()
        run.until(lambda now: now.get(recording) == _OK, "it records again")
        run.ticks(_AFTER)
        run.end()
        attempt.judge_whole(run)
        if len(list(disk.glob("*.mcap"))) != 2:
            attempt.problems.append("no new recording after the pause")


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except FileNotFoundError as error:
        raise CannotTryError("no mount here") from error
    if done.returncode:
        raise CannotTryError("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _hung(attempt: Attempt) -> None:
    call = int(attempt.random.integers(4, 20))
    with attempt.start(("deploy.faults.hanging", str(call))) as run:
        engine = _LEVEL.format("engine")
        run.until(lambda now: now.get(engine) == _ERROR, "the engine is called hung")
        run.sign("STATUS=loop or engine hangs")
        run.ticks(_AFTER)
        run.end()
    told = attempt.judge_whole(run, code=1).engine_failed
    if told != sorted(told) or not told[-1] or "the engine hangs" not in run.errors:
        attempt.problems.append("not said in every tick and at the end that the engine hangs")


def _model_damaged(attempt: Attempt) -> None:
    """A byte of the network's file is another one: no run begins."""
    file = attempt.course.lay_out(attempt.folder)
    model = attempt.folder / "model.onnx"
    content = bytearray(model.read_bytes())
    place = int(attempt.random.integers(len(content)))
    content[place] ^= 1 << int(attempt.random.integers(8))
    model.write_bytes(content)
    _refused(attempt, ["run", str(file), "--model", str(model)], f"byte {place} of the model")


def _refused(attempt: Attempt, words: list[str], what: str) -> None:
    """Hold the command to a refusal: one line that names the file, and exit code 2."""
    done = _command(words)
    if done.returncode != 2 or done.stderr.count("\n") != 1 or words[-1] not in done.stderr:
        attempt.problems.append(f"{what}: {done.returncode}, {done.stderr[-300:]}")


def _command(words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *COMMAND, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


def _log_cut(attempt: Attempt) -> None:
    """A recording that ends anywhere: what was written before the cut is read, and replays."""
    whole = attempt.course.recording
    messages, content = _digests(whole), whole.read_bytes()
    chunks = _chunks(whole)
    cut = attempt.folder / "cut.mcap"
    first = int(attempt.random.integers(_CUT_EVERY * _SHARES))
    for size in range(first, len(content), _CUT_EVERY * _SHARES):
        cut.write_bytes(content[:size])
        written = sum(count for end, count in chunks if end <= size)
        try:
            found = _digests(cut)
        except LogError:
            found = []
        if len(found) < written or found != messages[: len(found)]:
            attempt.problems.append(f"cut at {size}: {len(found)} of {written} messages")
    cut.write_bytes(content[: int(attempt.random.integers(len(content)))])
    out = attempt.folder / "out"
    words = ["--model", str(attempt.course.model), "--no-mosaic", "--out", str(out)]
    done = _command(["replay", *words, str(cut)])
    if done.returncode == 0:
        attempt.problems += attempt.course.read(out / "perception.mcap").problems
    elif cut.stat().st_size >= chunks[0][0]:
        attempt.problems.append(f"replay of {cut.stat().st_size} bytes: {done.stderr[-300:]}")
    else:
        _refused(attempt, ["replay", *words, str(cut)], f"log of {cut.stat().st_size} bytes")


def _digests(log: Path) -> list[tuple[str, int, int]]:
    """What tells the messages of a log apart, in order of time."""
    return [(m.topic, m.stamp_ns, zlib.crc32(m.data)) for m in LogReader(log).messages()]


def _chunks(log: Path) -> list[tuple[int, int]]:
    """Where each chunk of a log ends and how many messages are in it, as mcap's own reader says."""
    found = []
    with log.open("rb") as stream:
        for record in StreamReader(stream, emit_chunks=True).records:
            if isinstance(record, Chunk):
                inside = sum(isinstance(r, Message) for r in breakup_chunk(record))
                found.append((stream.tell(), inside))
    return found


PROCESS_FAULTS: dict[str, ProcessFault] = {
    "sigterm": ProcessFault("SIGTERM", "ends, log whole", _terminated),
    "sigkill": ProcessFault("SIGKILL", "a second lost at most", _killed),
    "stalled": ProcessFault("process stopped for up to 2 s", "late, disconnected", _stalled),
    "disk-full": ProcessFault("disk full, then room again", "recording paused", _disk_full),
    "log-cut": ProcessFault("log cut at every 4 KB", "read up to there", _log_cut),
    "clock-ahead": ProcessFault("wall clock set an hour ahead", "ok", _clock_set(3600)),
    "clock-back": ProcessFault("wall clock set an hour back", "ok", _clock_set(-3600)),
    "engine-hung": ProcessFault("engine hangs for good", "no result, watchdog", _hung),
    "model-damaged": ProcessFault("network's file damaged", "refused", _model_damaged),
    "model-edited": ProcessFault("it changes in a run", "ok", _harmless(_edited("model.onnx"))),
    "config-edited": ProcessFault("run's file changes in it", "ok", _harmless(_edited("run.yaml"))),
    "rig-edited": ProcessFault("rig's file changes in it", "ok", _harmless(_edited("rig.yaml"))),
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
    return Outcome(attempt.problems)
