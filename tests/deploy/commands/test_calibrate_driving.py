"""`calibrate drift` and `calibrate rig --from-driving` on the sample log, whose three seconds
show enough of one camera and too little of the road of another."""

import json
from pathlib import Path

import numpy as np
import pytest

from calib.rig import Rig, load_rig, save_rig
from tests.calib.driving.scenes import mounted
from tests.deploy.command_line import Octoview, command_line

SAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "samples" / "hw2.mcap"
HW2 = load_rig("hw2")


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "calibrate")


def rig_file(folder: Path, turn: tuple[float, float, float] = (0, 0, 0)) -> Path:
    path = folder / "given.yaml"
    save_rig(Rig("two", (mounted(HW2["narrow"], turn), HW2["right_repeater"])), path)
    return path


def test_in_place_and_too_little_to_tell(octoview: Octoview, tmp_path: Path) -> None:
    done = octoview("drift", SAMPLE, "--rig", rig_file(tmp_path), "--json", tmp_path / "j")
    assert done.code == 0, done.err
    assert "narrow: in place" in done.out and "right_repeater: can't tell" in done.out
    figures = json.loads((tmp_path / "j").read_text())
    assert figures["moved"] == []
    assert figures["cameras"]["right_repeater"]["turn_deg"] is None


def test_a_camera_that_moved_is_named_and_exits_1(octoview: Octoview, tmp_path: Path) -> None:
    given = rig_file(tmp_path, (0, 0, -1.5))
    done = octoview("drift", SAMPLE, "--rig", given, "--json", tmp_path / "j")
    assert done.code == 1, done.err
    assert "narrow: MOVED: yaw by +1." in done.out
    figures = json.loads((tmp_path / "j").read_text())
    assert figures["moved"] == ["narrow"]
    assert figures["cameras"]["narrow"]["turn_deg"][0] == pytest.approx(1.5, abs=0.3)


def test_a_rig_holds_what_the_drive_shows_and_nothing_else(
    octoview: Octoview, tmp_path: Path
) -> None:
    given = rig_file(tmp_path, (1.0, 0.5, -1.0))
    out = tmp_path / "car.yaml"
    done = octoview(
        "rig", SAMPLE, "--from-driving", "--rig", given, "--out", out, "--json", tmp_path / "j"
    )
    assert done.code == 0, done.err
    assert "right_repeater: not verified and not in the rig file" in done.out
    rig = load_rig(out)
    assert rig.names == ("narrow",)
    turn = rig["narrow"].ego_from_camera[:3, :3].T @ HW2["narrow"].ego_from_camera[:3, :3]
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 0.6
    assert rig["narrow"].lens == HW2["narrow"].lens
    cameras = json.loads((tmp_path / "j").read_text())["cameras"]
    assert cameras["narrow"]["verified"] and not cameras["right_repeater"]["verified"]


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
