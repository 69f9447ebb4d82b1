"""Cameras on a cloth: what joins, what does not, and which camera is to blame."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from calib.camera import Camera
from calib.errors import BoardError
from calib.rig import Rig
from calib.surround.birds_eye import Body, GroundArea, ground_picture, stitch
from calib.surround.repose import repose
from calib.surround.seams import fit_lattice, seams
from calib.surround.squares import PIXELS_PER_SIDE, Corners, find_corners
from tests.calib.surround.scenes import BODY, RIG, SIDE, cast, ground

AREA = GroundArea(-6, 6, -5, 5, SIDE / PIXELS_PER_SIDE)
NEIGHBOURS = {("front", "left"), ("front", "right"), ("left", "rear"), ("rear", "right")}


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    return {camera.name: cast(camera) for camera in RIG}


@pytest.fixture(scope="module")
def corners(pictures: dict[str, np.ndarray]) -> dict[str, Corners]:
    return look(RIG, pictures)


def look(rig: Rig, pictures: dict[str, np.ndarray]) -> dict[str, Corners]:
    views = {c.name: ground_picture(c, pictures[c.name], AREA, BODY) for c in rig}
    return {name: find_corners(view, AREA, SIDE) for name, view in views.items()}


def turned(camera: Camera, degrees: float) -> Camera:
    pose = camera.ego_from_camera.copy()
    pose[:3, :3] @= Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    return replace(camera, ego_from_camera=pose)


def with_turned(name: str) -> Rig:
    return Rig("turned", tuple(turned(c, 1.0) if c.name == name else c for c in RIG))


def test_a_true_rig_joins_and_lies_on_the_cloth(corners: dict[str, Corners]):
    gaps = seams(corners, SIDE)
    assert set(gaps) == NEIGHBOURS
    for pair, gap in gaps.items():
        assert len(gap) >= 10, pair
        assert np.median(gap) < 0.015 and np.quantile(gap, 0.9) < 0.04, pair
    lattice = fit_lattice(corners, SIDE)
    assert np.degrees(np.arcsin(lattice.turn[1, 0])) % 90 == pytest.approx(
        np.degrees(0.05), abs=0.1
    )
    for name, found in corners.items():
        assert len(found) >= 40
        off = np.linalg.norm(found.points - lattice.places(name), axis=1)
        assert np.median(off) < 0.01, name


@pytest.mark.parametrize("name", RIG.names)
def test_a_camera_turned_by_one_degree_parts_its_seams(
    name: str, pictures: dict[str, np.ndarray], corners: dict[str, Corners]
):
    right, wrong = seams(corners, SIDE), seams(look(with_turned(name), pictures), SIDE)
    for pair in NEIGHBOURS:
        before, after = np.median(right[pair]), np.median(wrong[pair])
        if name in pair:
            assert after > max(3 * before, 0.02), pair
        else:
            assert after == pytest.approx(before, abs=1e-9), pair


def test_squares_pose_a_turned_camera_anew(pictures: dict[str, np.ndarray]):
    true = RIG["left"]
    wrong = with_turned("left")
    found = look(wrong, pictures)
    others = {name: c for name, c in found.items() if name != "left"}
    lattice = replace(fit_lattice(others, SIDE), cells=fit_lattice(found, SIDE).cells)
    result = repose(wrong["left"], found["left"].points, lattice.places("left"))
    assert result.rms_px < 0.7
    turn = true.ego_from_camera[:3, :3].T @ result.camera.ego_from_camera[:3, :3]
    assert np.degrees(Rotation.from_matrix(turn).magnitude()) < 0.2
    assert np.linalg.norm((result.camera.ego_from_camera - true.ego_from_camera)[:3, 3]) < 0.015


def test_another_side_is_no_cloth(pictures: dict[str, np.ndarray]):
    area = GroundArea(-6, 6, -5, 5, 0.9 / PIXELS_PER_SIDE)
    views = {c.name: ground_picture(c, pictures[c.name], area, BODY) for c in RIG}
    found = {name: find_corners(view, area, 0.9) for name, view in views.items()}
    with pytest.raises(BoardError, match=r"squares of 0\.9 m"):
        fit_lattice(found, 0.9)


def test_the_stitched_picture_is_the_ground(pictures: dict[str, np.ndarray]):
    views = [ground_picture(c, pictures[c.name], AREA, BODY) for c in RIG]
    image = stitch(views, AREA)
    points = AREA.points()
    truth = ground(points[..., 0], points[..., 1])
    everywhere = np.any([view.seen for view in views], axis=0)
    away = np.maximum(np.abs(points[..., 0]) - 2.2, np.abs(points[..., 1]) - 0.95)
    near = everywhere & (away > 0.1) & (away < 2)
    assert near.sum() > 0.9 * ((away > 0.1) & (away < 2)).sum()
    flat = cv2.blur(truth, (5, 5)) == truth  # not at an edge
    off = np.abs(image[..., 0] - truth)[near & flat]
    assert np.median(off) < 3 and np.quantile(off, 0.9) < 30
    assert not image[~everywhere].any()


@settings(max_examples=50, deadline=None)
@given(st.floats(-6, 6), st.floats(-5, 5), st.sampled_from(RIG.cameras))
def test_the_body_hides_what_lies_across_it(x: float, y: float, camera: Camera):
    """Against many points on the line from the camera, moved out of the body."""
    eye = camera.ego_from_camera[:2, 3]
    assume(abs(abs(y) - BODY.width / 2) > 0.05)
    assume(min(abs(x - BODY.rear), abs(x - BODY.front)) > 0.05)
    line = eye + np.linspace(0, 1, 2000)[:, None] * (np.array([x, y]) - eye)
    inside = (line[:, 0] > BODY.rear) & (line[:, 0] < BODY.front)
    inside &= np.abs(line[:, 1]) < BODY.width / 2
    assume(not 0 < inside.sum() < 5)  # cuts a corner
    assert BODY.hides(camera, np.array([x, y, 0.0])) == inside.any()


def test_a_camera_inside_looks_out_of_its_own_side():
    inside = Body(-2.0, 2.6, 2.4)  # as large as its mirrors, so that all cameras are within
    for name, ahead in (("front", (5, 0)), ("left", (0, 5)), ("rear", (-5, 0)), ("right", (0, -5))):
        behind = -np.array(ahead, float)
        assert not inside.hides(RIG[name], np.array([*ahead, 0.0]))
        assert inside.hides(RIG[name], np.array([*behind, 0.0]))
