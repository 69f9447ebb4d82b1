"""Sink: where results go, one call per tick."""

from types import TracebackType
from typing import Protocol

from deploy.loop.pipeline import TickResult


class Sink(Protocol):
    """Context manager that receives every tick in order; leaving it without an exception
    completes its files."""

    def __enter__(self) -> "Sink": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def write(self, result: TickResult) -> None:
        """Take one tick."""
        ...
