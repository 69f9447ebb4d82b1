"""`octoview evaluate` from the command line to the JSON file and the page."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from perception.checkpoint import load_tensors, save_network, save_tensors
from perception.data.camvid import CamVid
from perception.data.fingerprint import fingerprint
from perception.network import OctoNet
from perception.spec import PRESETS, SPEC_HASH_KEY, SPEC_KEY, TRAINED_ON_KEY, ModelSpec
from tests.deploy.command_line import Octoview, command_line
from tests.perception.data.folders import write_camvid, write_synthetic

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_network(OctoNet(PRESETS["nano"]), path)
    return path


@pytest.fixture
def evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Octoview:
    """Run `octoview evaluate` in a folder that holds the CamVid split val."""
    write_camvid(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return command_line(monkeypatch, capsys, "evaluate")


def _content(path: str) -> dict[str, Any]:
    return json.loads(Path(path).read_text())


def test_camvid(evaluate: Octoview, weights: Path) -> None:
    done = evaluate("camvid", ".", "--split", "val", "--model", weights, "--json", "f.json")
    assert done.code == 0, done.err
    assert "mask-derived" in done.out and "IoU road" in done.out
    assert "training images unknown" in done.out and "GFLOP" in done.out
    scores = _content("f.json")
    assert scores["images"] == 2 and scores["preset"] == "nano"
    assert scores["trained_on_checked"] is False
    assert 0 <= scores["drivable_iou"] < 0.9  # the weights are random
    assert 0 <= scores["mean_iou"] < 0.9 and set(scores["iou"]) > {"road", "car"}
    assert 0 <= scores["map50_95"] <= scores["map50"] < 0.9
    assert scores["map50_by_class"]["cyclist"] is None
    assert scores["gflop_per_image"] == 2 * scores["gmac_per_image"] > 5
    assert scores["parameters"] > 1e6


def test_the_document_lists_every_key(evaluate: Octoview, model: Path) -> None:
    assert evaluate("camvid", ".", "--model", model, "--json", "f.json").code == 0
    text = (ROOT / "docs" / "evaluation.md").read_text()
    rows = re.findall(r"^\| (`.*?`) \|", text[text.index("## The JSON file") :], re.MULTILINE)
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(_content("f.json"))


def test_sim_lists_the_cameras(evaluate: Octoview, model: Path) -> None:
    write_synthetic(Path("sim"))
    done = evaluate("sim", "sim", "--model", model, "--json", "f.json")
    assert done.code == 0, done.err
    assert "left_pillar" in done.out
    assert set(_content("f.json")["slices"]["camera"]) == {"main", "left_pillar"}


def test_the_engine_is_told(evaluate: Octoview, model: Path, weights: Path) -> None:
    for given, name in ((model, "onnxruntime"), (weights, "torch")):
        done = evaluate("camvid", ".", "--model", given, "--json", "f.json")
        assert re.fullmatch(rf"{name} \d\S+ CPU", engine := _content("f.json")["engine"])
        assert engine in done.out


def test_another_engine_scores_alike(evaluate: Octoview, model: Path) -> None:
    pytest.importorskip("openvino")
    scores = []
    for engine in ("onnxruntime", "openvino"):
        done = evaluate("camvid", ".", "--model", model, "--engine", engine, "--json", "f.json")
        assert done.code == 0, done.err
        scores.append(_content("f.json"))
        assert scores[-1]["engine"].startswith(engine)
    assert scores[0]["mean_iou"] == pytest.approx(scores[1]["mean_iou"], abs=0.002) != 0


def test_any_dataset_by_name_and_path(evaluate: Octoview, model: Path) -> None:
    write_synthetic(Path("sim"))
    for arguments, file in ((("data", "sim:sim"), "a.json"), (("sim", "sim"), "b.json")):
        assert evaluate(*arguments, "--model", model, "--json", file).code == 0
    assert _content("a.json") == _content("b.json")


def test_idd_lite_has_no_boxes(evaluate: Octoview, model: Path) -> None:
    for drive in range(12):
        for kind, name in (("images", "a_image.jpg"), ("labels", "a_label.png")):
            path = Path("idd", kind, str(drive), name)
            path.parent.mkdir(parents=True)
            picture = np.zeros((45, 64), np.uint8)  # label 0, drivable
            cv2.imwrite(str(path), picture if kind == "labels" else cv2.merge([picture + 90] * 3))
    counts = []
    for arguments in ((), ("--split", "train"), ("--split", "val")):
        done = evaluate("idd-lite", "idd", *arguments, "--model", model, "--json", "f.json")
        assert done.code == 0, done.err
        scores = _content("f.json")
        counts.append(scores["images"])
        assert scores["map50"] is None and scores["map50_95"] is None
        assert "mAP" not in done.out and scores["drivable_iou"] > 0.9
    assert counts[0] == 12 == counts[1] + counts[2] and 0 < counts[2] < counts[1]


def test_report_holds_the_pictures(evaluate: Octoview, model: Path) -> None:
    done = evaluate("camvid", ".", "--model", model, "--report", "new/report.html")
    assert done.code == 0 and "wrote new/report.html" in done.out
    text = Path("new/report.html").read_text()
    assert "val/0.jpg" in text and "data:image/webp" in text and "Training images unknown" in text


def _fingerprints(*indices: int) -> str:
    dataset = CamVid(Path("val"))
    return "".join(fingerprint(dataset.sample(n).image) for n in indices)


def test_weights_are_not_scored_on_their_training_images(evaluate: Octoview, weights: Path) -> None:
    tensors, header = load_tensors(weights)
    for seen, code in ((_fingerprints(1), 2), ("0" * 16, 0)):
        model = Path("mine.safetensors")
        save_tensors(tensors, header | {TRAINED_ON_KEY: seen}, model)
        done = evaluate(
            "camvid", ".", "--model", model, "--json", "f.json", "--report", "report.html"
        )
        assert done.code == code
        assert Path("f.json").exists() == Path("report.html").exists() == (code == 0)
        if code:
            assert "trained on 1 of these 2 images" in done.err and "another split" in done.err
            assert done.err.count("octoview:") == 1 and "mean IoU" not in done.out
        else:
            assert "none of the 2 images was trained on" in done.out
            assert _content("f.json")["trained_on_checked"] is True


def test_onnx_models_are_not_scored_on_their_training_images(
    evaluate: Octoview, make_model: Callable[..., Path], spec: ModelSpec
) -> None:
    about = {SPEC_KEY: spec.to_json(), SPEC_HASH_KEY: spec.hash}
    for seen, code in ((_fingerprints(0, 1), 2), ("", 0)):
        model = make_model(spec, about | {TRAINED_ON_KEY: seen})
        done = evaluate("camvid", ".", "--model", model, "--json", "f.json")
        assert done.code == code and Path("f.json").exists() == (code == 0)
        assert ("trained on 2 of these 2 images" in done.err) == (code == 2)


def test_onnx_models_need_no_torch(tmp_path: Path, model: Path) -> None:
    """With a torch that can't be imported, the ONNX model is scored and the weights are refused
    in one line."""
    folder = write_synthetic(tmp_path / "sim")
    code = (
        "import sys; sys.modules['torch'] = None; from deploy.cli import main; "
        "sys.argv = ['octoview', 'evaluate', *sys.argv[1:]]; main()"
    )

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "sim", folder, *arguments]
        return subprocess.run(
            [str(word) for word in command], cwd=ROOT, capture_output=True, text=True
        )

    done = run("--model", model, "--report", tmp_path / "report.html")
    assert done.returncode == 0 and (tmp_path / "report.html").exists(), done.stderr
    refused = run("--model", "mine.safetensors")
    assert refused.returncode == 2 and "install octoview[train]" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sim", "nowhere"], "index.json: No such file"),
        (["camvid", "nowhere"], "no such folder"),
        (["idd-lite", "nowhere"], "no such folder"),
        (["data", "nowhere"], "nowhere"),
        (["camvid", ".", "--model", "none.onnx"], "none.onnx: no such model"),
        (["camvid", ".", "--model", "none.safetensors"], "none.safetensors: no such checkpoint"),
        (["camvid", ".", "--report", "val"], "--report val: is no .html file"),
        (["camvid", ".", "--engine", "magic"], "--engine magic: unknown; choose auto,"),
        (["camvid", ".", "--model", "mine.engine"], "give the .onnx that it was built from"),
        (
            ["camvid", ".", "--model", "mine.safetensors", "--engine", "auto"],
            "--engine auto: mine.safetensors runs in torch; export it to .onnx first",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], message: str, evaluate: Octoview
) -> None:
    done = evaluate(*arguments)
    assert done.code == 2
    assert message in done.err and done.err.count("\n") == 1
