"""replay, bench and doctor as a person runs them: exit codes, one-line errors, JSON."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from deploy.bench.page import write_bench_page
from deploy.log.writer import LogWriter
from deploy.loop.engine import shipped_model
from deploy.loop.runtimes import ENGINES, missing
from tests.deploy.command_line import Octoview, command_line

Images = dict[str, bytes]


@pytest.fixture
def octoview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Octoview:
    """Run the command line in an empty folder, through the function that the script calls."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    return command_line(monkeypatch, capsys)


def test_replay_writes_results_and_shows_tables(
    octoview: Octoview, tmp_path: Path, log: Path, model: Path
):
    json_file = tmp_path / "deep" / "report.json"
    done = octoview(
        *("replay", log, "--model", model, "--out", "out", "--no-mosaic", "--json", json_file),
    )
    assert done.code == 0, done.err
    for word in ("left_repeater", "engine", "vehicle", "frames/s"):
        assert word in done.out
    report = json.loads(json_file.read_text())
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "perception.mcap",
        "report.json",
    ]


def no_calibration(path: Path) -> None:
    with LogWriter(path) as writer:
        writer.image("main", 1, b"\xff\xd8\xff\xd9", "jpeg")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("absent.mcap", lambda path: None),
        ("empty.mcap", lambda path: path.write_bytes(b"")),
        ("text.mcap", lambda path: path.write_text("no log at all")),
        ("bare.mcap", no_calibration),
    ],
)
def test_a_bad_log_is_one_line_and_exit_2(
    octoview: Octoview,
    tmp_path: Path,
    model: Path,
    name: str,
    make: Callable[[Path], object],
):
    make(tmp_path / name)
    done = octoview("replay", name, "--model", model, "--out", "out")
    assert done.code == 2
    (line,) = done.err.strip().splitlines()
    assert line.startswith("octoview: ") and name in line
    assert not (tmp_path / "out").exists()


def test_images_of_the_wrong_size_and_bad_models(
    octoview: Octoview,
    tmp_path: Path,
    log: Path,
    model: Path,
    make_log: Callable[..., Path],
    ticks: list[Images],
):
    small = cv2.imencode(".jpg", np.zeros((20, 30, 3), np.uint8))[1].tobytes()
    wrong = make_log([dict.fromkeys(ticks[0], small)], "wrong.mcap")
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(b"not a network")
    for arguments, words in (
        ((wrong, "--model", model), ("wrong.mcap", "30x20", "1280x960")),
        ((log, "--model", foreign), ("foreign.onnx",)),
        ((log, "--model", "absent.onnx"), ("absent.onnx", "no such model")),
    ):
        done = octoview("replay", *arguments, "--out", "out")
        assert done.code == 2
        (line,) = done.err.strip().splitlines()
        assert all(word in line for word in words), line
    assert not (tmp_path / "out").exists()


def test_bad_usage_is_exit_2(octoview: Octoview, tmp_path: Path, log: Path):
    assert octoview("replay", log, "--clock", "fast").code == 2
    assert octoview("replay", log, "--rate", "0").code == 2
    assert octoview("replay").code == 2


@pytest.mark.parametrize("verb", ["replay", "bench", "doctor"])
def test_help_shows_an_example(octoview: Octoview, tmp_path: Path, verb: str):
    done = octoview(verb, "--help")
    assert done.code == 0 and f"Example: octoview {verb}" in done.out


def test_bench_measures(octoview: Octoview, tmp_path: Path, model: Path):
    done = octoview(
        *("bench", "--model", model, "--engine", "onnxruntime", "--engine", "auto"),
        *("--ticks", 3, "--json", "b.json", "--report", "b.html"),
    )
    assert done.code == 0, done.err
    content = json.loads((tmp_path / "b.json").read_text())
    assert content["schema"] == "octoview.bench/4" and content["ticks"] == 3
    assert {b: v["images"] for b, v in content["engine_ms"].items()} == {"large": 4, "small": 4}
    assert 0 <= content["deadline"]["missed"] <= 3
    assert content["frames_per_second"] == pytest.approx(8 * content["ticks_per_second"], rel=0.05)
    assert "36 Hz" in done.out
    assert content["cold_start"]["seconds"] > 0 and content["cold_start"]["peak_memory_mb"] > 10
    one = content["single_image"]
    assert one["size"] == [640, 480] and one["seconds"]["p50"] > 0
    here = [name for name in ENGINES if missing(name) is None]
    assert [row["engine"].split()[0] for row in content["engines"]] == sorted(
        here, key="onnxruntime".__ne__
    )
    for row in content["engines"]:
        assert (row["file"], row["precision"], row["rounds"]) == (model.name, "fp32", 3)
        assert row["tick_seconds"]["p50"] > 0 and row["image_seconds"]["p50"] > 0
        assert 0 <= row["missed"] <= 3 and row["engine"] in done.out.replace("\n", "")
    assert "engine: as told" in done.out
    # The stand-in's only convolution: 1x1 from 3 colours to every class, at stride 4.
    assert one["floor"]["gmac"] == pytest.approx(160 * 120 * 3 * 12 / 1e9)
    assert "matrix peak" in done.out
    grown = content["growth"]
    assert [one["cameras"] for one in grown["cameras"]] == [1, 2, 4, 8, 16]
    assert [one["size"] for one in grown["pixels"]] == [
        *([320, 240], [640, 480]),
        *([960, 720], [1280, 960]),
    ]
    html = (tmp_path / "b.html").read_text()
    assert f"{content['latency_ms']['tick']['p50']:.0f} ms" in html
    assert html.count("<circle") == 9 and "http" not in html.replace("http-equiv", "")
    assert content["machine"]["cpu"] in html and "Power" not in html
    content["power"] = {
        "source": "tegrastats",
        "module_power_w": {"mean": 8.1, "min": 3.1, "max": 12.5},
    }
    write_bench_page(tmp_path / "b.html", content, [])
    assert "from tegrastats" in (tmp_path / "b.html").read_text()


def test_doctor_tells_what_is_there(octoview: Octoview, tmp_path: Path):
    done = octoview("doctor", "--json", "d.json")
    content = json.loads((tmp_path / "d.json").read_text())
    found = {(f["group"], f["name"]): f["state"] for f in content["findings"]}
    assert found["engines", "onnxruntime"] == "ok"
    assert all(found["codecs", name] == "ok" for name in ("jpeg", "png", "webp", "h264"))
    assert ("gpu", "nvidia") in found and ("simulator", "EGL") in found
    model = "ok" if shipped_model().is_file() else "failed"
    assert found["model", "nano.onnx"] == model
    assert content["ok"] == (model == "ok")
    assert done.code == (0 if content["ok"] else 1)


def test_the_loop_needs_no_torch(tmp_path: Path, log: Path, model: Path):
    program = (
        "import sys; sys.modules['torch'] = None; sys.modules['onnx'] = None;"
        "from deploy.cli import main;"
        f"sys.argv = ['octoview', 'replay', {str(log)!r}, '--model', {str(model)!r},"
        " '--out', 'out', '--no-mosaic'];"
        "main()"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
