"""The watch over the mountings: a turned camera is named after a while, a true one never."""

import time
from dataclasses import replace

import pytest

from calib.camera import Camera
from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Rig
from deploy.health.mounting import MountingWatch
from deploy.loop.ego_map import EgoMap
from deploy.loop.frames import Frame, FrameSet
from deploy.loop.pipeline import TickResult
from tests.calib.driving.film import Film
from tests.calib.driving.scenes import mounted
from tests.calib.driving.test_monitor import station

LENS = Lens("pinhole", 480, 360, 330, 330, 241, 178, (-0.1, 0.02, 0, 0))
TRUE = Camera("true", LENS, ego_from_camera([1.5, 0, 1.4], 0.1, -0.1, 0), 10, "small")
TURNED = replace(mounted(TRUE, (0, 0, 2.0)), name="turned")
FRAMES = 30


@pytest.fixture(scope="module")
def ticks() -> list[TickResult]:
    """Both cameras of the rig see the same film, whose camera stands as `TRUE` says."""
    film = Film(TRUE)
    results = []
    for number in range(FRAMES):
        image, stamp_ns = film.frame(station(number)), number * 500_000_000
        frames = {n: Frame(n, "ok", stamp_ns, image) for n in ("true", "turned")}
        ego = EgoMap.__new__(EgoMap)  # the watch does not look at the map
        results.append(TickResult(FrameSet(number, stamp_ns, frames), {}, ego, frozenset()))
    return results


def watched(ticks: list[TickResult], patience: int) -> dict[str, str]:
    """What is told in the end; the last tick comes again until `patience` judgements are done."""
    watch = MountingWatch(Rig("pair", (TRUE, TURNED)), every_s=0.0, pair_every_s=0.0)
    told: dict[str, str] = {}
    for result in ticks[:-1]:
        watch._last_s = result.frames.stamp_ns / 1e9 + 1  # no judgement while it learns
        told = dict(watch(result))
    watch._last_s = 0.0
    for _ in range(patience):
        told = dict(watch(ticks[-1]))
        while watch._judging and not watch._judging[1].done():
            time.sleep(0.01)
    return told


def test_a_turned_camera_is_named_when_judged_so_twice(ticks: list[TickResult]) -> None:
    assert watched(ticks, 3) == {}  # each was judged once
    told = watched(ticks, 6)
    assert set(told) == {"turned"} and "yaw by" in told["turned"]


def test_a_car_that_stands_tells_nothing(ticks: list[TickResult]) -> None:
    standing = [
        replace(ticks[0], frames=replace(ticks[0].frames, index=n, stamp_ns=n * 500_000_000))
        for n in range(FRAMES)
    ]
    assert watched(standing, 6) == {}
