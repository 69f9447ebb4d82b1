"""Faults of files and disks: what a run reads and writes is changed, cut, or has no room."""

import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcap.records import Chunk, Message
from mcap.stream_reader import StreamReader, breakup_chunk

from deploy.errors import LogError
from deploy.faults.attempt import AFTER, Attempt, CannotTryError, Strike
from deploy.faults.running import COMMAND, ERROR, LEVEL, OK, PATIENCE_S
from deploy.log.reader import LogReader
from export import checksum

_CUT_EVERY, _SHARES = 4096, 25  # a cut at every 4 KB, a 25th of them with each seed
_DISK_MIB = 160


def edited(name: str) -> Strike:
    """While it runs a file is written with other numbers, emptied, cut, replaced or removed: what
    a run is made of is read once."""

    def strike(attempt: Attempt) -> None:
        with attempt.start() as run:
            run.ticks(attempt.some_ticks())
            _edit(run.folder / name, attempt)
            run.ticks(AFTER)
            run.end()
        attempt.judge_whole(run)

    return strike


def _edit(file: Path, attempt: Attempt) -> None:
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


def model_damaged(attempt: Attempt) -> None:
    """A bit of a sealed network's file is another one: no run begins."""
    file = attempt.course.lay_out(attempt.folder)
    model = attempt.folder / "model.onnx"
    content = bytearray(model.read_bytes())
    if not checksum.is_sealed(content):
        raise CannotTryError("the network has no checksum")
    place = int(attempt.random.integers(len(content) - checksum.SIZE))
    content[place] ^= 1 << int(attempt.random.integers(8))
    model.write_bytes(content)
    done = _command("run", file, "--model", model)
    if not _is_refusal(done, model):
        attempt.problems.append(f"byte {place}: {done.returncode}, {done.stderr[-300:]}")


def _command(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


def _is_refusal(done: subprocess.CompletedProcess[str], file: Path) -> bool:
    """One line that names the file, and exit code 2."""
    return done.returncode == 2 and done.stderr.count("\n") == 1 and str(file) in done.stderr


def log_cut(attempt: Attempt) -> None:
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
    model = attempt.course.model
    done = _command("replay", cut, "--model", model, "--no-mosaic", "--out", out)
    size = cut.stat().st_size
    if done.returncode == 0:
        attempt.problems += attempt.course.read(out / "perception.mcap").problems
    elif size >= chunks[0][0] or not _is_refusal(done, cut):
        attempt.problems.append(f"replay of {size} bytes: {done.stderr[-300:]}")


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


def disk_full(attempt: Attempt) -> None:
    with _small_disk(attempt.folder / "drive") as disk, attempt.start() as run:
        run.ticks(attempt.some_ticks())
        ballast = disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(2**20)):
                pass
        recording = LEVEL.format("recording")
        run.until(lambda now: now.get(recording) == ERROR, "the recording is called paused")
        run.ticks(attempt.some_ticks())
        ballast.unlink()
        run.until(lambda now: now.get(recording) == OK, "it records again")
        run.ticks(AFTER)
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
