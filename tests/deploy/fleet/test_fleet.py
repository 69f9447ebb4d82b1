"""Many logs, one table: workers that are really killed lose nothing and count nothing twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from calib.rig import Rig
from deploy.errors import DeployError
from deploy.fleet import job as job_module
from deploy.fleet.fleet import run_fleet
from tests.deploy.command_line import command_line
from tests.deploy.conftest import write_log

pq = pytest.importorskip("pyarrow.parquet")

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def logs(tmp_path: Path, rig: Rig, ticks: list[dict[str, bytes]]) -> list[Path]:
    """Three logs, two of one name; each has another number of ticks."""
    found = []
    for count, name in ((1, "a/drive"), (2, "b/drive"), (3, "b/other")):
        path = tmp_path / "logs" / f"{name}.mcap"
        path.parent.mkdir(parents=True, exist_ok=True)
        found.append(write_log(path, rig, ticks[:count]))
    return found


def table(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def fleet(logs: list[Path], out: Path, model: Path, **options: Any) -> list[dict[str, Any]]:
    return table(run_fleet(logs, out, model, engine="onnxruntime", workers=2, **options))


def test_a_row_for_each_log_and_nothing_done_twice(
    logs: list[Path], model: Path, tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = fleet([*logs, logs[0]], tmp_path / "out", model)
    assert [row["log"] for row in rows] == [str(path) for path in sorted(logs)]
    assert [row["ticks"] for row in rows] == [1, 2, 3]
    assert [row["frames_ok"] for row in rows] == [8, 16, 24]
    assert {row["error"] for row in rows} == {""} and rows[2]["vehicle_on_map"] > 0

    def forbidden(self: object) -> None:
        raise AssertionError("ran again")

    monkeypatch.setattr(job_module.Job, "_replay", forbidden)
    assert fleet(logs, tmp_path / "out", model) == rows
    os.utime(logs[1])  # it changed: its row is no longer true
    with pytest.raises(AssertionError, match="ran again"):
        fleet(logs, tmp_path / "out", model)


def replays_into(folder: Path) -> list[int]:
    """Process ids of the replays that write into `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words and b"deploy.fleet.worker" in words:
            found.append(int(process.name))
    return found


def parent(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("PPid:")).split()[1])


class Killer:
    """Context manager: a thread that sends SIGKILL to the first `times` replays into `folder`, in
    the middle of their log; with `whole_worker` to the process that started them instead."""

    def __init__(self, folder: Path, times: int = 1, whole_worker: bool = False) -> None:
        self._folder, self._times, self._whole_worker = folder, times, whole_worker
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.victims: list[int] = []

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while len(self.victims) < self._times and not self._over.wait(0.02):
            if not list(self._folder.glob(".replay-*/perception.mcap*")):
                continue  # has not begun its log
            for process in replays_into(self._folder):
                with suppress(OSError):  # it may just have ended
                    victim = parent(process) if self._whole_worker else process
                    if victim not in self.victims:
                        os.kill(victim, signal.SIGKILL)
                        self.victims.append(victim)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes in /proc")
def test_a_worker_that_is_killed_is_started_again(
    logs: list[Path], model: Path, tmp_path: Path
) -> None:
    out = (tmp_path / "out").resolve()
    victim = job_module.Job(logs[2].resolve(), out, model.resolve(), "onnxruntime").folder
    with Killer(victim) as killer:
        rows = fleet(logs, out, model)
    assert len(killer.victims) == 1 and not list(out.glob("**/.replay-*"))
    assert [row["ticks"] for row in rows] == [1, 2, 3]
    assert [row["attempts"] for row in rows] == [1, 1, 2]


def gone(out: Path) -> None:
    """Wait until no replay into a folder of `out` is left."""
    waited_until = time.monotonic() + 30
    while any(replays_into(folder) for folder in out.iterdir()):
        assert time.monotonic() < waited_until, "replays outlive their fleet"
        time.sleep(0.02)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_fleet_that_was_ended_goes_on(
    logs: list[Path], model: Path, tmp_path: Path, end: signal.Signals
) -> None:
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "deploy.cli", "replay", "fleet", str(tmp_path / "logs/**/*.mcap")),
        *("--out", str(out), "--model", str(model), "--engine", "onnxruntime", "--workers", "1"),
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        waited_until = time.monotonic() + 120
        while not list(out.glob("*/row.json")) and time.monotonic() < waited_until:
            time.sleep(0.02)
        # SIGKILL for the fleet alone: its replays end by themselves.
        os.kill(process.pid, end) if end == signal.SIGKILL else os.killpg(process.pid, end)
    gone(out)
    done = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/row.json")}
    assert done and not (out / "fleet.parquet").exists()
    rows = fleet(logs, out, model)
    assert [row["ticks"] for row in rows] == [1, 2, 3]
    kept = {name: (out / name / "row.json").stat().st_mtime_ns for name in done}
    assert kept == done


def test_a_log_that_can_not_be_replayed_has_its_row(
    logs: list[Path],
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs[0].write_bytes(b"no log")
    octoview = command_line(monkeypatch, capsys, "replay", "fleet")
    done = octoview(tmp_path / "logs/**/*.mcap", "--out", tmp_path / "out", "--model", model)
    assert done.code == 1 and "3 logs, 1 failed" in done.out
    rows = table(tmp_path / "out" / "fleet.parquet")
    assert "is not an MCAP log" in rows[0]["error"] and rows[0]["ticks"] is None
    assert [row["ticks"] for row in rows[1:]] == [2, 3]
    done = octoview(tmp_path / "none*.mcap")
    assert done.code == 2 and "no log matches" in done.err


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:nothing"])
def test_an_address_without_a_cluster_is_said_at_once(
    logs: list[Path], model: Path, tmp_path: Path, address: str
) -> None:
    pytest.importorskip("ray")
    with pytest.raises(DeployError, match=f"--ray {address}: no cluster there"):
        fleet(logs, tmp_path / "out", model, ray_address=address)


def test_packages_that_are_missing_are_named(
    logs: list[Path], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DeployError, match=r"install octoview\[ray\]"):
        fleet(logs, tmp_path / "out", model, ray_address="local")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DeployError, match=r"install octoview\[fleet\]"):
        fleet(logs, tmp_path / "out", model)


def test_a_ray_worker_that_is_killed_loses_no_log_and_counts_none_twice(
    logs: list[Path], model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    out = (tmp_path / "out").resolve()
    victim = job_module.Job(logs[2].resolve(), out, model.resolve(), "onnxruntime").folder
    with Killer(victim, whole_worker=True) as killer:
        rows = fleet(logs, out, model, ray_address="local")
    assert len(killer.victims) == 1
    assert [row["log"] for row in rows] == [str(path) for path in sorted(logs)]
    assert [row["ticks"] for row in rows] == [1, 2, 3] and {row["error"] for row in rows} == {""}
    gone(out)  # the killed worker's replay went with it
    assert not list(out.glob("**/.replay-*"))


def test_a_log_whose_ray_workers_are_always_killed_has_its_row_and_is_tried_again(
    logs: list[Path], model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    out = (tmp_path / "out").resolve()
    victim = job_module.Job(logs[2].resolve(), out, model.resolve(), "onnxruntime").folder
    with Killer(victim, times=99, whole_worker=True) as killer:
        rows = fleet(logs, out, model, ray_address="local")
    assert len(killer.victims) == job_module.ATTEMPTS
    assert [row["ticks"] for row in rows] == [1, 2, None]
    assert "Ray worker was lost, 3 times" in rows[2]["error"]
    again = fleet(logs, out, model)  # elsewhere: the rows are the same
    assert [row["tick_ms_p50"] for row in again[:2]] == [row["tick_ms_p50"] for row in rows[:2]]
    assert again[2]["ticks"] == 3 and again[2]["error"] == ""
