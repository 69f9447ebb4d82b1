"""Clocks: lockstep runs every frame set, real time drops those that it can't make; the steady one
stamps what is live."""

import time
from collections.abc import Iterable, Iterator

from deploy.loop.controls import Controls
from deploy.loop.frames import EncodedSet

LONGEST_WAIT_S = 60.0


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

    A set whose successor is already due when the loop gets to it is dropped and counted. Gaps of
    the log, or of a clock that was set, are waited for LONGEST_WAIT_S at most.
    `controls` let a person pause it.
    """

    name = "real"

    def __init__(self, rate: float = 1.0, controls: Controls | None = None) -> None:
        self.rate = rate
        self.dropped = 0
        self._controls = controls
        self._first_stamp, self._start = 0, 0.0

    @property
    def description(self) -> dict[str, float | str]:
        """For the report; `dropped` counts frame sets so far."""
        return {"name": self.name, "rate": self.rate, "dropped": self.dropped}

    def pace(self, sets: Iterable[EncodedSet]) -> Iterator[EncodedSet]:
        """The sets that the loop can make, each not before its time."""
        waiting: EncodedSet | None = None
        for following in sets:
            if waiting is None:
                self._first_stamp, self._start = following.stamp_ns, time.monotonic()
            elif time.monotonic() >= self._due(following):
                self.dropped += 1
            else:
                yield from self._when_due(waiting)
                gap_s = self._due(following) - self._due(waiting)
                self._start -= max(0.0, gap_s - LONGEST_WAIT_S)
            waiting = following
        if waiting is not None:
            yield from self._when_due(waiting)

    def _due(self, encoded: EncodedSet) -> float:
        return self._start + (encoded.stamp_ns - self._first_stamp) / (1e9 * self.rate)

    def _when_due(self, encoded: EncodedSet) -> Iterator[EncodedSet]:
        if self._controls:
            self._start += self._controls.wait_until(self._due(encoded))
        else:
            time.sleep(max(0.0, self._due(encoded) - time.monotonic()))
        yield encoded


class SteadyClock:
    """Nanoseconds since 1970 as the machine's clock said once, at the start; from then on the
    monotonic clock counts, so that no setting of the machine's clock moves a stamp."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        return time.monotonic_ns() + self._offset_ns
