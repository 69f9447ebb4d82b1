"""`octoview train search-augment` at its smallest, and its bad input."""

import json
from pathlib import Path

import cv2
import pytest

pytest.importorskip("torch", reason="needs octoview[train]")

from perception.data.policy import load_policy
from tests.deploy.command_line import Done, Octoview, command_line
from tests.perception.data.folders import write_camvid


@pytest.fixture
def octoview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Octoview:
    """Run the search in a folder that holds a small CamVid."""
    write_camvid(tmp_path, 2, "train")
    for image in write_camvid(tmp_path, 1, "val").iterdir():  # darker than that of train
        cv2.imwrite(str(image), cv2.imread(str(image)) // 2)
    (tmp_path / "a_file").write_text("not a folder\n")
    monkeypatch.chdir(tmp_path)
    return command_line(monkeypatch, capsys, "train", "search-augment")


def _search(octoview: Octoview, **changed: str) -> Done:
    options = {
        "data": "camvid:train",
        "val": "camvid:val",
        "out": "out",
        "trials": "1",
        "steps": "1",
        "seeds": "1",
        "batch": "2",
        "json": "out.json",
    }
    return octoview(*(word for key, x in (options | changed).items() for word in (f"--{key}", x)))


def test_a_table_a_policy_and_json(octoview: Octoview) -> None:
    done = _search(octoview)
    assert done.code == 0, done.err
    assert "| policy | seeds | mean IoU | drivable IoU | mAP50 |" in done.out
    assert all(f"| {name} | 1 |" in done.out for name in ("none", "hand", "candidate-01"))
    content = json.loads(Path("out.json").read_text())
    assert content["winner"] == "candidate-01" and "candidate-01 against hand" in done.out
    scores = {name: results[0]["mean_iou"] for name, results in content["final"].items()}
    expected = scores["candidate-01"] - scores["hand"]
    assert content["gain_over_hand"] == pytest.approx(expected)
    policy = load_policy("out/searched.yaml")
    assert policy.model_dump(mode="json") == content["final"]["candidate-01"][0]["trial"]["policy"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"val": "camvid:nowhere"}, "nowhere: no such folder"),
        ({"val": "camvid:train"}, "camvid/train: 2 of its 2 images are trained on too"),
        ({"data": "kitty:here"}, "dataset 'kitty:here' is not NAME:PATH"),
        ({"preset": "giant"}, "preset 'giant' is unknown"),
        ({"out": "a_file"}, "a_file"),
        ({"trials": "0"}, "greater than or equal to 1"),
    ],
)
def test_bad_input_is_said_and_nothing_trained(
    octoview: Octoview, changed: dict[str, str], problem: str
) -> None:
    done = _search(octoview, **changed)
    assert done.code == 2
    assert problem in done.err and "Traceback" not in done.err
    assert not Path("out/results.jsonl").exists() and not Path("out.json").exists()
