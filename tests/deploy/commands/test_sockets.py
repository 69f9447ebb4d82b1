"""What listens while `octoview` runs, replays and shows: nothing, or this machine alone."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.sockets import listening, seen_listening

ROOT = Path(__file__).parents[3]
PATHS = {"PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command as a process, which ends with the test."""
    processes = []

    def begin(*arguments: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", *map(str, arguments)],
            env=os.environ | PATHS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def test_a_socket_that_listens_is_seen() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        assert listening(os.getpid()) == set()
        one.listen()
        assert listening(os.getpid()) == {f"127.0.0.1:{one.getsockname()[1]}"}


def test_a_run_listens_nowhere(start: Start, log: Path, model: Path, tmp_path: Path) -> None:
    process = start("run", log, "--model", model, "--record", tmp_path / "d", "--rate", 0.2)
    assert seen_listening(process, 60) == set()
    assert process.wait() == 0 and list((tmp_path / "d").glob("*.mcap"))


def test_metrics_listen_on_the_loopback_alone(start: Start, log: Path, model: Path) -> None:
    process = start("run", log, "--model", model, "--metrics", 0, "--rate", 0.05)
    end = time.monotonic() + 60
    while not (found := listening(process.pid)):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    (address,) = found
    assert address.startswith("127.0.0.1:")


def test_a_replay_listens_nowhere(start: Start, log: Path, model: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    process = start("replay", log, "--model", model, "--out", tmp_path / "o", "--html", page)
    assert seen_listening(process, 60) == set()
    assert process.wait() == 0 and page.exists()


def test_the_viewer_listens_on_the_loopback_alone(log: Path) -> None:
    """By its own words: without a screen it ends as soon as it has begun to listen."""
    pytest.importorskip("rerun")
    command = [sys.executable, "-m", "deploy.cli", "view", str(log)]
    hidden = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    process = subprocess.run(
        command, env=hidden | PATHS, capture_output=True, text=True, check=False, timeout=120
    )
    told = re.findall(r"[Ll]istening .*? on (\S+):\d+", process.stderr)
    assert told == ["127.0.0.1"], process.stderr


def test_a_recording_for_the_viewer_is_written_without_listening(
    start: Start, log: Path, tmp_path: Path
) -> None:
    pytest.importorskip("rerun")
    process = start("view", log, "--save", tmp_path / "o.rrd")
    assert seen_listening(process, 60) == set()
    assert process.wait() == 0 and (tmp_path / "o.rrd").exists()
