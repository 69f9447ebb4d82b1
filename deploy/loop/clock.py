"""Clocks: lockstep runs every frame set, real time drops those that it can't make; the steady one
stamps what is live."""

import time
from collections.abc import Iterable, Iterator

from deploy.loop.frames import EncodedSet


class LockstepClock:
    """As fast as the machine goes, nothing dropped: equal logs give equal results."""

    name = "lockstep"

    @property
    def description(self) -> dict[str, float | str]:
        """For the report."""
        return {"name": self.name, "dropped": 0}

    def pace(self, sets: Iterable[EncodedSet]) -> Iterator[EncodedSet]:
        """Every set, at once."""
        yield from sets


class RealTimeClock:
    """Plays the log at `rate` times its own speed, as a vehicle would deliver it.

    A set whose successor is already due when the loop gets to it is dropped and counted.
    """

    name = "real"

    def __init__(self, rate: float = 1.0) -> None:
        self.rate = rate
        self.dropped = 0

    @property
    def description(self) -> dict[str, float | str]:
        """For the report; `dropped` counts frame sets so far."""
        return {"name": self.name, "rate": self.rate, "dropped": self.dropped}

    def pace(self, sets: Iterable[EncodedSet]) -> Iterator[EncodedSet]:
        """The sets that the loop can make, each not before its time."""
        waiting: EncodedSet | None = None
        first_stamp, start = 0, 0.0
        for following in sets:
            if waiting is None:
                first_stamp, start = following.stamp_ns, time.monotonic()
            elif time.monotonic() >= start + (following.stamp_ns - first_stamp) / (1e9 * self.rate):
                self.dropped += 1
            else:
                yield from self._when_due(waiting, first_stamp, start)
            waiting = following
        if waiting is not None:
            yield from self._when_due(waiting, first_stamp, start)

    def _when_due(
        self, encoded: EncodedSet, first_stamp: int, start: float
    ) -> Iterator[EncodedSet]:
        due = start + (encoded.stamp_ns - first_stamp) / (1e9 * self.rate)
        time.sleep(max(0.0, due - time.monotonic()))
        yield encoded


class SteadyClock:
    """Nanoseconds since 1970 as the machine's clock said once, at the start; from then on the
    monotonic clock counts, so that no setting of the machine's clock moves a stamp."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        return time.monotonic_ns() + self._offset_ns
