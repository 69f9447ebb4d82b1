"""A log in Rerun, read back with Rerun's own reader."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rerun")
from rerun.chunk import RrdReader

from calib.rig import Rig
from deploy.commands import view
from deploy.errors import DeployError
from deploy.log.boxes import from_scene_update
from deploy.log.reader import LogReader
from deploy.loop.clock import LockstepClock, RealTimeClock
from deploy.loop.replay import replay
from deploy.viewer.rerun_log import write_rrd
from tests.deploy.command_line import Octoview, command_line


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, log: Path, model: Path) -> Path:
    out = tmp_path_factory.mktemp("run")
    replay(log, model, out, clock=LockstepClock(), mosaic=False)
    return out / "perception.mcap"


@pytest.fixture(scope="module")
def recording(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rrd") / "run.rrd"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Rerun only warns of what it can't take
        write_rrd(run, out, lambda seconds: None)
    return out


Rows = dict[str, list[dict[str, Any]]]


def rows(recording: Path) -> Rows:
    """Rows of each entity in order of time, those that stand still first."""
    found: Rows = {}
    for chunk in RrdReader(recording).stream():
        batch = chunk.to_record_batch()
        columns = {}
        for name in set(batch.schema.names) - {"rerun.controls.RowId", "log_time", "log_tick"}:
            column = batch.column(name)
            columns[name] = (column.cast("int64") if name == "time" else column).to_pylist()
        for row in range(batch.num_rows):
            content = {name: values[row] for name, values in columns.items()}
            found.setdefault(chunk.entity_path.strip("/"), []).append(content)
    for entries in found.values():
        entries.sort(key=lambda row: row.get("time", -1))
    return found


def of(found: Rows, entity: str, component: str) -> Iterator[Any]:
    return (row[component] for row in found[entity] if row.get(component) is not None)


def test_every_tick_of_every_camera_is_there(recording: Path, run: Path, rig: Rig) -> None:
    found, reader = rows(recording), LogReader(run)
    images = list(reader.images())
    for camera in rig:
        blobs = list(of(found, f"ego/{camera.name}/image", "EncodedImage:blob"))
        assert [bytes(b[0]) for b in blobs] == [i.data for i in images if i.camera == camera.name]
        (place,) = of(found, f"ego/{camera.name}", "Transform3D:translation")
        np.testing.assert_allclose(place[0], camera.ego_from_camera[:3, 3], rtol=1e-6)
        (matrix,) = of(found, f"ego/{camera.name}", "Transform3D:mat3x3")
        turn = np.reshape(matrix[0], (3, 3)).T  # columns first
        np.testing.assert_allclose(turn, camera.ego_from_camera[:3, :3], atol=1e-6)
        states = [s for one in of(found, f"health/{camera.name}", "StateChange:state") for s in one]
        assert states == ["ok"] * 4
    times = [row["time"] for row in found["ego/main/image"] if "time" in row]
    stamps = [i.stamp_ns for i in images if i.camera == "main"]
    assert times == [stamp - stamps[0] for stamp in stamps]


def test_objects_and_grid_are_where_the_log_has_them(recording: Path, run: Path) -> None:
    found = rows(recording)
    updates = [m.decode() for m in LogReader(run).messages(["/perception/objects"])]
    expected = [[box.ego_from_box[:3, 3] for box in from_scene_update(one)] for one in updates]
    centres = list(of(found, "ego/objects", "Boxes3D:centers"))
    assert len(centres) == 4 and len(expected[0]) > 2
    for ours, theirs in zip(expected, centres, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5)
    vehicles = [box for box in from_scene_update(updates[-1]) if box.object_class == "vehicle"]
    assert list(of(found, "count/vehicle", "Scalars:scalars"))[-1] == [len(vehicles)]
    (data,) = [bytes(one[0]) for one in of(found, "ego/drivable", "GridMap:data")][:1]
    picture = np.frombuffer(data, np.uint8).reshape(200, 300, 4)
    green, verge = picture[199 - 90, 150], picture[199 - 150, 130]  # 10, -2 and 6, 10 metres
    assert green[1] > 150 > verge[1]


def test_masks_and_boxes_lie_on_the_images(recording: Path, rig: Rig) -> None:
    found = rows(recording)
    for camera in rig:
        entity = f"ego/{camera.name}/image"
        (buffer, *_) = of(found, f"{entity}/drivable", "SegmentationImage:buffer")
        shape = -(-camera.lens.height // 4), camera.lens.width // 4
        mask = np.array(buffer[0], np.uint8).reshape(shape)
        assert set(np.unique(mask)) == {0, 1}
        below, above = mask[-mask.shape[0] // 4 :], mask[: mask.shape[0] // 4]
        assert below.mean() > 0.2 > above.mean()  # the road is below
        halves = [one for row in of(found, f"{entity}/boxes", "Boxes2D:half_sizes") for one in row]
        assert all(0 < w <= camera.lens.width / 2 for w, _ in halves)


def test_the_layout_shows_all_cameras_and_timelines(recording: Path, rig: Rig) -> None:
    reader = RrdReader(recording)
    (layout,) = reader.blueprints()
    origins: list[str] = []
    for chunk in reader.stream(store=layout):
        batch = chunk.to_record_batch()
        if "ViewBlueprint:space_origin" in batch.schema.names:
            for found in batch.column("ViewBlueprint:space_origin").to_pylist():
                origins += found or []
    wanted = {f"ego/{name}/image" for name in rig.names} | {"ego", "health", "count"}
    assert {origin.strip("/") for origin in origins} == wanted


def test_latency_comes_from_a_run_at_the_logs_pace(log: Path, model: Path, tmp_path: Path) -> None:
    replay(log, model, tmp_path, clock=RealTimeClock(0.05), mosaic=False)
    write_rrd(tmp_path / "perception.mcap", tmp_path / "r.rrd", lambda seconds: None)
    found = rows(tmp_path / "r.rrd")
    assert all(value[0] > 0 for value in of(found, "latency/engine", "Scalars:scalars"))


def test_webp_is_shown_as_jpeg(
    make_log: Callable[..., Path], ticks: list[dict[str, bytes]], tmp_path: Path
) -> None:
    image = cv2.imdecode(np.frombuffer(ticks[0]["main"], np.uint8), cv2.IMREAD_COLOR)
    webp = cv2.imencode(".webp", image)[1].tobytes()
    write_rrd(make_log([ticks[0] | {"main": webp}]), tmp_path / "w.rrd", lambda seconds: None)
    (blob,) = of(rows(tmp_path / "w.rrd"), "ego/main/image", "EncodedImage:blob")
    shown = cv2.imdecode(np.frombuffer(bytes(blob[0]), np.uint8), cv2.IMREAD_COLOR)
    assert bytes(blob[0]).startswith(b"\xff\xd8")
    assert np.abs(shown.astype(int) - image).mean() < 5


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "view")


def test_command(octoview: Octoview, run: Path, tmp_path: Path) -> None:
    done = octoview(run.parent, "--save", tmp_path / "new" / "a.rrd")  # the folder of a replay
    assert done.code == 0, done.err
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.rrd"]
    for words, reason in (
        ((tmp_path / "gone.mcap", "--save", tmp_path / "b.rrd"), "no such log"),
        ((run, "--save", tmp_path / "b.txt"), "is no .rrd file"),
        ((run, "--save", run / "b.rrd"), "can't be written"),
    ):
        done = octoview(*words)
        assert done.code == 2 and reason in done.err and done.err.count("\n") == 1
    assert not list(tmp_path.glob("b.*"))


def test_the_viewer_listens_on_this_machine_only(
    octoview: Octoview, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    class Ended:
        returncode = 1

    def start(command: list[str], check: bool) -> Ended:
        assert Path(command[3]).stat().st_size > 10_000
        started.append(command)
        return Ended()

    monkeypatch.setattr(view.subprocess, "run", start)
    done = octoview(run)
    assert done.code == 2 and "--save it" in done.err
    (command,) = started
    assert command[command.index("--bind") + 1] == "127.0.0.1"
    assert not Path(command[3]).exists()  # cleaned up after it


def test_without_rerun_it_says_what_to_install(
    octoview: Octoview, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    done = octoview(run)
    assert done.code == 2 and "install octoview[viewer]" in done.err
    with pytest.raises(DeployError, match="install"):
        write_rrd(run, run.with_suffix(".rrd"), lambda seconds: None)
