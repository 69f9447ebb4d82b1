"""`octoview calibrate rig`: what it refuses, each in one line and with no file written."""

from pathlib import Path

import pytest

from tests.deploy.command_line import Octoview, command_line

TARGETS = "a: {first: [2, 0, 0], row_end: [2, -0.8, 0], column_end: [1.5, 0, 0]}\n"


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "calibrate", "rig")


@pytest.mark.parametrize(
    ("board", "targets", "line"),
    [
        ("chessboard:9x7:0.1", TARGETS.replace("1.5", "1.4"), "looks the same upside down"),
        ("chessboard:9x6:0.1", "[]", "holds no target"),
        ("chessboard:9x6:0.1", "a: {first: [0, 0, 0]}", "row_end"),
        ("chessboard:9x6:0.2", TARGETS, "0.800 m apart and 1.600 m on the board"),
        ("chessboard:9x6:0.1", TARGETS.replace("2, 0, 0", "2, 0, x"), "three numbers"),
        ("chessboard:9x6:0.1", TARGETS, "camera 'front' has no"),
    ],
)
def test_bad_input_is_one_line(
    octoview: Octoview, tmp_path: Path, board: str, targets: str, line: str
) -> None:
    (tmp_path / "pictures/front").mkdir(parents=True)
    (tmp_path / "t.yaml").write_text(targets)
    done = octoview(
        tmp_path / "pictures",
        *("--lenses", tmp_path, "--board", board),
        *("--targets", tmp_path / "t.yaml", "--out", tmp_path / "rig.yaml"),
    )
    assert done.code == 2, done.out
    assert line in done.err and "Traceback" not in done.err
    assert not (tmp_path / "rig.yaml").exists()
