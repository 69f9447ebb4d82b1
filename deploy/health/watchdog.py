"""Watchdog: systemd is told that the loop lives, and nothing when it does not (sd_notify(3))."""

import os
import socket
import threading
import time
from collections.abc import Callable

# Of the time that systemd allows between two signs of life.
_SIGN_EVERY, _ALIVE_WITHIN = 0.25, 0.5
_DEFAULT_ALLOWED_S = 20.0


class Watchdog:
    """Context manager. The loop calls `beat()` in every tick; a thread passes it on while the last
    beat is fresh and `healthy()`. Without systemd (no NOTIFY_SOCKET) nothing is sent."""

    def __init__(self, healthy: Callable[[], bool] = lambda: True) -> None:
        self._healthy = healthy
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        self._allowed_s = int(microseconds) / 1e6 if microseconds.isdigit() else _DEFAULT_ALLOWED_S
        self._beat_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self._notify("READY=1")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._notify("STOPPING=1")

    def beat(self) -> None:
        """A tick is done."""
        self._beat_s = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the loop ticks and its parts are healthy."""
        fresh = time.monotonic() - self._beat_s < _ALIVE_WITHIN * self._allowed_s
        return fresh and self._healthy()

    def _run(self) -> None:
        while not self._stop.wait(_SIGN_EVERY * self._allowed_s):
            self._notify("WATCHDOG=1" if self.alive else "STATUS=loop or engine hangs")

    def _notify(self, state: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the abstract namespace.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), address)
        except OSError:
            pass  # whoever listens may be gone or not keep up; driving, and its end, go on
