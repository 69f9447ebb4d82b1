"""Mountings found from points along a street: near the truth, and as near as they say."""

from dataclasses import replace

import numpy as np
import pytest

from calib.camera import Camera
from calib.driving.drift import judge
from calib.driving.estimate import Mounting, estimate_mounting
from calib.pose import angles
from calib.rig import load_rig
from tests.calib.driving.scenes import drive, mounted

RIG = load_rig("hw2")


def off(found: Mounting, true: Camera) -> np.ndarray:
    """Yaw, pitch, roll in degrees and height in metres, less the truth."""
    turn = np.degrees(angles(found.ego_from_camera) - angles(true.ego_from_camera))
    raised = found.ego_from_camera[2, 3] - true.ego_from_camera[2, 3]
    return np.append((turn + 180) % 360 - 180, raised)


@pytest.mark.parametrize("name", RIG.names)
def test_every_camera_of_a_rig_mounted_wrongly(name: str) -> None:
    given = RIG[name]
    true = mounted(given, (1.2, -1.5, 2.0), 0.08)
    found = estimate_mounting(given, drive(true, pairs=60, points=100))
    assert found.doubt is None
    assert (np.abs(off(found, true)) < [0.3, 0.3, 0.5, 0.03]).all(), off(found, true)
    np.testing.assert_array_equal(found.ego_from_camera[:2, 3], given.ego_from_camera[:2, 3])
    verdict = judge(found)
    assert verdict.verdict == "moved" and "yaw" in verdict.reason, verdict
    again = estimate_mounting(found_camera(given, found), drive(true, seed=1, pairs=60, points=100))
    assert judge(again).verdict == "ok"


def found_camera(given: Camera, found: Mounting) -> Camera:
    return Camera(given.name, given.lens, found.ego_from_camera, given.rate_hz, given.bucket)


@pytest.mark.parametrize(("name", "noise"), [("main", 1.0), ("left_pillar", 0.3), ("rear", 1.0)])
def test_errors_are_as_large_as_it_says(name: str, noise: float) -> None:
    """Over drives of few and noisy points, where noise outweighs what is always allowed. A few may
    be too short to say anything."""
    true = RIG[name]
    errors = []
    for seed in range(12):
        found = estimate_mounting(
            true, drive(true, seed=seed, pairs=24, points=110, noise=noise, wrong=0.05)
        )
        if found.doubt is not None:
            continue
        assert found.sigma_height_m is not None
        sigma = np.append(found.sigma_deg, found.sigma_height_m)
        errors.append(off(found, true) / sigma)
    assert len(errors) >= 8
    spread = np.sqrt((np.array(errors) ** 2).mean(axis=0))
    assert (spread < 2).all(), spread
    assert np.abs(errors).max() < 4.5
    assert spread.max() > 0.3, "far wider than the errors are"


def test_a_body_that_sways_unmeasured_costs_precision_but_no_truth() -> None:
    true = RIG["main"]
    calm = estimate_mounting(true, drive(true, pairs=60, points=80))
    swaying = estimate_mounting(true, drive(true, pairs=60, points=80, sway_deg=0.15))
    assert swaying.doubt is None
    assert (np.abs(off(swaying, true)) < [0.3, 0.3, 0.5, 0.03]).all(), off(swaying, true)
    assert swaying.rms_px < 2 * calm.rms_px


def test_without_poses_angles_are_found_and_the_height_is_not() -> None:
    given = RIG["main"]
    true = mounted(given, (0.8, -1.0, 1.5))
    pairs = drive(true, pairs=60, points=150, bend=0.0, poses=False, sway_deg=0.05)
    found = estimate_mounting(given, pairs)
    assert found.doubt is None and found.sigma_height_m is None and found.raised_m is None
    assert found.ego_from_camera[2, 3] == given.ego_from_camera[2, 3]
    assert (np.abs(off(found, true)[:3]) < [0.3, 0.3, 0.5]).all(), off(found, true)


def test_too_little_driving_says_so() -> None:
    camera = RIG["main"]
    assert "0 stretches" in str(estimate_mounting(camera, []).doubt)
    assert "stretches" in str(estimate_mounting(camera, drive(camera, pairs=5)).doubt)
    standing = drive(camera, pairs=30, step=0.0, noise=0.1, wrong=0)
    assert judge(estimate_mounting(camera, standing)).verdict == "unknown"


def test_pictures_of_another_camera_are_never_in_place() -> None:
    left, right = RIG["left_pillar"], RIG["right_pillar"]
    found = estimate_mounting(left, drive(right, pairs=40, points=80))
    assert judge(found).verdict != "ok", found


def test_stretches_without_a_pose_are_left_out() -> None:
    camera = RIG["main"]
    pairs = drive(camera, pairs=75, points=80)
    lost = [replace(pair, ego_motion=None) if n % 3 else pair for n, pair in enumerate(pairs)]
    found = estimate_mounting(camera, lost)
    assert found.pairs == 25 and found.sigma_height_m is not None


def test_a_pavement_alone_is_not_taken_for_the_road() -> None:
    """A camera beside a pavement that is all it can see of the ground."""
    camera = RIG["right_pillar"]
    higher = mounted(camera, (0, 0, 0), -0.13)  # the ground that it sees is that much nearer
    found = estimate_mounting(camera, drive(higher, pairs=60, points=100))
    assert found.raised_m == pytest.approx(-0.13, abs=0.03)
    assert "pavement" in str(found.doubt) and judge(found).verdict == "unknown"
    ahead = mounted(RIG["main"], (0, 0, 0), -0.13)  # sees the lane itself
    found = estimate_mounting(RIG["main"], drive(ahead, pairs=60, points=100))
    assert found.doubt is None and judge(found).verdict == "moved"
