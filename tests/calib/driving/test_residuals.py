"""Residuals and their derivatives, on points without errors."""

from dataclasses import replace

import numpy as np
import pytest

from calib.camera import Camera
from calib.driving.normal_equations import moved
from calib.driving.observations import Observations, State, observe
from calib.driving.residuals import epipolar, ground
from calib.rig import load_rig
from tests.calib.driving.scenes import drive

RIG = load_rig("hw2")


def exact(camera: Camera) -> tuple[Observations, State]:
    pairs = drive(camera, noise=0, wrong=0, pairs=3, points=60)
    points = observe(camera, pairs)
    pose = camera.ego_from_camera
    return points, State(pose[:3, :3], float(pose[2, 3]), points.turns, np.zeros(3))


@pytest.mark.parametrize("name", RIG.names)
def test_points_without_errors_leave_nothing_over(name: str) -> None:
    points, state = exact(RIG[name])
    assert len(points.pair) > 100
    assert np.abs(epipolar(points, state)[0]).max() < 1e-6
    off = np.abs(ground(points, state)[0])
    assert (off < 1e-6).sum() > 10, "no road"
    turned = moved(state, np.array([0, 0.02, 0.02, 0]), np.zeros((3, 4)))
    assert np.median(np.abs(epipolar(points, turned)[0])) > 0.1


@pytest.mark.parametrize("name", ["main", "wide", "left_pillar", "rear"])
@pytest.mark.parametrize("residuals", [epipolar, ground])
def test_derivatives_are_those_of_finite_differences(name: str, residuals) -> None:  # type: ignore[no-untyped-def]
    points, state = exact(RIG[name])
    state = replace(state, pace=np.full(3, 0.01))
    points = replace(points, travel=points.travel * np.exp(-0.01))
    values, by_camera, by_pair = residuals(points, state)
    good = np.abs(values) < 1e-4  # elsewhere it is no point of the road
    if residuals is epipolar:
        turned = np.array([0.01, -0.02, 0.02, 0])
        state = moved(state, turned, np.zeros((3, 4)))
        values, by_camera, by_pair = residuals(points, state)
        assert np.abs(values).max() > 1
    assert good.sum() > 10
    for index in range(4):
        step = np.zeros(4)
        step[index] = 1e-6
        alone, all_pairs = np.zeros((3, 4)), np.tile(step, (3, 1))
        for derivative, one, other in (
            (by_camera, (step, alone), (-step, alone)),
            (by_pair, (np.zeros(4), all_pairs), (np.zeros(4), -all_pairs)),
        ):
            numeric = residuals(points, moved(state, *one))[0]
            numeric = (numeric - residuals(points, moved(state, *other))[0]) / 2e-6
            np.testing.assert_allclose(derivative[good, index], numeric[good], rtol=1e-4, atol=1e-3)
