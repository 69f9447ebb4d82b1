"""The world is a pure function of seed and time, and a plausible street. Needs no OpenGL."""

import numpy as np
import pytest

from perception.synthetic.street import Line, Plan, Side, Street, rectangle
from perception.synthetic.world import World, WorldState
from perception.taxonomy import SCENE_CLASSES

OTHER = 33  # a quiet suburb, quick to build


def same(a: World, b: World, t: float) -> bool:
    meshes = [
        [*world.ground, *world.static, *(x.mesh for x in world.at(t).actors if x.mesh is not None)]
        for world in (a, b)
    ]
    return len(meshes[0]) == len(meshes[1]) and all(
        np.array_equal(x, y) for x, y in zip(*meshes, strict=True)
    )


def test_equal_seeds_give_equal_worlds_and_others_do_not(world: World) -> None:
    assert same(world, World(3), 1.7)
    assert not same(world, World(OTHER), 1.7)


def test_asking_for_one_time_does_not_change_another(world: World) -> None:
    before = world.at(2.0)
    world.at(0.3)
    after = world.at(2.0)
    assert [a.x for a in before.actors] == [a.x for a in after.actors]


def corners(state: WorldState, kind: str) -> list[np.ndarray]:
    return [
        rectangle(np.array([a.x, a.y]), a.size[:2], a.yaw) for a in state.actors if a.kind == kind
    ]


def test_motion_is_smooth_and_forward(busy: World) -> None:
    dt = 0.05
    before = {a.instance: a for a in busy.at(1.0).actors}
    after = {a.instance: a for a in busy.at(1.0 + dt).actors}
    moved = 0
    for instance in before.keys() & after.keys():
        a, b = before[instance], after[instance]
        step = np.array([b.x - a.x, b.y - a.y])
        limit = {"vehicle": 45, "cyclist": 8, "pedestrian": 2.5}[a.kind] * dt
        assert np.linalg.norm(step) <= limit
        assert a.size == b.size and a.kind == b.kind
        if np.linalg.norm(step) > 1e-6:
            assert step @ [np.cos(a.yaw), np.sin(a.yaw)] > 0.9 * np.linalg.norm(step)
            moved += 1
    assert moved > 10


def test_ego_drives_along_its_lane(world: World) -> None:
    poses = np.array([world.at(t).world_from_ego for t in (0.0, 1.0, 2.0)])
    steps = np.diff(poses[:, :3, 3], axis=0)
    assert (np.linalg.norm(steps, axis=1) > 1).all()
    forward = poses[:-1, :3, 0]
    assert (np.einsum("ni,ni->n", steps, forward) > 0.98 * np.linalg.norm(steps, axis=1)).all()
    assert np.allclose(poses[:, 2, 3], 0) and np.allclose(poses[:, 2, 2], 1)


def test_vehicles_do_not_stand_in_one_another(busy: World) -> None:
    vehicles = corners(busy.at(0.5), "vehicle")
    assert len(vehicles) > 10
    plan = Plan(np.min(vehicles, (0, 1)) - 5, np.max(vehicles, (0, 1)) + 5)
    centre = [box.mean(0) for box in vehicles]
    shrunk = [c + (box - c) * 0.7 for box, c in zip(vehicles, centre, strict=True)]
    crashes = sum(not plan.claim(box) for box in shrunk)
    assert crashes == 0


def test_class_of_id_names_what_the_meshes_are(world: World) -> None:
    classes = world.class_of_id()
    for actor in world.at(0.0).actors:
        assert SCENE_CLASSES[classes[actor.instance]] == actor.kind
        if actor.mesh is not None:
            assert (actor.mesh["id"] == actor.instance).all()
    for mesh in world.ground:
        assert set(np.unique(mesh["id"])) <= {0, 1, 2}  # drivable, pavement, terrain


def test_plan_refuses_taken_ground_and_what_lies_off_it() -> None:
    plan = Plan(np.zeros(2), np.array([50.0, 50.0]))
    assert plan.claim_rectangle(np.array([20.0, 20.0]), (8, 4), 0.3)
    assert not plan.claim_rectangle(np.array([22.0, 21.0]), (8, 4), 1.0)
    assert plan.claim_rectangle(np.array([40.0, 40.0]), (8, 4), 1.0)
    assert not plan.claim_rectangle(np.array([-90.0, 20.0]), (8, 4), 0.0)


def test_line_of_constant_curvature_is_a_circle() -> None:
    line = Line((0.0, 0.0), 0.0, np.full(200, 0.01))
    radii = np.linalg.norm(line.at(np.linspace(0, 199, 50)) - [0, 100], axis=1)
    assert np.abs(radii - 100).max() < 0.6
    inner = np.linalg.norm(line.at(50.0, 10.0) - [0, 100])
    assert inner == pytest.approx(90, abs=0.6)


def test_runs_leave_out_junctions() -> None:
    side = Side(2.0, 1.5, 3.0, 0.0, 5.0)
    line = Line((0.0, 0.0), 0.0, np.zeros(101))
    street = Street(line, 0, 100, [(-1.5, 1), (1.5, -1)], 3.0, {1: side, -1: side}, [(40, 60)])
    assert list(street.runs(1.0)) == [(0, 39), (61, 100)]
    assert street.clear(30) and not street.clear(50)
    assert street.edge(1) == pytest.approx(3.0 + 1.5 + 2.0)
