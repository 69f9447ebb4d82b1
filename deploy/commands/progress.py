"""Progress of a long command: a live bar on a terminal, now and then a line when piped."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LINE_EVERY_S = 10.0


class Ticker:
    """Counts towards `total` units of work on stderr, where it disturbs no output."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(f"{unit}s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
        )
        self._task = self._bar.add_task(title, total=total, note="")
        self._done = 0
        self._next_line = time.monotonic() + _LINE_EVERY_S

    def __enter__(self) -> "Ticker":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:  # elsewhere stopping would print empty lines
            self._bar.stop()

    def advance_to(self, done: int, note: str = "") -> None:
        """Say that `done` units are finished; `note` is shown beside them."""
        self._done = done
        self._bar.update(self._task, completed=done, note=note)
        if not self._console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            of = "" if self._total is None else f"/{self._total}"
            self._console.print(f"{self._title}: {done}{of} {self._unit}s {note}".rstrip())

    def advance(self, note: str = "") -> None:
        """One more unit is finished."""
        self.advance_to(self._done + 1, note)
