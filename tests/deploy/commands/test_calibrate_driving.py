"""`calibrate drift` and `calibrate rig --from-driving`: a log of a camera that sees the road and of
one that looks at the sky; and the sample log, which is too short."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3

from calib.camera import Camera
from calib.lens import Lens
from calib.pose import angles, ego_from_camera
from calib.rig import Rig, load_rig, save_rig
from deploy.log import channels
from deploy.log.writer import LogWriter
from tests.calib.driving.film import Film
from tests.calib.driving.scenes import mounted
from tests.deploy.command_line import Octoview, command_line

SAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "samples" / "hw2.mcap"
LENS = Lens("pinhole", 480, 360, 330, 330, 241, 178, (-0.1, 0.02, 0, 0))
FRONT = Camera("front", LENS, ego_from_camera([1.5, 0, 1.4], 0.1, -0.1, 0), 10, "small")
SKY = Camera("sky", LENS, ego_from_camera([1.0, 0, 1.6], 0, 1.4, 0), 10, "small")
STEP_M = 0.5


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "calibrate")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_street(tmp_path_factory.mktemp("street") / "street.mcap", poses=True)


def write_street(path: Path, *, poses: bool) -> Path:
    films = {camera.name: Film(camera) for camera in (FRONT, SKY)}
    with LogWriter(path) as log:
        log.rig(Rig("two", (FRONT, SKY)), 0)
        for number in range(26):
            stamp = number * 100_000_000
            world_from_ego = np.eye(4)
            world_from_ego[0, 3] = STEP_M * number
            if poses:
                pose = FrameTransform(
                    parent_frame_id="map",
                    child_frame_id="ego",
                    translation=Vector3(x=STEP_M * number, y=0, z=0),
                    rotation=Quaternion(x=0, y=0, z=0, w=1),
                )
                log.message(channels.TRANSFORMS, pose, stamp)
            for name, film in films.items():
                _, data = cv2.imencode(".jpg", film.frame(world_from_ego))
                log.image(name, stamp, data.tobytes(), "jpeg")
    return path


def rig_file(folder: Path, turn: tuple[float, float, float]) -> Path:
    path = folder / "given.yaml"
    save_rig(Rig("two", (mounted(FRONT, turn), SKY)), path)
    return path


def test_in_place_and_too_little_to_tell(octoview: Octoview, street: Path, tmp_path: Path) -> None:
    done = octoview("drift", street, "--json", tmp_path / "j")
    assert done.code == 0, done.err
    assert "front: in place" in done.out and "sky: can't tell" in done.out
    figures = json.loads((tmp_path / "j").read_text())
    assert figures["moved"] == []
    assert figures["cameras"]["sky"]["turn_deg"] is None


def test_a_camera_that_moved_is_named_and_exits_1(
    octoview: Octoview, street: Path, tmp_path: Path
) -> None:
    given = rig_file(tmp_path, (2.0, 1.0, -1.0))
    done = octoview("drift", street, "--rig", given, "--json", tmp_path / "j")
    assert done.code == 1, done.err
    assert "front: MOVED: yaw by +" in done.out
    figures = json.loads((tmp_path / "j").read_text())
    assert figures["moved"] == ["front"]
    assert figures["cameras"]["front"]["turn_deg"][0] == pytest.approx(1.0, abs=0.3)


def test_a_rig_holds_what_the_drive_shows_and_nothing_else(
    octoview: Octoview, street: Path, tmp_path: Path
) -> None:
    given, out = rig_file(tmp_path, (2.0, 1.0, -1.0)), tmp_path / "car.yaml"
    done = octoview(
        "rig", street, "--from-driving", "--rig", given, "--out", out, "--json", tmp_path / "j"
    )
    assert done.code == 0, done.err
    assert "sky: not verified and not in the rig file" in done.out
    rig = load_rig(out)
    assert rig.names == ("front",)
    off = np.degrees(angles(rig["front"].ego_from_camera) - angles(FRONT.ego_from_camera))
    assert (np.abs(off) < [0.3, 0.3, 0.5]).all(), off
    assert abs(rig["front"].ego_from_camera[2, 3] - 1.4) < 0.03
    assert rig["front"].lens == LENS
    cameras = json.loads((tmp_path / "j").read_text())["cameras"]
    assert cameras["front"]["verified"] and not cameras["sky"]["verified"]


def test_without_poses_no_rig_is_written(octoview: Octoview, tmp_path: Path) -> None:
    log = write_street(tmp_path / "a.mcap", poses=False)
    out = tmp_path / "car.yaml"
    done = octoview("rig", log, "--from-driving", "--out", out)
    assert done.code == 2 and "no poses of the vehicle on /tf" in done.out
    assert "no camera is verified" in done.err and not out.exists()


def test_three_seconds_are_too_short(octoview: Octoview, tmp_path: Path) -> None:
    given = tmp_path / "given.yaml"
    save_rig(Rig("one", (load_rig("hw2")["left_repeater"],)), given)
    done = octoview("drift", SAMPLE, "--rig", given)
    assert done.code == 0 and "left_repeater: can't tell" in done.out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("rig", SAMPLE, "--out", "x.yaml"), "--from-driving and a log"),
        (("rig", SAMPLE, "--out", "x.yaml", "--from-driving", "--board", "b"), "don't go with"),
        (("rig", SAMPLE, "--out", "x.yaml", "--rig", "hw2"), "--from-driving only"),
        (("drift", "nowhere.mcap"), "nowhere.mcap"),
        (("drift", SAMPLE, "--rig", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_line(octoview: Octoview, words: tuple[str, ...], line: str) -> None:
    done = octoview(*words)
    assert done.code == 2, done.out
    assert line in done.err and "Traceback" not in done.err
