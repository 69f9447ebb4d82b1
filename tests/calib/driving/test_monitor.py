"""The watch over one camera, fed with pictures."""

import numpy as np
import pytest

from calib.camera import Camera
from calib.driving.monitor import MountingMonitor
from calib.driving.tracker import PairTracker, follow
from calib.lens import Lens
from calib.pose import ego_from_camera, invert
from tests.calib.driving.film import Film
from tests.calib.driving.scenes import mounted

LENS = Lens("pinhole", 480, 360, 330, 330, 241, 178, (-0.1, 0.02, 0, 0))
CAMERA = Camera("front", LENS, ego_from_camera([1.5, 0, 1.4], 0.1, -0.1, 0), 10, "small")
STEP_M = 0.5


def station(number: int) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = STEP_M * number
    return pose


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    film = Film(CAMERA)
    return [film.frame(station(number)) for number in range(25)]


def watch(camera: Camera, frames: list[np.ndarray], poses: bool = True) -> MountingMonitor:
    monitor = MountingMonitor(camera, every_s=0.0, points=400)
    for number, frame in enumerate(frames):
        monitor.add(0.5 * number, frame, station(number) if poses else None)
    return monitor


def test_a_camera_in_place_is_ok(frames: list[np.ndarray]) -> None:
    assert watch(CAMERA, frames).verdict().verdict == "ok"


@pytest.mark.parametrize(
    ("turn", "what"), [((0, 0, 1.5), "yaw"), ((0, -1.5, 0), "pitch"), ((3, 0, 0), "roll")]
)
def test_a_camera_that_was_turned_has_moved(
    frames: list[np.ndarray], turn: tuple[float, float, float], what: str
) -> None:
    found = watch(mounted(CAMERA, turn), frames).verdict()
    assert found.verdict == "moved" and what in found.reason, found


def test_nothing_is_said_too_early(frames: list[np.ndarray]) -> None:
    assert watch(CAMERA, frames[:5]).verdict().verdict == "unknown"
    assert watch(CAMERA, frames[:1] * 25).verdict().verdict == "unknown"


def test_points_come_to_lie_where_the_motion_puts_them(frames: list[np.ndarray]) -> None:
    motion = invert(station(0)) @ station(1)
    before, after = follow(CAMERA, frames[0][..., 0], frames[1][..., 0], motion, 400)
    assert len(before) > 100
    rays = CAMERA.unproject(before)
    down = rays[:, 2] < -0.15
    height = CAMERA.ego_from_camera[2, 3]
    points = CAMERA.ego_from_camera[:3, 3] - rays * (height / rays[:, 2])[:, None]
    road = down & (np.abs(points[:, 1]) < 6)
    expected, _ = CAMERA.project(points - [STEP_M, 0, 0])
    assert road.sum() > 30
    assert np.median(np.linalg.norm(expected - after, axis=1)[road]) < 1.0


def test_only_frames_that_make_pairs_are_wanted(frames: list[np.ndarray]) -> None:
    tracker = PairTracker(CAMERA, every_s=0.5)
    grey = frames[0][..., 0]
    assert tracker.wants(0.0, station(0)) and tracker.add(0.0, grey, station(0)) is None
    nearby = station(0)
    nearby[0, 3] = 0.1
    assert not tracker.wants(0.1, nearby), "hardly moved"
    assert tracker.add(0.2, frames[1][..., 0], station(1)) is not None
    assert not tracker.wants(0.3, station(2)), "a pair every half second"
    assert tracker.wants(0.5, station(3))
