"""The live loop: what is recorded replays to the same results; what fails costs little, is named,
and ends nothing."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from calib.rig import Rig
from deploy.errors import DeployError, SourceError
from deploy.log.reader import EncodedImage, LogReader
from deploy.loop.clock import LockstepClock, SteadyClock
from deploy.loop.engine import Computed, Engine, load_engine
from deploy.loop.live import LiveLoop, Options
from deploy.loop.pipeline import TickResult
from deploy.loop.replay import replay
from deploy.loop.surround import Surround, shipped_head
from deploy.sources.config import Run

NAMES = ("main", "left_pillar", "rear")
PERIOD = 27_777_778


@pytest.fixture(scope="module")
def engine(model: Path) -> Engine:
    return load_engine(model)


@pytest.fixture(scope="module")
def trio(rig: Rig) -> Rig:
    return Rig("trio", tuple(rig[name] for name in NAMES))


def unlike(jpeg: bytes, number: int) -> bytes:
    """The same picture in other bytes: with a comment of 4 bytes."""
    return jpeg[:2] + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + jpeg[2:]


class Stage:
    """Cameras that deliver an instant each time the loop has done the one before: nothing is
    dropped however busy the machine is. `spoil` changes what a camera gives in an instant."""

    def __init__(
        self,
        ticks: list[dict[str, bytes]],
        count: int,
        spoil: Callable[[str, int, bytes], bytes | None] = lambda name, tick, data: data,
    ) -> None:
        self.cameras, self.live = NAMES, False
        self._ticks, self._count, self._spoil = ticks, count, spoil
        self._clock = SteadyClock()
        self.next = threading.Semaphore(1)

    def images(self) -> Iterator[EncodedImage]:
        start = self._clock.now_ns()
        for tick in range(self._count):
            assert self.next.acquire(timeout=30)
            for name in NAMES:
                picture = unlike(self._ticks[tick % len(self._ticks)][name], tick)
                if (data := self._spoil(name, tick, picture)) is not None:
                    stamp = start + tick * PERIOD
                    yield EncodedImage(name, stamp, data, "jpeg", tick, received_ns=stamp)


def drive(
    rig: Rig, engine: Engine, stage: Stage, options: Options | None = None
) -> tuple[list[TickResult], LiveLoop, dict]:
    loop = LiveLoop(Run(rig, [stage], stage._clock, 100.0), engine, options)
    loop._inbox._wait_s = 0.2  # on a busy machine the stage takes its time from camera to camera
    results = []

    def done(result: TickResult) -> None:
        results.append(result)
        stage.next.release()

    return results, loop, loop.run(done)


def bytes_of(result: TickResult, camera: str) -> tuple[bytes, ...]:
    seen = result.cameras[camera]
    maps = seen.scene.tobytes(), seen.drivable.tobytes(), seen.ground.tobytes()
    return (*maps, repr(seen.objects).encode())


def test_a_recording_replays_to_the_same_bytes(
    trio: Rig, engine: Engine, model: Path, ticks: list[dict[str, bytes]], tmp_path: Path
):
    """A camera that fails in between included."""
    stage = Stage(ticks, 10, lambda n, t, d: None if n == "rear" and 3 <= t < 6 else d)
    results, loop, summary = drive(trio, engine, stage, Options(record=tmp_path / "drive"))
    assert len(results) == 10 and loop.failed_ticks == 0
    assert summary["counts"]["dropped"] == 0
    (log,) = (tmp_path / "drive").iterdir()
    replay(log, model, tmp_path / "again", clock=LockstepClock(), mosaic=False)
    live, again = LogReader(log), LogReader(tmp_path / "again" / "perception.mcap")
    topics = ["/perception/drivable", *(f"/camera/{name}/annotations" for name in NAMES)]
    for topic in topics:
        recorded = [(m.stamp_ns, m.data) for m in live.messages([topic])]
        assert recorded == [(m.stamp_ns, m.data) for m in again.messages([topic])], topic
        assert len(recorded) >= 7
    # A rig file's angles are a log's quaternions: the last bits of places differ.
    places = [
        [
            [
                (e.id, p.pose.position.x, p.pose.position.y)
                for e in m.decode().entities
                for p in e.cubes
            ]
            for m in reader.messages(["/perception/objects"])
        ]
        for reader in (live, again)
    ]
    assert len(places[0]) == len(places[1]) == 10
    for one, other in zip(*places, strict=True):
        assert [thing[0] for thing in one] == [thing[0] for thing in other] and one
        np.testing.assert_allclose([t[1:] for t in one], [t[1:] for t in other], atol=1e-9)
    health = [m.decode() for m in live.messages(["/perception/health"])]
    assert [h["cameras"]["rear"]["state"] for h in health] == (
        ["ok"] * 4 + ["late", "disconnected", "disconnected", "ok", "ok", "ok"]
    )
    assert {"deadline", "engine", "recording", "machine"} <= set(health[0]["system"])
    assert health[0]["system"]["machine"]["memory_mib"] > 10


def test_a_learned_surround_head_runs_beside_the_map(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]], tmp_path: Path
):
    """A camera that is gone changes its grid."""
    stage = Stage(ticks, 4, lambda n, t, d: None if n == "main" and t == 3 else d)
    head = Surround(shipped_head(), trio, engine.spec)
    options = Options(record=tmp_path / "drive", surround=head)
    results, _, summary = drive(trio, engine, stage, options)
    grids = [r.surround for r in results if r.surround is not None]
    assert len(grids) == 4 and "surround" in summary["latency_ms"]
    assert np.abs(grids[2].probability - grids[3].probability).max() > 0.1
    (log,) = (tmp_path / "drive").iterdir()
    recorded = [m.decode() for m in LogReader(log).messages(["/perception/surround"])]
    assert [grid.frame_id for grid in recorded] == ["ego"] * 4


def test_a_fault_of_one_camera_changes_no_byte_of_the_others(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    healthy, _, _ = drive(trio, engine, Stage(ticks, 5))
    spoilt = Stage(ticks, 5, lambda n, t, d: d[: 900 * t] if n == "main" and t else d)
    hurt, _, _ = drive(trio, engine, spoilt)
    assert [r.health["main"].state for r in hurt] == ["ok", "ok", "corrupt", "corrupt", "corrupt"]
    for one, other in zip(healthy, hurt, strict=True):
        for name in ("left_pillar", "rear"):
            assert bytes_of(one, name) == bytes_of(other, name)


def test_a_stage_that_throws_costs_its_tick_and_the_next_one_tells(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    stage = Stage(ticks, 6)
    loop = LiveLoop(Run(trio, [stage], stage._clock, 100.0), engine)
    fuse, calls = loop._pipeline.fuser.fuse, []

    def throwing(*args: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            stage.next.release()
            raise ZeroDivisionError("a bug")
        return fuse(*args)

    loop._pipeline.fuser.fuse = throwing
    results = []
    loop.run(lambda r: (results.append(r), stage.next.release()))
    assert [r.frames.index for r in results] == [0, 1, 3, 4, 5] and loop.failed_ticks == 1
    told = [r.system["engine"].message for r in results]
    assert "tick 2 lost: ZeroDivisionError: a bug (test_live.py" in told[2]
    assert told[3] == "runs"


class Faulty(Engine):
    """The engine, spoilt by `act`, which gets the number of the call."""

    def __init__(self, engine: Engine, act: Callable[[int, dict], object]) -> None:
        self._engine, self._act, self.calls = engine, act, 0
        self.spec, self.name, self.threads = engine.spec, engine.name, engine.threads
        self.metadata = engine.metadata

    def submit(self, images: np.ndarray) -> Computed:
        self.calls += 1
        outputs = {name: values.copy() for name, values in self._engine.infer(images).items()}
        self._act(self.calls - 1, outputs)
        return Computed(outputs)


def test_an_engine_that_throws_or_gives_no_numbers_is_named(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    def act(call: int, outputs: dict[str, np.ndarray]) -> None:
        tick, batch = divmod(call, 2)  # one batch of main, one of the two small cameras
        if tick == 1 and batch == 1:
            outputs["scene"][0, 0, 0, 0] = np.nan
        if tick == 2:
            raise MemoryError("no room")

    results, _, _ = drive(trio, Faulty(engine, act), Stage(ticks, 4))
    assert [set(r.failed) for r in results] == [set(), {"left_pillar"}, set(NAMES), set()]
    messages = [r.system["engine"].message for r in results]
    assert "left_pillar: output 'scene'" in messages[1] and "MemoryError: no room" in messages[2]
    assert messages[3] == "runs" and set(results[3].cameras) == set(NAMES)


def test_an_engine_that_becomes_slow_is_a_warning_while_it_is(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    """Four times slower than it was at its slowest, whatever else the machine does."""
    slow = range(6, 10)
    results: list[TickResult] = []

    def act(call: int, outputs: object) -> None:
        if call // 2 in slow:  # two batches a tick
            usual_ms = [r.system["engine"].values["engine_ms"] for r in results[: slow.start]]
            time.sleep(2 * max(usual_ms) / 1000)

    stage = Stage(ticks, 40)
    loop = LiveLoop(Run(trio, [stage], stage._clock, 100.0), Faulty(engine, act))

    def done(result: TickResult) -> None:
        results.append(result)
        stage.next.release()

    loop.run(done)
    parts = [r.system["engine"] for r in results]
    assert parts[0].level == "ok" and "runs" in {part.message for part in parts[10:]}
    for part in parts[slow.start + 2 : slow.stop]:
        assert part.level == "warn" and part.message.startswith("slow: ")
    assert all(set(r.cameras) == set(NAMES) for r in results)


def test_a_source_that_breaks_is_named_and_its_neighbours_go_on(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    class Broken:
        cameras, live = ("rear",), True

        def images(self) -> Iterator[EncodedImage]:
            raise SourceError("/dev/video7: no such device")

    stage = Stage(ticks, 4, lambda n, t, d: None if n == "rear" else d)
    stage.cameras = ("main", "left_pillar")
    loop = LiveLoop(Run(trio, [Broken(), stage], stage._clock, 100.0), engine)
    results = []

    def done(result: TickResult) -> None:
        results.append(result)
        stage.next.release()
        if len(results) == 4:
            loop.stop()

    summary = loop.run(done)
    assert {r.health["rear"].state for r in results} == {"disconnected"}
    assert "/dev/video7" in results[-1].health["rear"].note
    assert all({"main", "left_pillar"} == set(r.cameras) for r in results)
    assert summary["states"]["main"] == "ok"
    assert summary["health"]["rear"]["ticks"] == {"disconnected": 4}
    assert summary["health"]["main"] == {"ticks": {"ok": 4}, "reasons": {}}


def test_more_than_can_be_served_is_dropped_counted_and_the_newest_is_served(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    """Four instants come while the loop does one."""
    stage = Stage(ticks, 24)
    stage.next.release(3)
    loop = LiveLoop(Run(trio, [stage], stage._clock, 100.0), engine)
    results = []

    def done(result: TickResult) -> None:
        results.append(result)
        stage.next.release(4)

    summary = loop.run(done)
    indices = [r.frames.index for r in results]
    counts = summary["counts"]
    assert counts["images"] == 3 * 24 and counts["dropped"] + counts["ticks"] == 24
    assert counts["dropped"] >= 8 and indices[-1] == 23
    assert indices == sorted(indices)


def test_a_calibration_check_holds_from_the_next_tick_on(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    def check(result: TickResult) -> dict[str, str]:
        return {"rear": "turned by 2 degrees"} if result.frames.index >= 1 else {}

    results, _, _ = drive(trio, engine, Stage(ticks, 6), Options(calibration=check))
    assert [r.health["rear"].state for r in results] == ["ok"] * 3 + ["bad-calibration"] * 3


def test_metrics_are_served_on_this_machine_only(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    stage = Stage(ticks, 3)
    loop = LiveLoop(Run(trio, [stage], stage._clock, 100.0), engine, Options(metrics_port=0))
    texts = []

    def done(result: TickResult) -> None:
        address = f"http://127.0.0.1:{loop.metrics_port}"
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            texts.append(answer.read().decode())
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/etc/passwd", timeout=10)
        stage.next.release()

    loop.run(done)
    assert 'octoview_camera_state{camera="main",state="ok"} 1' in texts[0]
    values = dict(line.rsplit(" ", 1) for line in texts[2].splitlines() if line[0] != "#")
    assert float(values["octoview_tick"]) == 2 and float(values["octoview_frame_sets_ticks"]) == 3
    assert float(values["octoview_machine_memory_mib"]) > 10
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{loop.metrics_port}/metrics", timeout=2)


def test_a_port_that_is_taken_is_said_at_once(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DeployError, match=f"port {port}"):
            drive(trio, engine, Stage(ticks, 1), Options(metrics_port=port))


def test_an_engine_that_hangs_is_left_alone_and_named(
    trio: Rig, engine: Engine, ticks: list[dict[str, bytes]]
):
    released = threading.Event()

    def act(call: int, outputs: object) -> None:
        if call == 2:
            released.wait(30)

    stage = Stage(ticks, 4)
    loop = LiveLoop(Run(trio, [stage], stage._clock, 100.0), Faulty(engine, act))
    loop._engine._limit_s = 5.0
    results = []

    def done(result: TickResult) -> None:
        results.append(result)
        if len(results) == 1:
            loop._engine._limit_s = 0.05
        if len(results) == 3:
            released.set()
            while loop._engine.hangs:
                threading.Event().wait(0.01)
            loop._engine._limit_s = 5.0
        stage.next.release()

    loop.run(done)
    messages = [r.system["engine"].message for r in results]
    assert "gave nothing within" in messages[1] and "still hangs" in messages[2]
    assert messages[3] == "runs" and len(results) == 4
