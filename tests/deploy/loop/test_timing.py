"""The stage timer: a row a tick, whatever stages the tick had."""

import time

import numpy as np
import pytest

from deploy.loop.timing import STAGES, StageTimer


def test_stages_of_every_tick_and_their_sum() -> None:
    timer = StageTimer()
    for index in range(3):
        with timer.stage("engine"):
            time.sleep(0.001)
        with timer.stage("engine"):  # adds up
            time.sleep(0.001)
        if index == 1:
            with timer.stage("decode_image"):
                time.sleep(0.001)
        timer.end_tick()
    seconds = timer.seconds
    assert timer.ticks == 3 and list(seconds) == ["decode_image", "engine", "tick"]
    assert (seconds["engine"] >= 0.002).all()
    assert (seconds["decode_image"] > 0).tolist() == [False, True, False]
    np.testing.assert_allclose(seconds["tick"], seconds["engine"] + seconds["decode_image"])
    assert timer.summary()["engine"]["p50"] == pytest.approx(
        1e3 * np.median(seconds["engine"]), abs=1e-3
    )


def test_a_tick_in_progress_is_not_counted() -> None:
    timer = StageTimer()
    with timer.stage("fuse"):
        pass
    assert list(timer.current) == ["fuse"] and timer.seconds == {} == timer.summary()
    timer.end_tick()
    assert timer.current == {} and list(timer.seconds) == ["fuse", "tick"]
    assert "fuse" in STAGES
