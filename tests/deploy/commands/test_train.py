"""`octoview train` and `octoview train bench` on a small CamVid folder."""

import json
from pathlib import Path

import pytest

from tests.deploy.command_line import Octoview, command_line
from tests.perception.data.folders import write_camvid


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "train")


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    write_camvid(tmp_path / "CamVid", 4, "train")
    write_camvid(tmp_path / "CamVid", 2, "val")
    # As written the two splits begin with equal images.
    for image in (tmp_path / "CamVid/val").iterdir():
        image.write_bytes((tmp_path / "CamVid/val/1.jpg").read_bytes())
    return tmp_path / "CamVid"


def test_run_reports_and_remembers_its_images(
    train: Octoview, camvid: Path, tmp_path: Path
) -> None:
    options = ["--steps", 2, "--batch", 2, "--out", tmp_path / "run", "--json", tmp_path / "j"]
    options += ["--crop", "128x96", "--balance", 0.1]
    for image in (camvid / "train").iterdir():
        if image.name != "0.jpg":
            image.unlink()
    done = train("--data", f"camvid:{camvid}@2", "--val", f"camvid:{camvid}/val", *options)
    assert done.code == 0, done.err
    report = (tmp_path / "run/report.html").read_text()
    assert "camvid/val: At a glance" in report and "Curves" in report and "weight 2" in report
    assert (tmp_path / "run/curve.html").exists()
    result = json.loads((tmp_path / "j").read_text())
    recipe = result["recipe"]
    assert (recipe["crop_width"], recipe["crop_height"], recipe["balance"]) == (128, 96, 0.1)
    scores = result["val"][0]
    assert scores["dataset"] == "camvid/val" and scores["trained_on_checked"] is True
    # Scoring a training image is refused.
    again = train("--data", f"camvid:{camvid}@2", "--val", f"camvid:{camvid}/train", *options)
    assert again.code == 2 and "trained on" in again.err


def test_damaged_images_are_named_and_may_be_skipped(
    train: Octoview, camvid: Path, tmp_path: Path
) -> None:
    (camvid / "trainannot/1.png").unlink()
    (camvid / "train/2.jpg").write_bytes(b"")
    options = ["--data", f"camvid:{camvid}", "--steps", 1, "--batch", 2, "--out", tmp_path / "run"]
    refused = train(*options)
    assert refused.code == 2 and "2 of 4 samples are bad" in refused.err
    assert "1.png" in refused.err and "2.jpg" in refused.err and "--skip-bad" in refused.err
    assert not (tmp_path / "run/state.safetensors").exists()
    assert train(*options, "--skip-bad").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "run"], "--data"),
        (["--data", "camvid:CamVid"], "--out"),
        (["--data", "camvid:nowhere", "--out", "run"], "nowhere"),
        (["--data", "camvid:CamVid@0", "--out", "run"], "must be over 0"),
        (["--data", "camvid:CamVid", "--out", "run", "--augmentation", "wild"], "wild"),
        (["--data", "camvid:CamVid", "--out", "run", "--crop", "320"], "--crop 320: give WIDTHx"),
        (["--data", "camvid:CamVid", "--out", "run", "--crop", "321x256"], "multiple of 4"),
    ],
)
def test_bad_input_ends_in_one_line(
    train: Octoview,
    camvid: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(camvid.parent)
    done = train(*options)
    assert done.code == 2 and message in done.err and "Traceback" not in done.err


def test_bench_stops_at_the_target_and_tells_when_it_is_missed(
    train: Octoview, camvid: Path, tmp_path: Path
) -> None:
    for image in (camvid / "train").iterdir():
        if image.name == "1.jpg":
            image.unlink()
    data = ["--data", f"camvid:{camvid}/train", "--val", f"camvid:{camvid}/val"]
    options = [*data, "--steps", 4, "--every", 2, "--batch", 2, "--json", tmp_path / "j"]
    missed = train("bench", *options, "--target", 0.999, "--out", tmp_path / "missed")
    assert missed.code == 1 and "not reached in 4 steps" in missed.out
    result = json.loads((tmp_path / "j").read_text())
    assert [check["step"] for check in result["checks"]] == [2, 4] and result["seconds"] is None
    assert result["checks"][0]["seconds"] < result["checks"][1]["seconds"]
    again = train("bench", *options, "--out", tmp_path / "missed")
    assert again.code == 2 and "holds a run already" in again.err
    low = train(
        "bench", *options, "--target", 1e-6, "--measure", "mean_iou", "--out", tmp_path / "x"
    )
    assert low.code == 0
    result = json.loads((tmp_path / "j").read_text())
    assert len(result["checks"]) == 1 and result["seconds"] == result["checks"][0]["seconds"]
