"""`octoview replay --fault`: the fault is in the log, at its time, and nowhere else."""

from pathlib import Path

import pytest

from deploy.log.reader import LogReader
from tests.deploy.command_line import Octoview, command_line


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "replay")


def cameras(folder: Path) -> list[dict]:
    reader = LogReader(folder / "perception.mcap")
    return [m.decode()["cameras"] for m in reader.messages(["/perception/health"])]


def test_faults_strike_where_and_when_they_are_told(
    octoview: Octoview, log: Path, model: Path, tmp_path: Path
):
    done = octoview(
        *(log, "--model", model, "--out", tmp_path, "--no-mosaic"),
        *("--fault", "dead-1:rear@0.05-", "--fault", "nan:wide@0-0.05"),
    )
    assert done.code == 0, done.err
    assert "wide: no result in 2 of 4 ticks (output 'scene' of the network is not" in done.out
    ticks = cameras(tmp_path)
    assert [t["rear"]["status"] for t in ticks] == ["ok", "ok", "late", "late"]
    assert [t["rear"]["state"] for t in ticks][:3] == ["ok", "ok", "ok"]
    assert ["network" in t["wide"] for t in ticks] == [True, True, False, False]
    assert all(t[name]["state"] == "ok" for t in ticks for name in t if name != "rear")


def test_the_same_fault_gives_the_same_bytes(
    octoview: Octoview, log: Path, model: Path, tmp_path: Path
):
    for name in "ab":
        fault = ("--fault", "black:main,narrow@0.02-0.06", "--fault", "jitter:rear")
        done = octoview(log, "--model", model, "--out", tmp_path / name, "--no-mosaic", *fault)
        assert done.code == 0, done.err
        assert "main: blind in 2 of 4 ticks (dark: nothing is brighter" in done.out
    one, other = ((tmp_path / n / "perception.mcap").read_bytes() for n in "ab")
    assert one == other


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nosuch", "no such fault; choose dead-1"),
        ("black:roof", "has no camera roof, only main"),
        ("black@2-1", "ends before it starts"),
        ("black@1.2.3-4", "could not convert"),
        ("black:", "write NAME"),
        ("swapped:main", "name two cameras"),
    ],
)
def test_what_is_no_fault_is_one_line(
    octoview: Octoview, log: Path, model: Path, tmp_path: Path, fault: str, message: str
):
    done = octoview(log, "--model", model, "--out", tmp_path, "--fault", fault)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
