"""Bad input to every command: one line that names it, exit code 2, nothing written."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import typer

from calib.rig import BUILT_IN, Rig
from deploy.cli import app
from deploy.log.writer import LogWriter
from perception.spec import SPEC_HASH_KEY, SPEC_KEY, ModelSpec
from tests.deploy.command_line import Octoview, command_line
from tests.deploy.conftest import START_NS, write_log
from tests.deploy.stand_in import write_model

ROOT = Path(__file__).resolve().parents[3]

training = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("safetensors") is None, reason="needs octoview[train]"
)


@pytest.fixture
def octoview(
    bad: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Octoview:
    """Run the command line in the folder of bad things, by the function that the script calls."""
    monkeypatch.chdir(bad)

    return command_line(monkeypatch, capsys)


@pytest.fixture(scope="module")
def bad(
    tmp_path_factory: pytest.TempPathFactory,
    log: Path,
    model: Path,
    spec: ModelSpec,
    rig: Rig,
    ticks: list[dict[str, bytes]],
) -> Path:
    """A folder of bad things, and good.mcap, good.onnx and good.mp4."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty").mkdir()
    (folder / "text").write_text("neither a log nor a model, picture or video\n")
    (folder / "mine.txt").write_text("not yours to delete")
    (folder / "good.mcap").write_bytes(log.read_bytes())
    (folder / "good.onnx").write_bytes(model.read_bytes())
    _write_logs(folder, rig, ticks)
    _write_models(folder, spec)
    _write_rigs(folder)
    _write_video(folder / "good.mp4", [np.full((48, 64, 3), 90, np.uint8)])
    _write_video(folder / "no_frames.mkv", [])
    (folder / "blocked" / "report.json").mkdir(parents=True)
    (folder / "scene").mkdir()
    (folder / "scene" / "scene_1.json").write_text('{"samples": ')
    (folder / "views").mkdir()
    (folder / "views" / "index.json").write_text('{"views": []}')
    return folder


def _write_logs(folder: Path, rig: Rig, ticks: list[dict[str, bytes]]) -> None:
    (folder / "empty.mcap").write_bytes(b"")
    (folder / "start.mcap").write_bytes((folder / "good.mcap").read_bytes()[:20])
    with LogWriter(folder / "no_calibration.mcap") as log:
        log.image("main", START_NS, ticks[0]["main"])
    with LogWriter(folder / "no_images.mcap") as log:
        log.rig(rig, START_NS)
    small = cv2.imencode(".jpg", np.zeros((20, 30, 3), np.uint8))[1].tobytes()
    write_log(folder / "wrong_size.mcap", rig, [dict.fromkeys(rig.names, small)])
    write_log(folder / "no_jpeg.mcap", rig, [dict.fromkeys(rig.names, b"")])


def _write_models(folder: Path, spec: ModelSpec) -> None:
    (folder / "cut.onnx").write_bytes((folder / "good.onnx").read_bytes()[:1000])
    (folder / "text.engine").write_text("plans?")
    write_model(folder / "no_spec.onnx", spec, {})
    write_model(folder / "bad_spec.onnx", spec, {SPEC_KEY: '{"preset":', SPEC_HASH_KEY: "0"})
    other = {SPEC_KEY: spec.to_json(), SPEC_HASH_KEY: "0" * 64}
    write_model(folder / "other_hash.onnx", spec, other)


def _write_rigs(folder: Path) -> None:
    text = BUILT_IN["hw2"].read_text(encoding="utf-8")
    for name, old, new in (
        ("nan", "fx: 1406.4", "fx: .nan"),
        ("short", "distortion: [-0.12, 0.05, 0.0002, -0.0003, 0.0]", "distortion: [-0.12, 0.05]"),
        ("twice", "name: narrow", "name: main"),
        ("unknown", "rate_hz: 36", "rate_hz: 36\n    colour: red"),
        ("yaml", "\ncameras:", "\ncameras: ["),
    ):
        assert old in text
        (folder / f"{name}.yaml").write_text(text.replace(old, new, 1))


def _write_video(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        if frames:
            container.mux(stream.encode(None))


REPLAY = "replay good.mcap --out new --model"
GOOD = f"{REPLAY} good.onnx"
VIDEO = "import video main=good.mp4 new.mcap --rig"
TRAIN = "train --out new --steps 1 --data"

CASES = [
    # Logs
    ("replay gone.mcap --model good.onnx --out new", "gone.mcap: no such log; check the path"),
    ("replay empty --model good.onnx --out new", "empty: is a folder"),
    ("replay empty.mcap --model good.onnx --out new", "empty.mcap: is empty"),
    ("replay text --model good.onnx --out new", "text: is not an MCAP log"),
    ("replay start.mcap --model good.onnx --out new", "start.mcap: no foxglove.CameraCalib"),
    ("replay no_calibration.mcap --model good.onnx --out new", "no_calibration.mcap: no foxg"),
    ("replay no_images.mcap --model good.onnx --out new", "no_images.mcap: no foxglove.Compr"),
    ("replay wrong_size.mcap --model good.onnx --out new", "image is 30x20, calibration says"),
    ("replay no_jpeg.mcap --model good.onnx --out new", "no_jpeg.mcap: none of its images"),
    # Models
    (f"{REPLAY} gone.onnx", "gone.onnx: no such model"),
    (f"{REPLAY} empty", "empty: no such model"),
    (f"{REPLAY} text", "text: is no model that onnxruntime"),
    (f"{REPLAY} cut.onnx", "cut.onnx: is no model that onnxruntime"),
    (f"{REPLAY} no_spec.onnx", "no_spec.onnx: has no 'octoview.spec'"),
    (f"{REPLAY} bad_spec.onnx", "bad_spec.onnx: model spec: "),
    (f"{REPLAY} other_hash.onnx", "other_hash.onnx: spec hash is 000000000000, its spec gives"),
    ("bench --model text", "text: is no model that onnxruntime"),
    (f"{REPLAY} text.engine", "text.engine: is no engine file that can be read"),
    (f"{REPLAY} gone.engine", "gone.engine: no such engine; check the path"),
    (f"{GOOD} --engine onyx", "--engine onyx: unknown; choose auto, tensorrt, tensorrt-rtx"),
    # Places to write to
    (f"{GOOD} --out text", "text: is a file; name a folder"),
    (f"{GOOD} --out text/new", "text/new: can't be written"),
    (f"{GOOD} --out blocked", "blocked/report.json: is a folder in the way"),
    (f"{GOOD} --json empty", "--json empty: is a folder"),
    (f"{GOOD} --json text/new.json", "--json text/new.json: text is a file"),
    ("doctor --json text/deep/new.json", "--json text/deep/new.json: text is a file"),
    ("import video good.mp4 text/new.mcap", "text/new.mcap: can't be written"),
    ("import video good.mp4 .", ".: is a folder"),
    ("import video good.mp4 mine.txt", "mine.txt: is no name of a log; end it with .mcap"),
    # Datasets
    ("evaluate camvid empty", "empty/val: no such folder"),
    ("evaluate camvid . --split empty", "emptyannot: no such folder"),
    ("evaluate sim empty", "empty/index.json: No such file"),
    ("evaluate sim text", "text/index.json: Not a directory"),
    ("evaluate sim views", "views/index.json: scene_classes"),
    ("import dgp empty new.mcap", "empty: no scene_*.json there"),
    ("import dgp text new.mcap", "text: not DGP Scene"),
    ("import dgp scene new.mcap", "scene/scene_1.json: not DGP Scene"),
    # Videos and rigs
    ("import video gone.mp4 new.mcap", "gone.mp4: no such video file"),
    ("import video text new.mcap", "text: is not a video that can be read"),
    ("import video no_frames.mkv new.mcap", "no_frames.mkv: "),
    ("import video a=good.mp4 a=good.mp4 new.mcap", "camera 'a' has two videos"),
    ("import video good.mp4 new.mcap --hfov nan", "field of view is nan degrees"),
    (f"{VIDEO} gone.yaml", "gone.yaml: no such file; give a rig file or a built-in name"),
    (f"{VIDEO} nan.yaml", "nan.yaml: camera 'main': lens: fx is nan; give"),
    (f"{VIDEO} short.yaml", "short.yaml: camera 'main': lens: distortion has 2 values; a"),
    (f"{VIDEO} twice.yaml", "twice.yaml: camera 'main' is listed twice"),
    (f"{VIDEO} unknown.yaml", "camera 'main': colour is an unknown key with value 'red'; remove"),
    (f"{VIDEO} yaml.yaml", "yaml.yaml: not valid YAML: line"),
    (f"{VIDEO} hw2", "good.mp4: frame is 64x48, but camera 'main' of the rig is 1280x960"),
]

TRAINING_CASES = [
    (f"{TRAIN} sim:empty", "empty/index.json: No such file"),
    (f"{TRAIN} sim:views@0", "--data sim:views@0: weight 0 must be over 0"),
    (f"{TRAIN} views", "dataset 'views' is not NAME:PATH"),
    (f"{TRAIN} sim:views --preset giant", "preset 'giant' is unknown; choose base or nano"),
    ("export gone.safetensors --out new.onnx", "gone.safetensors: no such checkpoint"),
    ("export text --out new.onnx", "text: not a readable safetensors file"),
]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below `folder`, hidden ones as well, with what the file holds."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("command", "message"),
    [*CASES, *(pytest.param(*case, marks=training) for case in TRAINING_CASES)],
)
def test_one_line_exit_2_and_nothing_written(
    octoview: Octoview, bad: Path, command: str, message: str
) -> None:
    before = contents(bad)
    done = octoview(*command.split())
    assert done.code == 2
    [line] = done.err.splitlines()
    assert line.startswith("octoview: ") and message in line
    assert len(line) < 500
    assert contents(bad) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("replay", "Missing argument"),
        (f"{GOOD} --clock sundial", "sundial"),
        (f"{GOOD} --rate 0", "--rate"),
        (f"{GOOD} --rate -1", "--rate"),
        (f"{GOOD} --clock real --rate nan", "--rate"),
        ("bench --ticks 0", "--ticks"),
        (f"{TRAIN} sim:views --steps 0", "--steps"),
        (f"{TRAIN} sim:views --learning-rate nan", "--learning-rate"),
        (f"{TRAIN} sim:views --learning-rate inf", "--learning-rate"),
        ("sim log new.mcap --seconds -1", "--seconds"),
        ("sim views new --views 0", "--views"),
        ("fly", "No such command"),
    ],
)
def test_bad_usage_is_exit_2(octoview: Octoview, bad: Path, command: str, message: str) -> None:
    before = contents(bad)
    done = octoview(*command.split())
    assert done.code == 2 and message in done.err and "Traceback" not in done.err
    assert contents(bad) == before


def test_replay_replaces_its_own_results_only(
    octoview: Octoview, tmp_path: Path, log: Path, model: Path
) -> None:
    """A mosaic of an older run beside newer results would be taken for theirs."""
    for name in ("mine.txt", "mosaic.mp4", "report.json"):
        (tmp_path / name).write_text("old")
    done = octoview("replay", log, "--model", model, "--out", tmp_path, "--no-mosaic")
    assert done.code == 0, done.err
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["mine.txt", "perception.mcap", "report.json"]
    assert (tmp_path / "mine.txt").read_text() == "old"
    assert json.loads((tmp_path / "report.json").read_text())["ticks"] == 4


def _commands(group: typer.core.TyperGroup, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from _commands(command, *path, name)
        else:
            yield (*path, name)


ALL = list(_commands(typer.main.get_group(app)))


def test_all_commands_are_found() -> None:
    assert {path[0] for path in ALL} >= {"sim", "import", "train", "evaluate", "export", "replay"}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_shows_an_example(octoview: Octoview, path: tuple[str, ...]) -> None:
    done = octoview(*path, "--help")
    text = " ".join(done.out.split())
    assert done.code == 0 and "Example" in text and f"octoview {' '.join(path)} " in text


def _start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, piped, in a bare environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", *map(str, arguments)],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Control-C, and so would what a test run there starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_in_a_process_of_its_own(bad: Path, tmp_path: Path) -> None:
    done = _start("replay", bad / "text", "--out", "new", cwd=tmp_path)
    out, err = done.communicate(timeout=120)
    assert (done.returncode, out) == (2, "")
    assert err.startswith(f"octoview: {bad / 'text'}: ") and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_control_c_ends_replay_without_a_trace(
    rig: Rig, model: Path, ticks: list[dict[str, bytes]], tmp_path: Path
) -> None:
    log = write_log(tmp_path / "long.mcap", rig, ticks * 20)
    process = _start("replay", log, "--model", model, "--out", "new", cwd=tmp_path)
    waited_until = time.monotonic() + 120
    while not any(tmp_path.glob(".replay-*/*")) and time.monotonic() < waited_until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err and "\x1b" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["long.mcap"]
