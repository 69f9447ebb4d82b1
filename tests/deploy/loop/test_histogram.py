"""Percentiles of a histogram against those of all durations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.loop.histogram import RELATIVE_ERROR, Histogram


def filled(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    return histogram


@given(st.lists(st.floats(2e-6, 9e3), min_size=1, max_size=60), st.floats(0, 100))
def test_a_percentile_is_near_one_of_the_durations(durations: list[float], percent: float) -> None:
    truth = np.percentile(durations, percent, method="inverted_cdf")
    found = filled(durations).percentile(percent)
    assert found == pytest.approx(truth, rel=RELATIVE_ERROR * 1.001)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_count_sum_and_largest_are_exact(durations: list[float]) -> None:
    histogram = filled(durations)
    assert histogram.count == len(durations) and histogram.largest == max(durations)
    assert histogram.sum == pytest.approx(math.fsum(durations))


def test_it_does_not_grow() -> None:
    histogram = Histogram()
    before = histogram._buckets.nbytes
    for seconds in np.random.default_rng(0).lognormal(-4, 3, 2000):
        histogram.add(float(seconds))
    assert histogram._buckets.nbytes == before < 32_000


def test_nothing_and_next_to_nothing() -> None:
    assert Histogram().percentile(50) == 0.0
    assert filled([0.0, 0.0, 1.0]).percentile(50) == 0.0
    many = Histogram()
    many.add(0.25, times=99)
    many.add(4.0)
    assert many.count == 100 and many.sum == 28.75
    assert many.percentile(99) == pytest.approx(0.25, rel=RELATIVE_ERROR)
    assert many.percentile(100) == 4.0
