"""The rig from boards: against the true rig, and against what can go wrong."""

from dataclasses import replace

import numpy as np
import pytest

from calib.errors import BoardError
from calib.extrinsics.bundle import Problem
from calib.extrinsics.calibrate import RigCalibration, calibrate_rig
from calib.extrinsics.initial import first_poses
from calib.extrinsics.sightings import Sighting, Sightings
from calib.rig import Rig
from tests.calib.extrinsics.scenes import boards_around

ANGLE, PLACE = 0.05, 0.005  # degrees and metres


def errors(found: RigCalibration, rig: Rig) -> dict[str, tuple[float, float]]:
    """Degrees and metres by which each placed camera is off."""
    off = {}
    for camera in rig:
        pose = found.cameras[camera.name].ego_from_camera
        if pose is not None:
            turn = pose[:3, :3].T @ camera.ego_from_camera[:3, :3]
            angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
            place = np.linalg.norm(pose[:3, 3] - camera.ego_from_camera[:3, 3])
            off[camera.name] = (float(angle), float(place))
    return off


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_camera_is_where_it_is(seed: int) -> None:
    scene = boards_around(seed=seed)
    found = calibrate_rig(scene.found, scene.targets)
    off = errors(found, scene.rig)
    assert len(off) == 8
    assert max(angle for angle, _ in off.values()) < ANGLE
    assert max(place for _, place in off.values()) < PLACE
    assert all(camera.doubt is None for camera in found.cameras.values())
    assert not found.outliers
    # The stated deviations are those errors, not a tenth or ten times of them.
    sigmas = [np.degrees(np.linalg.norm(c.deviations[:3])) for c in found.cameras.values()]  # type: ignore[index]
    assert 0.3 < np.mean([angle for angle, _ in off.values()]) / np.mean(sigmas) < 2


def test_the_jacobian_is_that_of_the_residuals() -> None:
    scene = boards_around(count=6)
    start = first_poses(scene.found.lenses, scene.found.sightings, scene.targets)
    used = [
        s for s in scene.found.sightings if s.camera in start.cameras and s.instant in start.boards
    ]
    problem = Problem(scene.found.lenses, used, scene.targets, start)
    x = np.random.default_rng(0).normal(0, 0.01, problem.size)
    j = problem.jacobian(x).toarray()
    step = 1e-6
    for column in np.random.default_rng(1).choice(problem.size, 24, replace=False):
        move = np.zeros(problem.size)
        move[column] = step
        slope = (problem.residuals(x + move) - problem.residuals(x - move)) / (2 * step)
        np.testing.assert_allclose(j[:, column], slope, atol=1e-4 * np.abs(j[:, column]).max())


def _changed(found: Sightings, index: int, by: Sighting) -> Sightings:
    return replace(found, sightings=(*found.sightings[:index], by, *found.sightings[index + 1 :]))


def test_a_board_that_moved_between_two_pictures_is_left_out_by_name() -> None:
    scene = boards_around()
    index = next(i for i, s in enumerate(scene.found.sightings) if s.camera == "wide")
    moved = scene.found.sightings[index]
    bad = _changed(scene.found, index, replace(moved, pixels=moved.pixels + np.array([40, -25])))
    found = calibrate_rig(bad, scene.targets)
    assert moved.name in found.outliers or (
        # Of two pictures of one board nobody can say which is right.
        {name.split("/")[1] for name in found.outliers} == {moved.instant}
    )
    assert max(angle for angle, _ in errors(found, scene.rig).values()) < ANGLE


def test_pictures_among_those_of_another_camera_do_no_harm() -> None:
    scene = boards_around()
    names = {"left_pillar": "left_repeater", "left_repeater": "left_pillar"}
    chosen = [s for s in scene.found.sightings if s.camera in names and s.instant[0] in "01234"]
    chosen = chosen[::8]
    astray = [replace(s, camera=names[s.camera]) for s in chosen]
    others = [s for s in scene.found.sightings if not any(s is one for one in chosen)]
    found = calibrate_rig(replace(scene.found, sightings=(*others, *astray)), scene.targets)
    # One whose board no other camera saw contradicts nothing, and does no harm.
    assert len(found.outliers) >= 2
    assert max(angle for angle, _ in errors(found, scene.rig).values()) < ANGLE


def test_a_wrongly_measured_board_is_named() -> None:
    scene = boards_around()
    wrong = scene.targets["ground_3"]
    targets = scene.targets | {
        "ground_3": replace(wrong, corners=wrong.corners + np.array([0, 0.1, 0]))
    }
    with pytest.raises(BoardError, match="does not close: 'ground_"):
        calibrate_rig(scene.found, targets)


def test_a_camera_without_boards_is_not_verified_and_says_why() -> None:
    scene = boards_around()
    kept = tuple(s for s in scene.found.sightings if s.camera != "rear")
    found = calibrate_rig(replace(scene.found, sightings=kept), scene.targets)
    assert found.cameras["rear"].ego_from_camera is None
    assert found.cameras["rear"].doubt == "no picture of it shows the board"
    few = [s for s in scene.found.sightings if s.camera == "rear"][:2]
    found = calibrate_rig(replace(scene.found, sightings=(*kept, *few)), scene.targets)
    assert "boards" in (found.cameras["rear"].doubt or "")


def test_without_a_measured_board_there_is_no_rig() -> None:
    scene = boards_around()
    kept = tuple(s for s in scene.found.sightings if not s.instant.startswith("ground"))
    with pytest.raises(BoardError, match="no camera saw a measured board"):
        calibrate_rig(replace(scene.found, sightings=kept), scene.targets)


def test_when_the_only_measured_board_contradicts_the_rest_it_is_said() -> None:
    """Left out, it would leave nothing that holds the cameras to the vehicle."""
    scene = boards_around(count=20)
    targets = {"ground_0": scene.targets["ground_0"]}
    rng = np.random.default_rng(0)
    sightings = tuple(
        replace(s, pixels=s.pixels + rng.normal(0, 60, s.pixels.shape))
        if s.instant == "ground_0"
        else s
        for s in scene.found.sightings
        if s.instant == "ground_0" or not s.instant.startswith("ground")
    )
    with pytest.raises(BoardError, match=r"does not close|no camera"):
        calibrate_rig(replace(scene.found, sightings=sightings), targets)


def test_boards_of_one_row_of_corners_leave_the_rig_open_and_it_is_said() -> None:
    scene = boards_around(count=20)
    rows = tuple(
        replace(s, points=s.points[:9], pixels=s.pixels[:9])
        for s in scene.found.sightings
        if not s.instant.startswith("far")
    )
    with pytest.raises(BoardError, match=r"leave a pose open|does not close"):
        calibrate_rig(replace(scene.found, sightings=rows), scene.targets)


def test_a_rig_with_a_mirrored_camera_does_not_close() -> None:
    """On its own it can't be told (docs/calibration.md); the other cameras contradict it."""
    scene = boards_around(count=24)
    lens = scene.found.lenses["rear"]
    mirrored = replace(lens, cx=lens.width - 1 - lens.cx)

    def mirror(s: Sighting) -> Sighting:
        # A mirrored board is one that begins at another corner.
        pixels = s.pixels * [-1, 1] + [lens.width - 1, 0]
        return replace(s, pixels=pixels.reshape(6, 9, 2)[::-1].reshape(-1, 2).copy())

    sightings = tuple(mirror(s) if s.camera == "rear" else s for s in scene.found.sightings)
    bad = replace(scene.found, sightings=sightings, lenses=scene.found.lenses | {"rear": mirrored})
    with pytest.raises(BoardError, match="does not close"):
        calibrate_rig(bad, scene.targets)
