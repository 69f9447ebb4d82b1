"""`octoview calibrate rig`: rendered pictures in, a rig out; bad input in one line, no file."""

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from calib.boards.chessboard import Chessboard
from calib.extrinsics.targets import PLACES, outer_points
from calib.lens import Lens
from calib.pose import ego_from_camera, invert
from calib.rig import load_rig
from tests.calib.intrinsics.scenes import picture
from tests.deploy.command_line import Octoview, command_line

TARGETS = "a: {first: [2, 0, 0], row_end: [2, -0.8, 0], column_end: [1.5, 0, 0]}\n"


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "calibrate", "rig")


BOARD = Chessboard(9, 6, 0.1)
LENS = Lens("pinhole", 480, 360, 320, 320, 240, 180, (-0.1, 0.02, 0, 0))
CAMERAS = {
    "left": ego_from_camera([1.5, 0.3, 1.4], 0.12, 0, 0),
    "right": ego_from_camera([1.5, -0.3, 1.4], -0.1, 0, 0),
}
MEASURED = 4
"""Of the boards, the first so many."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras before eight boards, their lenses, and where four boards are."""
    folder = tmp_path_factory.mktemp("rig")
    rng = np.random.default_rng(0)
    targets = {}
    for name in CAMERAS:
        (folder / "pictures" / name).mkdir(parents=True)
        lens = asdict(LENS) | {"distortion": list(LENS.distortion)}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"lens": lens}))
    for number in range(8):
        board = ego_from_camera([0, 0, 0], 0, 0, 0)  # facing the cameras
        board[:3, :3] = board[:3, :3] @ cv2.Rodrigues(rng.normal(0, 0.3, 3))[0]
        place = [rng.uniform(3.3, 4.2), rng.uniform(-0.4, 0.4), rng.uniform(1, 1.8)]
        board[:3, 3] = place - board[:3, :3] @ BOARD.points.mean(axis=0)
        if number < MEASURED:
            corners = outer_points(BOARD) @ board[:3, :3].T + board[:3, 3]
            targets[f"b{number}"] = dict(zip(PLACES, corners.round(4).tolist(), strict=True))
        for name, camera in CAMERAS.items():
            seen = invert(camera) @ board
            pose = np.concatenate([cv2.Rodrigues(seen[:3, :3])[0].ravel(), seen[:3, 3]])
            path = folder / "pictures" / name / f"b{number}.png"
            cv2.imwrite(str(path), picture(LENS, pose, BOARD))
    (folder / "t.yaml").write_text(yaml.safe_dump(targets))
    return folder


def test_pictures_in_a_rig_out(octoview: Octoview, pictures: Path, tmp_path: Path) -> None:
    done = octoview(
        pictures / "pictures",
        *("--lenses", pictures, "--board", "chessboard:9x6:0.1", "--rate", 30),
        *("--targets", pictures / "t.yaml", "--out", tmp_path / "car.yaml"),
        *("--json", tmp_path / "j"),
    )
    assert done.code == 0, done.err
    rig = {camera.name: camera for camera in load_rig(tmp_path / "car.yaml")}
    assert set(rig) == set(CAMERAS)
    figures = json.loads((tmp_path / "j").read_text())["cameras"]
    for name, true in CAMERAS.items():
        found = rig[name].ego_from_camera
        assert np.linalg.norm(found[:3, 3] - true[:3, 3]) < 0.005
        turn = (np.trace(found[:3, :3].T @ true[:3, :3]) - 1) / 2
        assert np.degrees(np.arccos(min(turn, 1))) < 0.1
        assert rig[name].lens == LENS and rig[name].rate_hz == 30
        assert figures[name]["verified"] and figures[name]["boards"] >= 6


def test_a_camera_that_saw_too_little_is_not_in_the_rig(
    octoview: Octoview, pictures: Path, tmp_path: Path
) -> None:
    for name, count in (("left", 8), ("right", 2)):
        (tmp_path / "p" / name).mkdir(parents=True)
        for number in range(count):
            image = f"{name}/b{number}.png"
            (tmp_path / "p" / image).write_bytes((pictures / "pictures" / image).read_bytes())
    done = octoview(
        tmp_path / "p",
        *("--lenses", pictures, "--board", "chessboard:9x6:0.1"),
        *("--targets", pictures / "t.yaml", "--out", tmp_path / "car.yaml"),
    )
    assert done.code == 0, done.err
    assert "right: not verified and not in the rig file: 2 boards only" in done.out
    assert [camera.name for camera in load_rig(tmp_path / "car.yaml")] == ["left"]


@pytest.mark.parametrize(
    ("board", "targets", "line"),
    [
        ("chessboard:9x7:0.1", TARGETS.replace("1.5", "1.4"), "looks the same upside down"),
        ("chessboard:9x6:0.1", "[]", "holds no target"),
        ("chessboard:9x6:0.1", "a: {first: [0, 0, 0]}", "row_end"),
        ("chessboard:9x6:0.2", TARGETS, "0.800 m apart and 1.600 m on the board"),
        ("chessboard:9x6:0.1", TARGETS.replace("2, 0, 0", "2, 0, x"), "three numbers"),
        ("chessboard:9x6:0.1", TARGETS, "camera 'front' has no"),
    ],
)
def test_bad_input_is_one_line(
    octoview: Octoview, tmp_path: Path, board: str, targets: str, line: str
) -> None:
    (tmp_path / "pictures/front").mkdir(parents=True)
    (tmp_path / "t.yaml").write_text(targets)
    done = octoview(
        tmp_path / "pictures",
        *("--lenses", tmp_path, "--board", board),
        *("--targets", tmp_path / "t.yaml", "--out", tmp_path / "rig.yaml"),
    )
    assert done.code == 2, done.out
    assert line in done.err and "Traceback" not in done.err
    assert not (tmp_path / "rig.yaml").exists()
