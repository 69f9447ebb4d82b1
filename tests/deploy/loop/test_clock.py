"""Lockstep drops nothing; real time drops what it can't make, and says so."""

import pytest

from deploy.loop import clock as clock_module
from deploy.loop.clock import LockstepClock, RealTimeClock
from deploy.loop.frames import EncodedSet

PERIOD_NS = 100_000_000


class FakeTime:
    """Time that passes only by sleeping or by `spend`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds

    spend = sleep


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(clock_module, "time", fake)
    return fake


def sets(n: int) -> list[EncodedSet]:
    return [EncodedSet(i, 7 * PERIOD_NS + i * PERIOD_NS, {}, frozenset()) for i in range(n)]


def run(clock: LockstepClock | RealTimeClock, time: FakeTime, cost: float, n: int = 20):
    started = []
    for encoded in clock.pace(sets(n)):
        started.append((encoded.index, round(time.now - 1000.0, 6)))
        time.spend(cost)
    return started


def test_lockstep_drops_nothing(fake_time: FakeTime):
    assert [index for index, _ in run(LockstepClock(), fake_time, 9.0)] == list(range(20))


def test_a_fast_loop_keeps_the_pace_of_the_log(fake_time: FakeTime):
    clock = RealTimeClock()
    assert run(clock, fake_time, 0.03) == [(i, round(i * 0.1, 6)) for i in range(20)]
    assert clock.description == {"name": "real", "rate": 1.0, "dropped": 0}


def test_rate_makes_it_faster(fake_time: FakeTime):
    started = run(RealTimeClock(rate=2.0), fake_time, 0.03)
    assert started == [(i, round(i * 0.05, 6)) for i in range(20)]


def test_a_slow_loop_drops_sets_and_works_on_fresh_ones(fake_time: FakeTime):
    clock = RealTimeClock()
    started = run(clock, fake_time, 0.25)
    assert len(started) + clock.description["dropped"] == 20
    assert 7 <= len(started) <= 10
    assert started[-1][0] == 19
    for index, when in started[:-1]:
        assert 0 <= when - index * 0.1 < 0.1 + 1e-6  # never older than one period


def test_one_slow_tick_costs_what_it_took(fake_time: FakeTime):
    clock = RealTimeClock()
    seen = []
    for encoded in clock.pace(sets(10)):
        seen.append(encoded.index)
        fake_time.spend(0.35 if encoded.index == 3 else 0.01)
    assert seen == [0, 1, 2, 3, 6, 7, 8, 9]
    assert clock.description["dropped"] == 2


def test_a_gap_of_a_century_is_not_waited_for(fake_time: FakeTime):
    far = [
        EncodedSet(i, 10**9 + i * PERIOD_NS + (i > 1) * 2**61, {}, frozenset()) for i in range(4)
    ]
    started = []
    for encoded in RealTimeClock().pace(far):
        started.append((encoded.index, round(fake_time.now - 1000.0, 3)))
        fake_time.spend(0.03)
    assert started == [(0, 0.0), (1, 0.1), (2, 60.1), (3, 60.2)]
