"""Single keys from the terminal, without Return and without showing them."""

import os
import select
import sys
import termios
import tty
from types import TracebackType

from deploy.loop.controls import BACK, FORWARD

_ARROWS = {"\x1b[D": BACK, "\x1b[C": FORWARD, "\x1bOD": BACK, "\x1bOC": FORWARD}


class Keys:
    """While the block runs, `read` gives the keys that are pressed. Control-C stays what it is.

    Enter it on a terminal only (`Keys.usable`).
    """

    def __init__(self) -> None:
        self._pressed: list[str] = []

    @staticmethod
    def usable() -> bool:
        """Whether a person sits at both ends."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def __enter__(self) -> "Keys":
        self._terminal = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._terminal)
        tty.setcbreak(self._terminal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def read(self, seconds: float) -> str:
        """The next key, or "" if none is pressed for so long. Arrows have names."""
        if not self._pressed and select.select([self._terminal], [], [], seconds)[0]:
            self._pressed = _split(os.read(self._terminal, 64).decode("utf-8", "ignore"))
        return self._pressed.pop(0) if self._pressed else ""


def _split(text: str) -> list[str]:
    keys = []
    while text:
        if text[:3] in _ARROWS:
            keys.append(_ARROWS[text[:3]])
            text = text[3:]
        else:
            keys.append(text[0])
            text = text[1:]
    return keys
