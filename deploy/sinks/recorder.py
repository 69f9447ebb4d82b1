"""Recorder: ticks to logs in a folder, on a thread of its own, whatever the disk does."""

import contextlib
import queue
import re
import shutil
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from calib.rig import Rig
from deploy.device.durable import sync
from deploy.errors import DeployError, LogError
from deploy.health.system import Recording
from deploy.loop.frames import FrameSet
from deploy.loop.pipeline import TickResult
from deploy.sinks.disk_sync import DiskSync
from deploy.sinks.mcap_sink import McapSink

# Number first: it grows whatever the clock says, and a vehicle's computer may start in 1970.
_NAME = re.compile(r"^(\d{6,})-\d{8}T\d{6}Z\.mcap$")
_QUEUE_TICKS = 8
_FLUSH_S = 0.25
_GOODBYE_S = 10.0
_MIB, _GIB = 2**20, 2**30


@dataclass(frozen=True)
class Limits:
    """A log is closed after `file_mib` or `file_minutes` and the next one begun. Of our logs in
    the folder at most `keep_gib` stay, the oldest go first; None deletes nothing. After a full
    disk, `room_mib` must be free before it is tried again."""

    file_mib: float = 1024.0
    file_minutes: float = 10.0
    keep_gib: float | None = None
    room_mib: float = 64.0


class Recorder:
    """Context manager. `write` never blocks and never raises: what the thread can't take is
    dropped and counted. A second after it was written everything is in the file, and on its way
    to the disk.

    Raises DeployError when the folder can't be made.
    """

    def __init__(self, folder: Path, rig: Rig, limits: Limits | None = None) -> None:
        self._folder, self._rig, self._limits = folder, rig, limits or Limits()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DeployError(f"{folder}: can't be made ({error.strerror})") from error
        self._ticks: queue.Queue[TickResult | None] = queue.Queue(_QUEUE_TICKS)
        # A daemon, for a disk that hangs for good must not keep the process.
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._sync = DiskSync()
        self._sink: McapSink | None = None
        self._started_s = self._flushed_s = 0.0
        self._file_bytes = self._past_bytes = 0
        self._paused = ""
        self._refused = 0  # by the loop's thread; the others are counted by ours
        self._dropped = 0
        self._unsafe = 0  # ticks since the last flush, which a pause loses

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(queue.Full):
            self._ticks.put(None, timeout=_GOODBYE_S)
        self._thread.join(_GOODBYE_S)
        self._sync.end(_GOODBYE_S)

    def write(self, result: TickResult) -> None:
        """Take one tick."""
        try:
            self._ticks.put_nowait(_without_pixels(result))
        except queue.Full:
            self._refused += 1

    @property
    def state(self) -> Recording:
        """For the health of the whole."""
        written = (self._past_bytes + self._file_bytes) / _MIB
        lost = self._refused + self._dropped
        return Recording(True, self._paused, lost, round(written, 3))

    def _run(self) -> None:
        while True:
            with contextlib.suppress(queue.Empty):
                result = self._ticks.get(timeout=_FLUSH_S / 2)
                if result is None:
                    break
                self._guarded(result)
            if time.monotonic() - self._flushed_s >= _FLUSH_S:
                self._guarded(None)
        self._close()

    def _guarded(self, result: TickResult | None) -> None:
        """Write a tick, or flush; an error pauses the recording."""
        self._unsafe += result is not None
        try:
            if result is not None and not self._open(result):
                self._lose()
            elif self._sink is not None:
                self._append(self._sink, result)
        except (DeployError, OSError, ValueError, OverflowError) as error:
            self._pause(error)

    def _append(self, sink: McapSink, result: TickResult | None) -> None:
        if result is not None:
            sink.write(result)
        if time.monotonic() - self._flushed_s < _FLUSH_S:
            return
        self._flush(sink)
        minutes = (self._flushed_s - self._started_s) / 60
        limits = self._limits
        if self._file_bytes >= limits.file_mib * _MIB or minutes >= limits.file_minutes:
            self._close()

    def _flush(self, sink: McapSink) -> None:
        self._flushed_s = time.monotonic()
        self._file_bytes = sink.flush()
        self._unsafe = 0
        try:
            self._sync.begin(sink.fileno())
        except OSError as error:
            raise LogError(
                f"{self._folder}: its disk fails ({error.strerror}); check it"
            ) from error

    def _lose(self) -> None:
        self._dropped += self._unsafe
        self._unsafe = 0

    def _open(self, result: TickResult) -> bool:
        """Whether a log is open now."""
        if self._sink is not None:
            return True
        if self._paused and time.monotonic() - self._flushed_s < _FLUSH_S:
            return False
        self._flushed_s = self._started_s = time.monotonic()
        full = bool(self._paused) and not self._has_room()
        self._delete_oldest(full)
        if full and not self._has_room():
            return False
        taken = datetime.fromtimestamp(result.frames.stamp_ns / 1e9, timezone.utc)
        number = max((_number(path) for path in self._logs()), default=0) + 1
        sink = McapSink(
            self._folder / f"{number:06d}-{taken:%Y%m%dT%H%M%SZ}.mcap", self._rig, in_place=True
        )
        sink.__enter__()
        sync(self._folder)  # a file that is synced needs its name, too
        self._sink, self._paused = sink, ""
        return True

    def _close(self) -> None:
        """End the log well."""
        if self._sink is None:
            return
        try:
            self._flush(self._sink)
            self._sink.__exit__(None, None, None)
        except LogError as error:
            self._pause(error)
            return
        self._sink = None
        self._past_bytes += self._file_bytes
        self._file_bytes = 0

    def _pause(self, error: Exception) -> None:
        """Give the log up as it was at its last flush."""
        sink, self._sink = self._sink, None
        self._paused = str(error)
        self._flushed_s = time.monotonic()
        self._lose()
        if sink is not None:
            with contextlib.suppress(DeployError, OSError):
                sink.__exit__(type(error), error, None)
            self._past_bytes += self._file_bytes
            self._file_bytes = 0

    def _logs(self) -> list[Path]:
        """Our logs in the folder, oldest first."""
        found = (path for path in self._folder.iterdir() if _NAME.match(path.name))
        return sorted(found, key=_number)

    def _has_room(self) -> bool:
        return shutil.disk_usage(self._folder).free >= self._limits.room_mib * _MIB

    def _delete_oldest(self, full: bool) -> None:
        """Keep to the limit; on a full disk one log goes at a time, until there is room."""
        if self._limits.keep_gib is None:
            return
        logs = self._logs()
        sizes = [path.stat().st_size for path in logs]
        # Room for the log that is about to begin.
        allowed = max(0.0, self._limits.keep_gib * _GIB - self._limits.file_mib * _MIB)
        for path, size in zip(logs, list(sizes), strict=True):
            if sum(sizes) <= allowed and not full:
                return
            path.unlink()
            sizes.remove(size)
            if full:
                return


def _number(path: Path) -> int:
    named = _NAME.match(path.name)
    return int(named.group(1)) if named else 0


def _without_pixels(result: TickResult) -> TickResult:
    """The decoded images, 30 MB a tick, are not recorded; holding them would be the memory."""
    frames = {name: replace(f, image=None) for name, f in result.frames.frames.items()}
    return replace(result, frames=FrameSet(result.frames.index, result.frames.stamp_ns, frames))
