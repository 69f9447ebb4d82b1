"""`octoview import` as a person runs it: exit codes and one-line errors."""

from pathlib import Path

import av
import numpy as np
import pytest

from deploy.log.reader import LogReader
from tests.deploy.command_line import Octoview, command_line


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


@pytest.mark.parametrize("kind", ["dgp", "video"])
def test_help_shows_an_example(octoview: Octoview, kind: str) -> None:
    done = octoview(kind, "--help")
    assert done.code == 0 and f"octoview import {kind}" in done.out
