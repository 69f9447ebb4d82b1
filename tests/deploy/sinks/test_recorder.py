"""The recorder: everything on disk within a second, in logs that open, whatever the disk does."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calib.rig import Rig
from deploy.log.reader import EncodedImage, LogReader
from deploy.loop.ego_map import EgoMap, GridSpec
from deploy.loop.frames import Frame, FrameSet
from deploy.loop.pipeline import TickResult
from deploy.sinks import recorder as recorder_module
from deploy.sinks.recorder import Limits, Recorder

START = 1_700_000_000_000_000_000
GRID = GridSpec(x_min=0, x_max=2, y_min=0, y_max=2)


@pytest.fixture
def small(rig: Rig) -> Rig:
    return Rig("small", (rig["main"],))


def tick(index: int, size: int = 100_000) -> TickResult:
    """A tick with an image of `size` bytes that no compression makes smaller."""
    stamp = START + index * 100_000_000
    data = np.random.default_rng(index).bytes(size)
    image = EncodedImage("main", stamp, data, "jpeg", sequence=index)
    pixels = np.zeros((960, 1280, 3), np.uint8)
    frame = Frame("main", "ok", stamp, pixels, image)
    ego = EgoMap(GRID, np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape, np.bool_), ())
    return TickResult(FrameSet(index, stamp, {"main": frame}), {}, ego, frozenset())


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def feed(recorder: Recorder, first: int, last: int, size: int = 100_000) -> None:
    """Write ticks one after the other, as the thread takes them."""
    for index in range(first, last):
        recorder.write(tick(index, size))
        until(recorder._ticks.empty)


def recorded(folder: Path) -> list[int]:
    """Sequence numbers of all images in all logs, in order of the logs' names."""
    logs = sorted(folder.glob("*.mcap"))
    return [image.sequence for log in logs for image in LogReader(log).images()]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_FLUSH_S", 0.05)


def test_it_records_and_ends_well(tmp_path: Path, small: Rig):
    with Recorder(tmp_path / "drive", small) as recorder:
        feed(recorder, 0, 12)
    (log,) = (tmp_path / "drive").iterdir()
    assert log.name == "000001-20231114T221320Z.mcap"
    assert recorded(tmp_path / "drive") == list(range(12))
    assert not LogReader(log).truncated
    assert recorder.state.dropped == 0 and recorder.state.written_mib > 1


def test_an_open_log_can_be_read_up_to_the_last_flush(tmp_path: Path, small: Rig):
    with Recorder(tmp_path, small) as recorder:
        feed(recorder, 0, 5)
        until(lambda: recorder.state.written_mib > 0.4)
        (log,) = tmp_path.iterdir()
        assert len(list(LogReader(log).images())) == 5
        assert LogReader(log).truncated


def test_a_power_cut_costs_what_was_not_yet_synced(
    tmp_path: Path, small: Rig, monkeypatch: pytest.MonkeyPatch
):
    """What the system has not been told to bring to the disk is taken for lost."""
    synced: list[tuple[Path, int]] = []
    names = []
    fdatasync, fsync = os.fdatasync, os.fsync

    def data_synced(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        fdatasync(descriptor)
        log = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((log, size))

    def name_synced(descriptor: int) -> None:
        fsync(descriptor)
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fdatasync", data_synced)
    monkeypatch.setattr(os, "fsync", name_synced)
    with Recorder(tmp_path / "drive", small) as recorder:
        for first in (0, 5, 10):
            feed(recorder, first, first + 5)
            before = len(synced)  # one may be under way that began before the last tick
            until(lambda before=before: len(synced) > before + 2)
            log, size = synced[-1]
            cut = tmp_path / "cut.mcap"
            cut.write_bytes(log.read_bytes()[:size])
            assert [image.sequence for image in LogReader(cut).images()] == list(range(first + 5))
    assert names == [tmp_path / "drive"]


def test_logs_are_rotated_by_size_and_the_oldest_deleted_only_when_asked(
    tmp_path: Path, small: Rig
):
    with Recorder(tmp_path / "all", small, Limits(file_mib=0.5)) as recorder:
        for index in range(30):
            feed(recorder, index, index + 1)
            time.sleep(0.01)
    logs = sorted((tmp_path / "all").iterdir())
    assert len(logs) >= 3 and recorded(tmp_path / "all") == list(range(30))
    assert [int(log.name[:6]) for log in logs] == list(range(1, len(logs) + 1))

    limits = Limits(file_mib=0.5, keep_gib=1.5 / 1024)
    other = tmp_path / "some" / "mine.mcap"
    other.parent.mkdir()
    other.write_bytes(bytes(3_000_000))
    with Recorder(tmp_path / "some", small, limits) as recorder:
        for index in range(60):
            feed(recorder, index, index + 1)
            time.sleep(0.01)
    assert other.exists()  # not one of ours
    other.unlink()
    kept = recorded(tmp_path / "some")
    assert kept == list(range(kept[0], 60)) and kept[0] > 0
    assert sum(log.stat().st_size for log in (tmp_path / "some").iterdir()) < 2.5 * 2**20


def test_numbers_go_on_after_a_restart(tmp_path: Path, small: Rig):
    for first in (0, 3):
        with Recorder(tmp_path, small) as recorder:
            feed(recorder, first, first + 3)
    assert [log.name[:6] for log in sorted(tmp_path.iterdir())] == ["000001", "000002"]
    assert recorded(tmp_path) == list(range(6))


def test_it_never_blocks_the_loop(tmp_path: Path, small: Rig, monkeypatch: pytest.MonkeyPatch):
    """A disk that hangs: ticks are dropped and counted, memory is bounded."""
    recorder = Recorder(tmp_path, small)  # its thread does not run
    for index in range(20):
        recorder.write(tick(index, 10))
    assert recorder.state.dropped == 20 - recorder_module._QUEUE_TICKS
    assert recorder._ticks.get().frames.frames["main"].image is None


def test_a_disk_that_syncs_slowly_keeps_nothing_from_the_file(
    tmp_path: Path, small: Rig, monkeypatch: pytest.MonkeyPatch
):
    asked, done = threading.Event(), threading.Event()

    def fdatasync(descriptor: int) -> None:
        asked.set()
        assert done.wait(30)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with Recorder(tmp_path, small) as recorder:
        feed(recorder, 0, 3)
        until(asked.is_set)
        feed(recorder, 3, 12)
        until(lambda: recorder.state.written_mib > 1.1)
        assert recorded(tmp_path) == list(range(12))
        done.set()
    assert recorder.state.dropped == 0 and not recorder.state.paused


def test_a_disk_that_fails_to_sync_is_told_and_another_log_begun(
    tmp_path: Path, small: Rig, monkeypatch: pytest.MonkeyPatch
):
    broken = [OSError(5, "Input/output error")]

    def fdatasync(descriptor: int) -> None:
        if broken:
            raise broken.pop()

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with Recorder(tmp_path, small) as recorder:
        feed(recorder, 0, 3)
        until(lambda: "Input/output error" in recorder.state.paused)
        until(lambda: bool(feed(recorder, 3, 4)) or not recorder.state.paused)
    assert recorded(tmp_path)[:3] == [0, 1, 2] and len(list(tmp_path.iterdir())) == 2


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_recording_and_room_resumes_it(tiny_disk: Path, small: Rig):
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    with Recorder(tiny_disk, small, Limits(room_mib=0.5)) as recorder:
        index = 0
        while not recorder.state.paused:
            feed(recorder, index, index + 1)
            time.sleep(0.02)
            index += 1
            assert index < 60
        assert "No space left" in recorder.state.paused
        feed(recorder, index, index + 5)
        assert recorder.state.paused and recorder.state.dropped >= 5
        before = recorded(tiny_disk)
        assert before == list(range(len(before))) and index - len(before) <= 4
        assert recorder.state.dropped == index + 5 - len(before)
        ballast.unlink()
        (only,) = tiny_disk.iterdir()
        index += 5
        resumed = index
        until(lambda: bool(feed(recorder, index, index + 1)) or not recorder.state.paused)
        feed(recorder, resumed + 1, resumed + 4)
    after = recorded(tiny_disk)
    assert after[: len(before)] == before
    assert set(after[len(before) :]) >= set(range(resumed + 1, resumed + 4))
    assert LogReader(only).truncated and len(list(tiny_disk.iterdir())) == 2


def test_asked_to_it_makes_room_itself(tiny_disk: Path, small: Rig):
    limits = Limits(file_mib=0.5, keep_gib=1.0, room_mib=0.5)
    with Recorder(tiny_disk, small, limits) as recorder:
        for index in range(60):
            feed(recorder, index, index + 1)
            time.sleep(0.02)
    kept = recorded(tiny_disk)
    assert kept == sorted(kept) and kept[0] > 0 and kept[-1] >= 55


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = {path!r}
import test_recorder as t
from deploy.sinks.recorder import Recorder
from calib.rig import Rig, load_rig
t.recorder_module._FLUSH_S = 0.05
resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, resource.RLIM_INFINITY))
with Recorder(Path({folder!r}), Rig("small", (load_rig("hw2")["main"],))) as recorder:
    for index in range(20):
        t.feed(recorder, index, index + 1)
        t.time.sleep(0.02)
    print(recorder.state.paused or recorder.state.dropped)
"""


def test_a_write_that_fails_in_the_middle_leaves_a_log_that_opens(tmp_path: Path):
    """The system refuses files beyond 700 kB, in the middle of a chunk."""
    folder = tmp_path / "logs"
    code = LIMITED.format(path=[str(Path(__file__).parent), str(Path.cwd())], folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    logs = sorted(folder.glob("*.mcap"))
    assert len(logs) >= 2  # it went on in another one
    numbers = recorded(folder)
    assert numbers == sorted(set(numbers)) and len(numbers) > 10


def test_health_in_the_log_keeps_receive_times(tmp_path: Path, small: Rig):
    one = tick(0)
    frame = one.frames.frames["main"]
    image = replace(frame.encoded, received_ns=START + 5)
    live = replace(
        one, frames=FrameSet(0, START, {"main": replace(frame, encoded=image)}), stages_ms={}
    )
    with Recorder(tmp_path, small) as recorder:
        recorder.write(live)
    (log,) = tmp_path.iterdir()
    (message,) = LogReader(log).messages(["/perception/health"])
    assert message.decode()["cameras"]["main"]["received_ns"] == START + 5


def test_a_recording_cut_anywhere_reads_up_to_the_cut(tmp_path: Path, small: Rig):
    with Recorder(tmp_path / "drive", small) as recorder:
        for index in range(20):
            feed(recorder, index, index + 1, 20_000)
            time.sleep(0.01)
    (log,) = (tmp_path / "drive").iterdir()
    whole, cut, before = log.read_bytes(), tmp_path / "cut.mcap", 0
    for size in range(8_192, len(whole), 4_096):
        cut.write_bytes(whole[:size])
        found = [m.sequence for m in LogReader(cut).messages(["/camera/main/image"])]
        assert found == list(range(len(found))) and before <= len(found)
        before = len(found)
    assert before >= 19
