"""The ground remembered, on a road whose cells are known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.loop.ego_map import GridSpec
from deploy.loop.fuse import MIN_EVIDENCE
from deploy.loop.ground_memory import HALF_LIFE_S, MOST, PAUSE_NS, GroundMemory

GRID = GridSpec()
CENTRES = GRID.centres()[..., :2]
TICK_NS = 100_000_000
NOTHING = np.zeros((*GRID.shape, 2), np.float32)
NOWHERE = np.zeros(GRID.shape, bool)


def pose(x: float, y: float, yaw: float = 0.0) -> np.ndarray:
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def evidence(world_from_ego: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """Of a world of stripes 0.8 m wide across x and 40 m apart blocks along y, all ground."""
    world = CENTRES @ world_from_ego[:2, :2].T + world_from_ego[:2, 3]
    free = (np.floor(world[..., 0] / 0.8) % 2 == 0) & (np.floor(world[..., 1] / 40) % 2 == 0)
    ground = np.full(GRID.shape, strength)
    return np.stack([free * ground, ground], axis=-1).astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(st.floats(-25, 25), st.floats(-0.6, 0.6), st.floats(-3.1, 3.1), st.floats(-1e6, 1e6))
def test_thin_stripes_stay_where_they_are_however_the_vehicle_drives(
    speed: float, turn_rate: float, heading: float, east: float
):
    """Seen once and then hidden from all cameras while the vehicle moves on for a second."""
    memory = GroundMemory(GRID)
    x, y, yaw = round(east, 1), 3.0, heading
    memory.add(evidence(pose(x, y, yaw)), NOWHERE, 0, pose(x, y, yaw))
    for tick in range(1, 11):
        yaw += turn_rate / 10
        x, y = x + speed / 10 * math.cos(yaw), y + speed / 10 * math.sin(yaw)
        now = pose(x, y, yaw)
        kept = memory.add(NOTHING, NOWHERE, tick * TICK_NS, now)
    truth = evidence(now)
    left = 0.5 * 0.5 ** (1 / HALF_LIFE_S)
    known = kept[..., 1] > 0.99 * left
    assert known.mean() > 0.35  # what is still inside the grid
    assert kept[..., 1].max() == pytest.approx(left, rel=0.01)
    right = (kept[..., 0] > kept[..., 1] / 2) == (truth[..., 0] > 0)
    assert right[known].mean() > 0.85  # a stripe is 4 cells: of those at its edges some are halves


def test_without_a_pose_nothing_is_remembered():
    memory = GroundMemory(GRID)
    memory.add(evidence(pose(0, 0)), NOWHERE, 0, pose(0, 0))
    np.testing.assert_array_equal(memory.add(NOTHING, NOWHERE, TICK_NS, None), NOTHING)
    np.testing.assert_array_equal(memory.add(NOTHING, NOWHERE, TICK_NS, pose(0, 0)), NOTHING)


@pytest.mark.parametrize(("stamp_ns", "x"), [(2 * PAUSE_NS, 0.0), (-TICK_NS, 0.0), (TICK_NS, 30.0)])
def test_a_pause_or_a_jump_forgets(stamp_ns: int, x: float):
    memory = GroundMemory(GRID)
    memory.add(evidence(pose(0, 0)), NOWHERE, 0, pose(0, 0))
    np.testing.assert_array_equal(memory.add(NOTHING, NOWHERE, stamp_ns, pose(x, 0)), NOTHING)


def test_where_something_stands_it_forgets_sooner_and_unseen_stays_unknown():
    memory = GroundMemory(GRID)
    seen = evidence(pose(0, 0))
    seen[:, :100] = 0
    hidden = NOWHERE.copy()
    hidden[:100] = True
    memory.add(seen, NOWHERE, 0, pose(0, 0))
    for tick in range(1, 6):
        kept = memory.add(NOTHING, hidden, tick * TICK_NS, pose(0, 0))
    assert not kept[:, :98].any()
    assert kept[:98, 102:, 1].max() < 0.02 < 0.2 < kept[102:, 102:, 1].min()


def test_what_a_lost_camera_saw_is_unknown_after_a_while():
    memory = GroundMemory(GRID)
    for tick in range(50):
        memory.add(np.ones((*GRID.shape, 2), np.float32), NOWHERE, tick * TICK_NS, pose(0, 0))
    for tick in range(50, 82):
        kept = memory.add(NOTHING, NOWHERE, tick * TICK_NS, pose(0, 0))
    assert kept.max() < MIN_EVIDENCE


def test_what_changes_is_believed_soon_however_long_it_was_otherwise():
    memory = GroundMemory(GRID)
    free = np.full((*GRID.shape, 2), 1, np.float32)
    road = [memory.add(free, NOWHERE, tick * TICK_NS, pose(0, 0)) for tick in range(50)]
    assert road[-1][..., 1].max() <= MOST + 1
    wall = free * np.array([0, 1], np.float32)
    for tick in range(50, 53):
        kept = memory.add(wall, NOWHERE, tick * TICK_NS, pose(0, 0))
    assert (kept[..., 0] < kept[..., 1] / 2).all()


def test_equal_ticks_give_equal_bytes():
    results = []
    for _ in range(2):
        memory = GroundMemory(GRID)
        for tick in range(5):
            now = pose(1.37 * tick, 0.2 * tick, 0.03 * tick)
            kept = memory.add(evidence(now), NOWHERE, tick * TICK_NS, now)
        results.append(kept.tobytes())
    assert results[0] == results[1]
