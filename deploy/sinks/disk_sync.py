"""Disk sync: what the system was given goes to the disk, however long that takes."""

import os
import queue
import threading


class DiskSync:
    """A thread that syncs files one after the other, so that a disk that needs seconds for it, or
    hangs, keeps nobody who only writes."""

    def __init__(self) -> None:
        self._files: queue.Queue[int | None] = queue.Queue(1)
        self._error: OSError | None = None
        # A daemon, for a disk that hangs for good must not keep the process.
        self._thread = threading.Thread(target=self._run, name="disk sync", daemon=True)
        self._thread.start()

    def begin(self, descriptor: int) -> None:
        """Sync the open file in a while; it may be closed meanwhile. If one still waits for its
        turn, nothing more: it is this one, or there is a next time.

        Raises OSError, the one that a sync before has met.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        own = os.dup(descriptor)
        try:
            self._files.put_nowait(own)
        except queue.Full:
            os.close(own)

    def end(self, timeout_s: float) -> None:
        """Let it finish, for so long."""
        try:
            self._files.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (descriptor := self._files.get()) is not None:
            try:
                os.fdatasync(descriptor)
            except OSError as error:
                self._error = error
            finally:
                os.close(descriptor)
