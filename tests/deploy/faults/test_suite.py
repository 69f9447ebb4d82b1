"""The fault suite on a short drawn drive: the promises hold, and the judge sees a broken one."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from calib.rig import Rig
from deploy.faults.repeat import long_enough
from deploy.faults.suite import Tick, choose, judge, run_suite
from deploy.faults.table import FAULTS
from deploy.importers.dgp import import_dgp
from deploy.log.reader import EncodedImage, LogReader
from deploy.loop.engine import Engine, load_engine

PERIOD = 27_777_778
START = 10**18
NAMES = ("left_pillar", "right_pillar", "rear")
TICKS = 14


@pytest.fixture(scope="module")
def engine(model: Path) -> Engine:
    return load_engine(model)


@pytest.fixture(scope="module")
def trio(rig: Rig) -> Rig:
    return Rig("trio", tuple(rig[name] for name in NAMES))


@pytest.fixture(scope="module")
def images(trio: Rig, log: Path) -> list[EncodedImage]:
    """The four instants of the drawn drive, again and again."""
    return long_enough(LogReader(log), trio, TICKS)


def test_a_short_log_is_repeated_as_a_camera_would_go_on(trio: Rig, images: list[EncodedImage]):
    assert len(images) == 3 * TICKS
    for name in trio.names:
        own = [image for image in images if image.camera == name]
        steps = [b.stamp_ns - a.stamp_ns for a, b in pairwise(own)]
        assert max(steps) - min(steps) <= 1  # a period is no whole number of nanoseconds
        assert [image.sequence for image in own] == list(range(TICKS))
        assert len({image.data for image in own}) == TICKS
        first, again = (cv2.imdecode(np.frombuffer(own[t].data, np.uint8), 1) for t in (1, 5))
        assert np.array_equal(first, again)


def test_the_promises_are_kept_on_the_real_log(shared_data: Path, model: Path, tmp_path: Path):
    """Three instants of six cameras, repeated, where a frozen camera and its end are still seen."""
    scene = shared_data / "dgp_scene"
    if not scene.is_dir():
        pytest.skip(f"no real scene: {scene} is absent")
    import_dgp(scene, tmp_path / "real.mcap", lambda done, total: None)
    reader = LogReader(tmp_path / "real.mcap")
    images = long_enough(reader, reader.rig, TICKS)
    ((_, (outcome,)),) = run_suite(reader.rig, load_engine(model), images, ["frozen"], [1])
    assert outcome.problems == [] and outcome.over == 2


def test_every_fault_keeps_the_promises(trio: Rig, engine: Engine, images: list[EncodedImage]):
    outcomes = dict(run_suite(trio, engine, images, FAULTS, range(1)))
    assert len(outcomes) == len(FAULTS) - 5  # a rig of three can't lose more than two
    broken = {name: o.problems for name, found in outcomes.items() for o in found if o.problems}
    assert broken == {}
    slowest = max(o.named or 0 for found in outcomes.values() for o in found)
    assert 1 < slowest <= 3


def test_the_judge_sees_what_is_not_as_promised(trio: Rig, tmp_path: Path):
    """Negative controls: a run that is not what the fault's row says."""
    from deploy.log.writer import LogWriter

    log = tmp_path / "log.mcap"
    stamps = [START + t * PERIOD for t in range(TICKS)]
    with LogWriter(log) as writer:
        for stamp in stamps:
            writer.json("/perception/health", "h", {}, stamp)
    states = dict.fromkeys(trio.names, "ok")
    results = {name: 1 for name in trio.names}
    good = {stamp: Tick(results, states, frozenset()) for stamp in stamps}
    window = choose(trio, FAULTS["black"], stamps, 3)
    struck = window.cameras[0]
    healthy = next(name for name in trio.names if name != struck)

    def problems(fault: str, hurt: dict[int, Tick]) -> str:
        return " ".join(judge(trio, FAULTS[fault], window, good, hurt, log).problems)

    assert problems("jitter", good) == ""
    assert f"{struck} is called ok, not blind" in problems("black", good)
    assert "failure" in problems("nan", good)
    one = stamps[6]
    other = good | {one: replace(good[one], results=results | {healthy: 2})}
    assert f"tick 6: other bytes of {healthy}" in problems("jitter", other)
    unwell = good | {one: replace(good[one], states=states | {healthy: "late"})}
    assert f"healthy {healthy} is late" in problems("jitter", unwell)
    lost = {stamp: tick for stamp, tick in good.items() if stamp != one}
    assert "0 ticks for the one" in problems("jitter", lost)
