"""A device's time on our clock: delays and jitter of the way do not move the stamps."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from deploy.sources.capture_clock import MAX_DRIFT, CaptureClock

PERIOD = 27_777_778


@given(
    st.lists(st.integers(0, 60_000_000), min_size=20, max_size=60),
    st.floats(-300e-6, 300e-6),
    st.integers(-(10**15), 10**15),
)
def test_stamps_follow_the_device_and_not_the_way(delays, drift, offset):
    least = 2_000_000
    capture, errors = CaptureClock(), []
    for tick, delay in enumerate([0, *delays]):
        captured = 10**15 + tick * PERIOD
        device = offset + round(tick * PERIOD * (1 - drift))
        errors.append(capture.stamp(device, captured + least + delay) - captured)
    # Late by the least delay, give or take what a clock may drift in the time.
    allowed = 2 * MAX_DRIFT * len(errors) * PERIOD + 10
    assert all(abs(error - least) <= allowed for error in errors)


def test_a_clock_of_its_own_would_have_jittered():
    """Negative control: receive times alone carry the whole jitter."""
    delays = [0, 40_000_000, 5_000_000, 30_000_000]
    capture = CaptureClock()
    stamps = [capture.stamp(t * PERIOD, t * PERIOD + d) for t, d in enumerate(delays)]
    steps = [b - a for a, b in itertools.pairwise(stamps)]
    assert all(abs(step - PERIOD) < 100_000 for step in steps)
    received = [t * PERIOD + d for t, d in enumerate(delays)]
    assert received[2] < received[1]
