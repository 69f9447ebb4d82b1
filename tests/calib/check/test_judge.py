"""The verdict on a rig: right rigs are called right, each mistake is found, named, and laid to the
right camera. Geometry without pictures; with pictures in tests/deploy/commands."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from calib.camera import Camera
from calib.check.evidence import Evidence
from calib.check.finding import Level
from calib.check.judge import Verdict, judge
from tests.calib.check import scenes

TRUE = scenes.cameras()
SIZES = {camera.name: (camera.lens.width, camera.lens.height) for camera in TRUE}


@pytest.fixture(scope="module")
def street() -> Evidence:
    return scenes.evidence(TRUE)


def wrong(verdict: Verdict) -> set[str]:
    return {name for name, one in verdict.cameras.items() if one.level > Level.NOTE}


def changed(name: str, change: Callable[[Camera], Camera]) -> list[Camera]:
    return [change(camera) if camera.name == name else camera for camera in TRUE]


@pytest.mark.parametrize(("seed", "posed"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_right_rig_is_called_right(seed: int, posed: bool) -> None:
    verdict = judge(scenes.evidence(TRUE, seed, posed), TRUE, SIZES)
    assert verdict.level == Level.NOTE
    for one in verdict.cameras.values():
        assert not one.findings
        assert max(abs(angle) for angle in one.off) < 0.6


@pytest.mark.parametrize(
    ("name", "angle"),
    [("main", 2), ("wide", -2), ("left_pillar", 2), ("left_repeater", -2), ("rear", 2)],
)
def test_two_degrees_of_yaw_are_found_and_measured(
    street: Evidence, name: str, angle: float
) -> None:
    verdict = judge(street, changed(name, lambda c: scenes.yawed(c, angle)), SIZES)
    assert verdict.level == Level.BAD and wrong(verdict) == {name}
    assert verdict.cameras[name].off[0] == pytest.approx(angle, abs=0.6)
    assert "its yaw is off by" in verdict.cameras[name].findings[0].text


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("left_pillar", scenes.inverted, "transform is in the wrong direction"),
        ("wide", lambda c: scenes.of_size(c, 0.5), "images 0.5 times the size"),
        ("wide", lambda c: scenes.longer(c, 1.1), "focal length is about 10% too long"),
        ("left_pillar", lambda c: scenes.longer(c, 0.95), "focal length is about 5% too short"),
        ("rear", scenes.of_other_model, "is a fisheye, given as a pinhole"),
        ("main", scenes.of_other_model, "is a pinhole, given as a fisheye"),
        (
            "rear",
            lambda c: scenes.degrees_for_radians(c, 180, -10, 0),
            "degrees that were read as radians",
        ),
        (
            "left_repeater",
            lambda c: scenes.degrees_for_radians(c, *np.radians(np.radians([138, -4, 0]))),
            "radians and were read as degrees",
        ),
    ],
)
def test_a_mistake_is_named(
    street: Evidence, name: str, change: Callable[[Camera], Camera], said: str
) -> None:
    verdict = judge(street, changed(name, change), SIZES)
    assert verdict.level == Level.BAD and wrong(verdict) == {name}
    assert any(said in finding.text for finding in verdict.cameras[name].findings)


@pytest.mark.parametrize(("a", "b"), [("main", "wide"), ("left_pillar", "left_repeater")])
def test_swapped_cameras_are_named(street: Evidence, a: str, b: str) -> None:
    verdict = judge(street, scenes.swapped(TRUE, a, b), SIZES)
    assert wrong(verdict) == {a, b}
    assert f"swapped with {b}" in verdict.cameras[a].findings[0].text
    assert f"swapped with {a}" in verdict.cameras[b].findings[0].text


def test_images_of_another_size_need_no_match() -> None:
    nothing = Evidence(scenes.NAMES, [], [])
    verdict = judge(nothing, TRUE, SIZES | {"main": (640, 480)})
    assert "images 1280x960, the log's are 640x480" in verdict.cameras["main"].findings[0].text
    assert verdict.cameras["main"].level == Level.BAD


def test_what_nothing_confirms_is_doubtful_and_never_good() -> None:
    verdict = judge(Evidence(scenes.NAMES, [], []), TRUE, SIZES)
    assert wrong(verdict) == set(scenes.NAMES) and verdict.level == Level.DOUBTFUL
    assert "not verified" in verdict.cameras["main"].findings[0].text
    # A note on its name does not hide that.
    backwards = [replace(scenes.yawed(TRUE[2], 180), name="left_front")]
    verdict = judge(Evidence(["left_front"], [], []), backwards, {"left_front": (640, 480)})
    assert verdict.level == Level.DOUBTFUL
    # A single camera of a car that stands: its matches agree with any calibration.
    alone = scenes.evidence(TRUE[:1], speed=0)
    assert judge(alone, TRUE[:1], SIZES).level == Level.DOUBTFUL


def test_of_two_cameras_of_a_standing_car_nobody_can_say_which_is_wrong() -> None:
    pair = [camera for camera in TRUE if camera.name in ("main", "wide")]
    given = [scenes.yawed(pair[0], 2.5), pair[1]]
    verdict = judge(scenes.evidence(pair, speed=0), given, SIZES)
    assert verdict.level > Level.NOTE and wrong(verdict) == {"main", "wide"}


def test_a_single_camera_is_judged_by_how_it_sees_the_car_move() -> None:
    alone = TRUE[:1]
    seen = scenes.evidence(alone)
    assert judge(seen, alone, SIZES).level == Level.NOTE
    assert judge(seen, [scenes.yawed(alone[0], 2)], SIZES).level == Level.BAD


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cx": 200.0}, "cx is 200 of 1280 pixels, 34% from the middle"),
        ({"fx": 1000.0}, "fx 1000 and fy 1406 differ"),
        ({"distortion": (-0.9, 0.0, 0.0, 0.0), "fx": 900, "fy": 900}, "has no ray"),
    ],
)
def test_odd_numbers_are_said_where_no_picture_confirms_them(
    change: dict[str, object], said: str
) -> None:
    odd = [replace(TRUE[0], lens=replace(TRUE[0].lens, **change))]  # type: ignore[arg-type]
    verdict = judge(Evidence(["main"], [], []), odd, SIZES)
    assert any(said in finding.text for finding in verdict.cameras["main"].findings)
