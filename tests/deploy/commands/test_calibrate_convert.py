"""`octoview calibrate convert`: from the command line, back and forth, and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from calib.rig import load_rig
from tests.deploy.command_line import Octoview, command_line


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "calibrate", "convert")


def test_rig_to_kalibr_and_back(octoview: Octoview, tmp_path: Path) -> None:
    chain = tmp_path / "new" / "chain.yaml"
    done = octoview("hw2", "--to", "kalibr", "--out", chain, "--json", tmp_path / "j")
    assert done.code == 0, done.err
    said = json.loads((tmp_path / "j").read_text())
    assert said["files"] == [str(chain)] and len(said["cameras"]) == 8
    assert len(said["warnings"]) == 2  # rate and bucket; the vehicle frame
    for line in said["warnings"]:
        assert f"warning: {line}\n" in done.out
    refused = octoview(chain, "--to", "rig", "--out", tmp_path / "car.yaml")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert "--mount" in refused.err and not (tmp_path / "car.yaml").exists()
    mount = done.out.split("--mount ")[1].split()[0]
    done = octoview(chain, "--to", "rig", "--mount", mount, "--out", tmp_path / "car.yaml")
    assert done.code == 0, done.err
    assert "10 assumed; see --rate" in done.out
    for before, after in zip(load_rig("hw2"), load_rig(tmp_path / "car.yaml"), strict=True):
        assert (before.name, before.bucket) == (after.name, after.bucket)
        points = np.array([[3, 1, 7], [-2, 0, 9], [1, -1, 8]]) @ before.ego_from_camera[:3, :3].T
        points += before.ego_from_camera[:3, 3]
        np.testing.assert_allclose(before.project(points)[0], after.project(points)[0], atol=1e-4)


def test_several_cameras_go_to_a_folder_and_come_together_again(
    octoview: Octoview, tmp_path: Path
) -> None:
    done = octoview("hw2", "--to", "ros", "--out", tmp_path / "ros")
    assert done.code == 0, done.err
    assert "has no pose; where the cameras stand is not kept" in done.out
    files = sorted((tmp_path / "ros").iterdir())
    assert [path.stem for path in files] == sorted(load_rig("hw2").names)
    done = octoview(*files, "--to", "camera", "--out", tmp_path / "own")
    assert done.code == 0, done.err
    lens = yaml.safe_load((tmp_path / "own" / "wide.yaml").read_text())["lens"]
    assert (lens["model"], lens["fx"]) == ("fisheye", load_rig("hw2")["wide"].lens.fx)
    one_file = octoview("hw2", "--to", "ros", "--out", tmp_path / "all.yaml")
    assert one_file.code == 2 and "one camera a file, and there are 8" in one_file.err
    refused = octoview(*files, "--to", "kalibr", "--out", tmp_path / "k.yaml")
    assert refused.code == 2 and "needs the poses of all 8 cameras" in refused.err


REFUSED: dict[str, tuple[list[str], str]] = {
    "unknown format": (
        ["hw2", "--to", "xml"],
        "format is 'xml'; use rig, camera, opencv, ros, kalibr",
    ),
    "missing file": (["none.yaml", "--to", "ros"], "none.yaml: can't be read"),
    "unknown camera": (["hw2", "--to", "ros", "--camera", "roof"], "no camera 'roof', only main"),
    "wrong size": (["hw2", "--to", "ros", "--size", "1x1"], "1280x960 in the file and 1x1"),
    "size of nobody": (["hw2", "--to", "ros", "--size", "roof=1280x960"], "camera 'roof'"),
    "no size": (["hw2", "--to", "ros", "--size", "big"], "--size is 'big'; give it as"),
    "wrong model": (["hw2", "--to", "ros", "--model", "fisheye"], "is a pinhole in the file"),
    "mounted twice": (["hw2", "--to", "rig", "--mount", "0,0,0,0,0,0"], "leave --mount out"),
    "half a mount": (["hw2", "--to", "rig", "--mount", "0,0,nan"], "--mount is '0,0,nan'; give X"),
    "two rigs": (["hw2", "hw2", "--to", "ros"], "convert it on its own"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=[*REFUSED])
def test_refusals_are_one_line(
    octoview: Octoview, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = octoview(*arguments, "--out", tmp_path / "out")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_input_is_never_overwritten(octoview: Octoview, tmp_path: Path) -> None:
    octoview("hw2", "--to", "ros", "--camera", "main", "--out", tmp_path / "main.yaml")
    before = (tmp_path / "main.yaml").read_bytes()
    for out in (tmp_path / "main.yaml", tmp_path):
        done = octoview(tmp_path / "main.yaml", "--to", "camera", "--out", out)
        assert done.code == 2 and "is the input" in done.err
    assert (tmp_path / "main.yaml").read_bytes() == before


def test_binary_file_is_no_calibration(octoview: Octoview, tmp_path: Path) -> None:
    (tmp_path / "drive.mcap").write_bytes(b"\x89MCAP0\r\n\xff\xfe")
    done = octoview(tmp_path / "drive.mcap", "--to", "ros", "--out", tmp_path / "a.yaml")
    assert done.code == 2 and "drive.mcap: is no text file" in done.err
