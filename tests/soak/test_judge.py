"""The judge of the soak finds what grows, and nothing in a run that is flat."""

import numpy as np
import pytest

from tests.soak.judge import Sample, judge

TICKS, ROUND = 10_000, 1_000


def run(leak_mb=0.0, descriptors=0, threads=0, slower=0.0):
    """A run in which so much more is used at the end than at the beginning."""
    random = np.random.default_rng(7)
    share = np.linspace(0, 1, 200)
    samples = [
        Sample(
            100 * s,
            int(TICKS * s),
            300 + leak_mb * s + random.normal(0, 2),
            9 + round(descriptors * s),
            20 + round(threads * s),
        )
        for s in share
    ]
    ticks = random.gamma(9, 0.002, (TICKS, 1)) * (1 + slower * np.linspace(0, 1, TICKS)[:, None])
    return samples, np.repeat(ticks, 2, axis=1)


def test_a_flat_run_passes():
    figures = judge(*run(), ROUND)
    assert figures["problems"] == []
    assert abs(figures["slope_kb_per_tick"]) < 0.1
    assert figures["scatter_mb"] == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize(
    ("growing", "problem"),
    [
        ({"leak_mb": 10}, "memory grew by more than 5 MB"),
        ({"leak_mb": 300}, "more than 500 MB"),
        ({"descriptors": 1}, "more descriptors at the end"),
        ({"threads": 1}, "more threads at the end"),
        ({"slower": 0.3}, "slower ticks at the end"),
    ],
)
def test_whatever_grows_is_found(growing, problem):
    assert problem in judge(*run(**growing), ROUND)["problems"]


def test_a_run_of_a_moment_is_not_called_flat():
    assert judge([], np.zeros((0, 2)), ROUND)["problems"] == ["too short to judge"]
