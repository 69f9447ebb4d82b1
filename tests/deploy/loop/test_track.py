"""Tracks of things whose motion is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.loop.associate import match
from deploy.loop.ego_map import Motion
from deploy.loop.locate import Sighting
from deploy.loop.track import FORGET_NS, PROVEN, SURE, Tracker

TICK_NS = 100_000_000
BOX = (0.0, 0.0, 0.0, 0.0)  # tells nothing


def at(x: float, y: float, label: str = "vehicle", camera: str = "main") -> Sighting:
    return Sighting(label, 0.9, np.array([x, y]), 0.09 * np.eye(2), 1.5, {camera: BOX})


def pose(x: float, y: float, yaw: float) -> np.ndarray:
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def motions(tracker: Tracker, seen: list[Sighting], tick: int) -> list[Motion]:
    found = [thing.motion for thing in tracker.update([seen], tick * TICK_NS)]
    assert None not in found
    return [motion for motion in found if motion]


def test_id_velocity_and_age_of_two_that_pass_each_other():
    tracker = Tracker()
    for tick in range(21):
        t = tick / 10
        seen = [at(10 + 8 * t, 2.0), at(30 - 8 * t, -2.0, camera="wide")]
        things = tracker.update([seen[:: 1 if tick % 2 else -1]], tick * TICK_NS)
        assert things[0].x <= things[1].x  # nearest first
        second, first = (thing.motion for thing in sorted(things, key=lambda thing: thing.y))
        assert first and second
        if tick == 0:
            ids = first.id, second.id
        assert (first.id, second.id) == ids
    assert first.velocity == pytest.approx((8, 0), abs=0.5)
    assert second.velocity == pytest.approx((-8, 0), abs=0.5)
    assert first.age_s == pytest.approx(2.0) and not first.over_ground


def test_an_id_goes_from_camera_to_camera_and_over_a_short_gap():
    tracker = Tracker()
    cameras = ["main"] * 8 + [""] * 4 + ["left_pillar"] * 8  # seen by nobody for 0.4 s
    ids = set()
    for tick, camera in enumerate(cameras):
        seen = [at(20 - 0.5 * tick, 3.0, camera=camera)] if camera else []
        ids |= {motion.id for motion in motions(tracker, seen, tick)}
    assert len(ids) == 1


def test_what_is_gone_for_long_comes_back_as_another():
    tracker = Tracker()
    (before,) = motions(tracker, [at(10, 0)], 0)
    for tick in range(1, 3 + FORGET_NS // TICK_NS):
        motions(tracker, [], tick)
    (after,) = motions(tracker, [at(10, 0)], tick + 1)
    assert after.id != before.id and after.age_s == 0


def test_classes_never_share_an_id():
    tracker = Tracker()
    (car,) = motions(tracker, [at(10, 0)], 0)
    (person,) = motions(tracker, [at(10, 0, "pedestrian")], 1)
    assert car.id != person.id


@settings(max_examples=25, deadline=None)
@given(st.floats(-20, 20), st.floats(-0.5, 0.5), st.floats(-3, 3))
def test_velocity_is_over_the_ground_where_the_pose_is_known(
    speed: float, turn_rate: float, heading: float
):
    """The vehicle drives a curve; one thing stands still, one goes 5 m/s along y of the world."""
    tracker = Tracker()
    x, y = 100.0, -50.0
    for tick in range(25):
        yaw = heading + turn_rate * tick / 10
        x, y = x + speed / 10 * math.cos(yaw), y + speed / 10 * math.sin(yaw)
        world_from_ego = pose(x, y, yaw)
        to_ego = np.linalg.inv(world_from_ego)
        things = [(100.0, -30.0), (110.0, -60.0 + 0.5 * tick)]
        seen = [at(*(to_ego @ [*thing, 0, 1])[:2]) for thing in things]
        things = tracker.update([seen], tick * TICK_NS, world_from_ego)
        standing, going = sorted(
            things, key=lambda thing: math.dist((thing.x, thing.y), seen[0].position)
        )
    assert standing.motion and going.motion
    assert {standing.motion.id, going.motion.id} == {1, 2}
    assert standing.motion.over_ground
    assert np.hypot(*standing.motion.velocity) < 0.3
    expected = to_ego[:2, :2] @ (0, 5)
    np.testing.assert_allclose(going.motion.velocity, expected, atol=0.5)


def test_a_noisy_place_is_smoothed():
    rng = np.random.default_rng(0)
    tracker = Tracker()
    raw, smooth = [], []
    for tick in range(60):
        x, y = (np.array([15.0, 1.0]) + rng.normal(0, 0.3, 2)).tolist()
        (thing,) = tracker.update([[at(x, y)]], tick * TICK_NS, np.eye(4))
        raw.append(math.dist((x, y), (15, 1)))
        smooth.append(math.dist((thing.x, thing.y), (15, 1)))
    assert np.mean(smooth[10:]) < 0.75 * np.mean(raw[10:])


def test_a_jump_in_time_or_the_loss_of_the_pose_starts_anew():
    tracker = Tracker()
    (first,) = tracker.update([[at(10, 0)]], 5 * FORGET_NS, np.eye(4))
    (back,) = tracker.update([[at(10, 0)]], 0, np.eye(4))
    (lost,) = tracker.update([[at(10, 0)]], TICK_NS)
    ids = [thing.motion.id for thing in (first, back, lost) if thing.motion]
    assert ids == [1, 2, 3]


def sized(x: float, y: float, score: float, **boxes: tuple[float, float, float, float]) -> Sighting:
    return Sighting("vehicle", score, np.array([x, y]), np.diag([4.0, 0.25]), 1.5, boxes)


def test_boxes_tell_apart_what_distance_mixes_up():
    """Two in one direction, whose distances then lie between: their boxes decide."""
    near, far = (100, 100, 160, 150), (170, 100, 200, 120)
    known = [sized(20, 0, 0.9, main=near), sized(24, 0.5, 0.9, main=far)]
    places = ((22.4, 0.3), (21.6, 0.2))
    for shown in ((near, far), (far, near)):
        seen = [sized(*place, 0.9, main=box) for place, box in zip(places, shown, strict=True)]
        assert match(known, seen) == {0: shown.index(near), 1: shown.index(far)}
    assert match(known, [replace(s, boxes={"rear": near}) for s in seen]) == {0: 1, 1: 0}


def test_a_thing_of_low_score_waits_until_it_is_seen_again():
    tracker = Tracker()
    reported = []
    for tick in range(PROVEN):
        reported.append(len(tracker.update([[sized(20, 0, SURE - 0.1, main=BOX)]], tick * TICK_NS)))
    assert reported == [0] * (PROVEN - 1) + [1]
    assert len(Tracker().update([[sized(20, 0, SURE, main=BOX)]], 0)) == 1


def test_one_vehicle_that_became_two_tracks_is_one_again_and_keeps_its_id():
    """Two cameras disagree by 7 m for two ticks, then see it in one place."""
    tracker = Tracker()
    for tick in range(4):
        other = [] if tick < 2 else [sized(27 - 5 * (tick > 2), 0, 0.9, rear=BOX)]
        things = tracker.update([[sized(20, 0, 0.9, main=BOX)], other], tick * TICK_NS)
        (first, *rest) = [thing.motion.id for thing in things if thing.motion]
        assert first == 1 and len(rest) == (tick == 2)
