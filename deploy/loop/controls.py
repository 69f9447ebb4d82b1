"""Pause, step and seek while a log is played at its own pace."""

import time
from collections.abc import Callable

SEEK_S = 5.0
SPACE, STEP, BACK, FORWARD, END = " ", "s", "left", "right", "q"
HELP = f"space: pause, s: one tick, left and right: {SEEK_S:g} s, q: end"


class Controls:
    """What the person at the keys wants.

    `read_key(seconds)` waits that long for a key and gives its name, or "" if none was pressed.
    """

    def __init__(self, read_key: Callable[[float], str]) -> None:
        self._read_key = read_key
        self._seek_s = 0.0
        self.paused = False
        self.ended = False

    def take_seek(self) -> float:
        """Seconds to jump by, backward if below 0, since the last call."""
        seconds, self._seek_s = self._seek_s, 0.0
        return seconds

    def wait_until(self, due: float) -> float:
        """Wait until the monotonic clock says `due`, minding the keys: while paused until it goes
        on, for a step or a jump, or to the end. Returns the seconds that it was paused."""
        held = 0.0
        while not self.ended:
            now = time.monotonic()
            if self.paused:
                key = self._read_key(1.0)
                held += time.monotonic() - now
                if key == STEP:
                    break
            else:
                key = self._read_key(max(0.0, due + held - now))
                if not key and time.monotonic() >= due + held:
                    break
                if key == STEP:
                    self.paused = True
            if key == SPACE:
                self.paused = not self.paused
            elif key in (BACK, FORWARD):
                self._seek_s += SEEK_S if key == FORWARD else -SEEK_S
                break
            elif key == END:
                self.ended = True
        return held
