"""The judge of the soak finds what grows, and nothing in a run that is flat."""

import numpy as np
import pytest

from tests.soak.judge import Sample, judge

TICKS, PERIOD_S, ROUND_S = 10_000, 0.1, 100.0


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
    stamps = 1e9 + PERIOD_S * np.arange(TICKS)[:, None]
    return samples, np.hstack([stamps, ticks, ticks])


def test_a_flat_run_passes():
    figures = judge(*run(), ROUND_S)
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
    assert problem in judge(*run(**growing), ROUND_S)["problems"]


def test_times_are_compared_where_the_same_faults_strike():
    samples, ticks = run()
    ticks[ticks[:, 0] < 1e9 + ROUND_S, 1] = 1.0
    ticks[ticks[:, 0] > 1e9 + TICKS * PERIOD_S - ROUND_S - 0.01, 1] = 2.0
    wall = judge(samples, np.delete(ticks, slice(500, 550), axis=0), ROUND_S)["wall_ms"]
    assert wall["first_round"] == {"p50": 1000, "p99": 1000}
    assert wall["last_round"] == {"p50": 2000, "p99": 2000}
    assert "wall_ms" not in judge(samples, ticks, TICKS * PERIOD_S)  # a single round


def test_a_run_of_a_moment_is_not_called_flat():
    assert judge([], np.zeros((0, 3)), ROUND_S)["problems"] == ["too short to judge"]
