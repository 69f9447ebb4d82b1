"""Signs of life arrive at a real datagram socket, and stop when the loop or its engine does."""

import socket
import time
from pathlib import Path

import pytest

from deploy.health.watchdog import Watchdog


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(tmp_path / "notify"))
    receiver.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "80000")
    return receiver


def test_it_is_ready_alive_and_stopping(systemd: socket.socket):
    with Watchdog() as watchdog:
        assert systemd.recv(100) == b"READY=1"
        for _ in range(50):
            watchdog.beat()
            if systemd.recv(100) == b"WATCHDOG=1":
                break
        else:
            pytest.fail("no sign of life")
    while (last := systemd.recv(100)) != b"STOPPING=1":
        assert last in (b"WATCHDOG=1", b"STATUS=loop or engine hangs")


@pytest.mark.parametrize("hangs", ["loop", "engine"])
def test_it_is_silent_when_something_hangs(systemd: socket.socket, hangs: str):
    with Watchdog(lambda: hangs != "engine") as watchdog:
        if hangs == "loop":
            time.sleep(0.05)  # no beat for more than half the time allowed
        else:
            watchdog.beat()
        assert not watchdog.alive
        heard = [systemd.recv(100) for _ in range(4)]
        assert heard[0] == b"READY=1" and heard[-1] == b"STATUS=loop or engine hangs"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with Watchdog() as watchdog:
        assert watchdog.alive


def test_a_listener_that_never_reads_does_not_keep_the_loop(systemd: socket.socket):
    """Datagrams wait in a short queue, and a sender that waits for room waits for ever."""
    for _ in range(100):
        with Watchdog() as watchdog:
            watchdog.beat()
    assert systemd.recv(100) == b"READY=1"


def test_a_listener_that_went_away_does_no_harm(systemd: socket.socket, tmp_path: Path):
    systemd.close()
    (tmp_path / "notify").unlink()
    with Watchdog() as watchdog:
        watchdog.beat()
