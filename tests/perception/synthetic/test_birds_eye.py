"""The drivable ground from above agrees with where the world says its vehicles are."""

import numpy as np

from perception.synthetic.birds_eye import CELL_M, REACH_M, BirdsEyeTruth
from perception.synthetic.world import World, WorldState

WORLD = World(3)
TRUTH = BirdsEyeTruth(WORLD)


def values(grid: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The grid at ego points (n, 2) within it."""
    columns, rows = np.floor((points + REACH_M) / CELL_M).astype(int).T
    return grid[rows, columns]


def vehicles(state: WorldState) -> np.ndarray:
    """Ego points (n, 2) of the vehicles that are on the grid."""
    points = np.array([[a.x, a.y, 0, 1] for a in state.actors if a.kind == "vehicle"])
    ego = (points @ np.linalg.inv(state.world_from_ego).T)[:, :2]
    return ego[np.abs(ego).max(axis=1) < REACH_M - 1]


def test_vehicles_stand_on_the_road_and_take_it():
    state = WORLD.at(1.0)
    where = vehicles(state)
    empty = WorldState(state.world_from_ego, [])
    assert len(where) >= 3
    assert not values(TRUTH.drivable(state), where).any()
    assert values(TRUTH.drivable(empty), where).all()
    assert values(TRUTH.drivable(empty), np.array([[0.0, 0.0], [3.0, 0.0]])).all()


def test_the_grid_moves_with_the_vehicle():
    """A pose turned by a right angle puts the same vehicles beside the road."""
    state = WORLD.at(1.0)
    where = vehicles(state)
    turned = state.world_from_ego @ np.array(
        [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]
    )
    grid = TRUTH.drivable(WorldState(turned, []))
    assert values(grid, where).mean() < 0.6
    assert values(grid, np.stack([where[:, 1], -where[:, 0]], axis=1)).mean() > 0.95
