"""`octoview evaluate` from the command line to the JSON file."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from deploy.cli import app, main
from perception.checkpoint import save_network
from perception.network import OctoNet
from perception.spec import PRESETS
from tests.perception.data.folders import write_camvid, write_synthetic


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_network(OctoNet(PRESETS["nano"]), path)
    return path


def test_camvid(tmp_path: Path, weights: Path) -> None:
    write_camvid(tmp_path)
    out = tmp_path / "scores.json"
    arguments = ["evaluate", "camvid", tmp_path, "--split", "val", "--model", weights]
    result = CliRunner().invoke(app, [str(a) for a in [*arguments, "--json", out]])
    assert result.exit_code == 0, result.output
    assert "mask-derived" in result.output and "IoU road" in result.output
    scores = json.loads(out.read_text())
    assert scores["images"] == 2 and scores["preset"] == "nano"
    assert 0 <= scores["drivable_iou"] < 0.9  # the weights are random
    assert scores["map50_by_class"]["cyclist"] is None


def test_sim_lists_the_cameras(tmp_path: Path, weights: Path) -> None:
    folder = write_synthetic(tmp_path / "sim")
    arguments = ["evaluate", "sim", str(folder), "--model", str(weights)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "left_pillar" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sim", "nowhere"], "index.json: No such file"),
        (["camvid", "nowhere"], "no such folder"),
        (["camvid", ".", "--model", "none.onnx"], "none.onnx: no such model"),
        (["camvid", ".", "--model", "none.safetensors"], "none.safetensors: no such checkpoint"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_camvid(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["octoview", "evaluate", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert message in error and error.count("\n") == 1
