"""`octoview train search-augment` at its smallest, and its bad input."""

import json
from pathlib import Path

import cv2
import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs octoview[train]")

from deploy.commands.search_augment import search_augment
from perception.data.policy import load_policy
from perception.errors import PerceptionError
from tests.perception.data.folders import write_camvid

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(search_augment)


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    write_camvid(tmp_path, 2, "train")
    for image in write_camvid(tmp_path, 1, "val").iterdir():  # darker than that of train
        cv2.imwrite(str(image), cv2.imread(str(image)) // 2)
    return tmp_path


def _search(camvid: Path, **changed: str) -> str:
    options = {
        "data": f"camvid:{camvid}/train",
        "val": f"camvid:{camvid}/val",
        "out": f"{camvid}/out",
        "trials": "1",
        "steps": "1",
        "seeds": "1",
        "batch": "2",
        "json": f"{camvid}/out.json",
    }
    words = [word for key, value in (options | changed).items() for word in (f"--{key}", value)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_table_a_policy_and_json(camvid: Path) -> None:
    said = _search(camvid)
    assert "| policy | seeds | mean IoU | drivable IoU | mAP50 |" in said
    assert all(f"| {name} | 1 |" in said for name in ("none", "hand", "candidate-01"))
    content = json.loads((camvid / "out.json").read_text())
    assert content["winner"] == "candidate-01" and "candidate-01 against hand" in said
    scores = {name: results[0]["mean_iou"] for name, results in content["final"].items()}
    expected = scores["candidate-01"] - scores["hand"]
    assert content["gain_over_hand"] == pytest.approx(expected)
    policy = load_policy(camvid / "out" / "searched.yaml")
    assert policy.model_dump(mode="json") == content["final"]["candidate-01"][0]["trial"]["policy"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"val": "camvid:nowhere"}, "nowhere: no such folder"),
        ({"data": "kitty:here"}, "dataset 'kitty:here' is not NAME:PATH"),
        ({"preset": "giant"}, "preset 'giant' is unknown"),
    ],
)
def test_bad_input_is_one_line(camvid: Path, changed: dict[str, str], problem: str) -> None:
    with pytest.raises(PerceptionError) as raised:
        _search(camvid, **changed)
    assert problem in str(raised.value) and "\n" not in str(raised.value)
