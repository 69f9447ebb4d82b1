"""`octoview import` as a person runs it: exit codes and one-line errors."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from deploy.log.reader import LogReader
from tests.deploy.command_line import Octoview, command_line
from tests.deploy.importers.pictures import write_clip

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "import")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "front.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="bgr24")
        container.mux(stream.encode(grey))
        container.mux(stream.encode(None))
    return path


def test_video(octoview: Octoview, video: Path, tmp_path: Path) -> None:
    done = octoview("video", f"nose={video}", tmp_path / "o.mcap", "--hfov", "90")
    assert (done.code, "nose: 1 images" in done.out) == (0, True), done.err
    [camera] = LogReader(tmp_path / "o.mcap").rig
    assert camera.name == "nose" and camera.lens.fx == pytest.approx(32)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["dgp", "."], "no scene_*.json there"),
        (["teslacam", "gone"], "gone: no such folder"),
        (["openpilot", "gone"], "gone: no such folder"),
        (["rosbag", "gone.bag"], "gone.bag: no such bag"),
        (["nuscenes", "gone"], "gone: no v1.0-* with tables there"),
        (["kitti", "gone"], "gone: no such folder"),
        (["video", "gone.mp4"], "gone.mp4: no such video file"),
        (["video", "a=gone.mp4", "a=gone.mp4"], "camera 'a' has two videos"),
        (["video", "a=gone.mp4", "gone.mp4"], "names no camera; write CAMERA=gone.mp4"),
        (["video", "gone.mp4", "--rig", "gone.yaml"], "gone.yaml"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    octoview: Octoview, arguments: list[str], reason: str, tmp_path: Path
) -> None:
    options = arguments[arguments.index("--rig") :] if "--rig" in arguments else []
    plain = arguments[: len(arguments) - len(options)]
    done = octoview(*plain, tmp_path / "o.mcap", *options)
    assert done.code == 2
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("octoview: ") and reason in lines[0]
    assert not list(tmp_path.iterdir())


def test_teslacam(octoview: Octoview, tmp_path: Path) -> None:
    for second, camera in ((0, "front"), (0, "back"), (70, "front")):
        name = f"2024-05-01_17-{30 + second // 60}-{second % 60:02}-{camera}.mp4"
        write_clip(tmp_path / "event" / name, [50] * 3)
    done = octoview("teslacam", tmp_path / "event", tmp_path / "o.mcap")
    assert done.code == 0, done.err
    assert "main: 6 images" in done.out and "rear: 3 images" in done.out
    assert (
        "gap of 70 s before 2024-05-01 17:31:10" in done.out
        and "assumed, not calibrated" in done.out
    )


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_was_ended_leaves_no_log_and_goes_on(
    octoview: Octoview, tmp_path: Path, end: signal.Signals
) -> None:
    event, out = tmp_path / "event", tmp_path / "o.mcap"
    write_clip(event / "2024-05-01_17-30-00-front.mp4", [50] * 400)
    command = ["import", "teslacam", event, out]
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", *command],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        part = tmp_path / "o.mcap.part"
        waited_until = time.monotonic() + 120
        while time.monotonic() < waited_until and not part.exists():
            time.sleep(0.01)
        process.send_signal(end)
        _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in err and not out.exists() and part.exists()
    assert (b"o.mcap is not whole; the same command goes on" in err) == (end == signal.SIGINT)
    assert octoview(*command[1:]).code == 0
    assert octoview("teslacam", event, tmp_path / "whole.mcap").code == 0
    assert out.read_bytes() == (tmp_path / "whole.mcap").read_bytes()
    assert sum(1 for _ in LogReader(out).images()) == 400 and not part.exists()
