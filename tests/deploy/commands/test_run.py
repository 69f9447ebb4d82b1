"""`octoview run` as a process: it ends cleanly on SIGTERM, and SIGKILL costs a second at most."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.log.reader import LogReader
from tests.deploy.command_line import Octoview, command_line

ROOT = Path(__file__).parents[3]


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "run")


@pytest.fixture
def config(tmp_path: Path, rig, ticks) -> Path:
    """Two cameras that never end, from folders of images."""
    from calib.rig import Rig, save_rig

    save_rig(Rig("two", (rig["left_pillar"], rig["rear"])), tmp_path / "rig.yaml")
    for name in ("left_pillar", "rear"):
        (tmp_path / name).mkdir()
        for index, tick in enumerate(ticks):
            (tmp_path / name / f"{index}.jpg").write_bytes(tick[name])
    path = tmp_path / "run.yaml"
    path.write_text(
        "rig: rig.yaml\ncameras:\n"
        "  left_pillar: {images: left_pillar, rate_hz: 10, loop: true}\n"
        "  rear: {images: rear, rate_hz: 10, loop: true}\n"
    )
    return path


@pytest.fixture
def running(config: Path, model: Path, tmp_path: Path) -> Iterator[subprocess.Popen]:
    """The command, recording for long enough that something was flushed."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(tmp_path / "notify"))
    receiver.settimeout(60)
    options = ["--record", str(tmp_path / "drive"), "--json", str(tmp_path / "summary.json")]
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "run", str(config), "--model", str(model), *options],
        cwd=ROOT,
        env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PYTHONPATH": path()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert receiver.recv(100) == b"READY=1"
        end = time.monotonic() + 60
        while not any(log.stat().st_size > 50_000 for log in (tmp_path / "drive").glob("*")):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()
        receiver.close()


def path() -> str:
    return os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


def test_sigterm_ends_cleanly(running: subprocess.Popen, tmp_path: Path):
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    (log,) = (tmp_path / "drive").iterdir()
    reader = LogReader(log)
    assert not reader.truncated
    summary = json.loads((tmp_path / "summary.json").read_text())
    ticks = sum(1 for _ in reader.messages(["/perception/health"]))
    assert ticks == summary["counts"]["ticks"] and summary["not_recorded_ticks"] == 0
    assert f"{ticks} ticks, " in out


def test_sigkill_leaves_a_log_that_opens(running: subprocess.Popen, tmp_path: Path):
    time.sleep(1.5)
    killed_ns = time.time_ns()
    running.kill()
    running.communicate(timeout=60)
    (log,) = (tmp_path / "drive").iterdir()
    reader = LogReader(log)
    assert reader.truncated
    stamps = [m.stamp_ns for m in reader.messages(["/perception/health"])]
    steps = [b - a for a, b in itertools.pairwise(stamps)]
    # The last second, and what a busy machine takes for a tick and a flush.
    assert killed_ns - stamps[-1] < 1_000_000_000 + 5 * max(steps)
    assert len(list(reader.images())) >= 2 * len(stamps) - 2


def test_a_log_runs_as_if_it_were_live(octoview: Octoview, log: Path, model: Path, tmp_path: Path):
    done = octoview(
        log, "--model", model, "--record", tmp_path / "d", "--json", tmp_path / "s.json"
    )
    assert done.code == 0, done.err
    counts = json.loads((tmp_path / "s.json").read_text())["counts"]
    assert counts["images"] == 32 and counts["ticks"] + counts["dropped"] >= 4
    assert "frame sets dropped" in done.out


def test_what_is_wrong_is_one_line(octoview: Octoview, tmp_path: Path, log: Path, model: Path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("rig: hw2\ncameras: {main: {video: none.mp4}}\n")
    (tmp_path / "file").write_text("")
    for arguments, message in (
        ((tmp_path / "none.yaml",), "no such file"),
        ((bad,), "no source for narrow"),
        ((log, "--model", log), "is no model"),
        ((log, "--model", model, "--record", tmp_path / "file"), "can't be made"),
    ):
        done = octoview(*arguments)
        assert done.code == 2 and message in done.err and done.err.count("\n") == 1
