"""`octoview train surround`: from rounds to a file that `replay` takes."""

import json
from pathlib import Path

import pytest

from calib.rig import load_rig
from deploy.loop.surround import Surround
from perception.spec import PRESETS
from tests.deploy.command_line import Octoview, command_line
from tests.perception.surround.folders import write_round


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "train", "surround")


def test_it_trains_and_exports_behind_the_gate(train: Octoview, tmp_path: Path) -> None:
    for index in range(2):
        write_round(tmp_path / f"rounds/{index}", slice(180 - 20 * index, 220))
    options = ["--out", tmp_path / "run", "--steps", 2, "--batch", 2, "--json", tmp_path / "j"]
    done = train(tmp_path / "rounds", *options)
    assert done.code == 0, done.err
    assert "onnxruntime" in done.out
    result = json.loads((tmp_path / "j").read_text())
    assert result["loss"] > 0 and result["logit_error"] < 2e-3
    head = Surround(tmp_path / "run/surround.onnx", load_rig("hw2"), PRESETS["nano"])
    assert head.spec.layers == ("drivable", "vehicle")


def test_an_empty_folder_and_wrong_weights_are_one_line(train: Octoview, tmp_path: Path) -> None:
    done = train(tmp_path, "--out", tmp_path / "run")
    assert done.code == 2 and "holds no rounds" in done.err and "Traceback" not in done.err
    write_round(tmp_path / "rounds/0", slice(180, 220))
    missing = tmp_path / "none.safetensors"
    done = train(tmp_path / "rounds", "--network", missing, "--out", tmp_path / "run")
    assert done.code == 2 and "none.safetensors: no such checkpoint" in done.err
