"""The keys of `octoview replay --clock real`, pressed on a real (pseudo) terminal."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from calib.rig import Rig
from deploy.commands.keys import Keys, _split
from deploy.log.reader import LogReader
from deploy.loop.controls import BACK, FORWARD
from tests.deploy.conftest import write_log

ROOT = Path(__file__).resolve().parents[3]


def test_arrows_between_letters() -> None:
    assert _split("s\x1b[C\x1b[D \x1bOCq") == ["s", FORWARD, BACK, " ", FORWARD, "q"]


def test_keys_come_at_once_and_the_terminal_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        before = termios.tcgetattr(theirs)
        with Keys() as keys:
            assert keys.read(0) == ""
            os.write(ours, b"s\x1b[C")  # no Return
            assert [keys.read(5), keys.read(0), keys.read(0)] == ["s", FORWARD, ""]
        assert termios.tcgetattr(theirs) == before
    os.close(ours)


def test_pause_step_and_end_on_a_terminal(
    tmp_path: Path, rig: Rig, model: Path, ticks: list[dict[str, bytes]]
) -> None:
    """A paused run waits for ever; each s plays a tick; q ends it with the results so far."""
    log = write_log(tmp_path / "long.mcap", rig, ticks * 50)  # 5.5 s
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "deploy.cli", "replay", str(log), "--model", str(model)),
            *("--out", str(tmp_path / "out"), "--clock", "real", "--no-mosaic"),
            *("--cameras", "main,rear", "--loop", "0"),
        ],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""

    def read_until(text: bytes) -> None:
        nonlocal shown
        waited_until = time.monotonic() + 120
        while text not in shown and time.monotonic() < waited_until:
            if select.select([ours], [], [], 1)[0]:
                try:
                    shown += os.read(ours, 4096)
                except OSError:  # the other end has gone
                    break
        assert text in shown, shown[-2000:]

    read_until(b"space: pause")
    os.write(ours, b" ")
    time.sleep(1)
    assert process.poll() is None
    os.write(ours, b"sssq")
    try:
        read_until(b"wrote ")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    reader = LogReader(tmp_path / "out" / "perception.mcap")
    assert reader.rig.names == ("main", "rear")
    assert 3 <= sum(1 for _ in reader.messages(["/perception/objects"])) < 200
