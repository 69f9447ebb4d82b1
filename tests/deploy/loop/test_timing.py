"""The stage timer: every tick counts, whatever stages it had."""

import time

import pytest

from deploy.loop.histogram import RELATIVE_ERROR
from deploy.loop.timing import STAGES, StageTimer


def test_stages_of_every_tick_and_their_sum() -> None:
    timer, ticks = StageTimer(), []
    for index in range(3):
        with timer.stage("engine"):
            time.sleep(0.001)
        with timer.stage("engine"):  # adds up
            time.sleep(0.001)
        if index == 1:
            with timer.stage("decode_image"):
                time.sleep(0.001)
        ticks.append(timer.current)
        timer.end_tick()
    summary = timer.summary()
    assert timer.ticks == 3 and list(summary) == ["decode_image", "engine", "tick"]
    engine = sorted(1e3 * tick["engine"] for tick in ticks)
    assert engine[0] >= 2
    assert summary["engine"]["p50"] == pytest.approx(engine[1], rel=RELATIVE_ERROR, abs=1e-3)
    assert summary["engine"]["max"] == pytest.approx(engine[2], abs=1e-3)
    # Two ticks of three had no such stage: it took them no time.
    assert summary["decode_image"]["p50"] == 0 < summary["decode_image"]["p99"]
    total = sum(sum(tick.values()) for tick in ticks)
    assert timer.busy_seconds == pytest.approx(total)
    assert summary["tick"]["mean"] == pytest.approx(1e3 * total / 3, abs=1e-3)


def test_a_tick_in_progress_is_not_counted() -> None:
    timer = StageTimer()
    with timer.stage("fuse"):
        pass
    assert list(timer.current) == ["fuse"] and timer.summary() == {} and timer.ticks == 0
    timer.end_tick()
    assert timer.current == {} and list(timer.summary()) == ["fuse", "tick"]
    assert "fuse" in STAGES
