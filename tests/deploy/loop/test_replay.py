"""A whole replay: what it writes, that it repeats byte for byte, that failure leaves nothing."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from calib.rig import Rig
from deploy.errors import DeployError, EngineError, LogError
from deploy.log.reader import LogReader
from deploy.loop.clock import LockstepClock, RealTimeClock
from deploy.loop.replay import replay
from perception.errors import PerceptionError
from perception.spec import ModelSpec

Images = dict[str, bytes]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, log: Path, model: Path) -> Path:
    out = tmp_path_factory.mktemp("replay") / "deep" / "out"
    replay(log, model, out, clock=LockstepClock())
    return out


def test_it_leaves_four_files_and_nothing_else(done: Path):
    names = ["mosaic.mp4", "mosaic.png", "perception.mcap", "report.json"]
    assert sorted(file.name for file in done.iterdir()) == names
    assert [path.name for path in done.parent.iterdir()] == ["out"]


def test_lockstep_gives_equal_bytes_twice(done: Path, tmp_path: Path, log: Path, model: Path):
    replay(log, model, tmp_path / "again", clock=LockstepClock(), mosaic=False)
    again = (tmp_path / "again" / "perception.mcap").read_bytes()
    assert again == (done / "perception.mcap").read_bytes()
    assert not (tmp_path / "again" / "mosaic.mp4").exists()


def test_changed_input_changes_the_log(
    done: Path, tmp_path: Path, model: Path, make_log: Callable[..., Path], ticks: list[Images]
):
    swap = {"narrow": ticks[1]["main"], "main": ticks[1]["narrow"]}
    changed = make_log([ticks[0], ticks[1] | swap, *ticks[2:]])
    replay(changed, model, tmp_path / "out", clock=LockstepClock(), mosaic=False)
    assert (tmp_path / "out" / "perception.mcap").read_bytes() != (
        done / "perception.mcap"
    ).read_bytes()


def test_the_result_is_a_log_that_replays_again(
    done: Path, tmp_path: Path, rig: Rig, model: Path, ticks: list[Images]
):
    """Images and calibration pass through untouched, so the results stand on their own."""
    reader = LogReader(done / "perception.mcap")
    assert reader.rig.names == rig.names
    passed = [(image.camera, image.data) for image in reader.images()]
    assert sorted(passed) == sorted((n, d) for tick in ticks for n, d in tick.items())
    replay(done / "perception.mcap", model, tmp_path / "out", clock=LockstepClock(), mosaic=False)
    again = LogReader(tmp_path / "out" / "perception.mcap")
    topic = ["/perception/drivable"]
    assert [m.data for m in again.messages(topic)] == [m.data for m in reader.messages(topic)]


def test_the_log_holds_every_result(done: Path, rig: Rig, ticks: list[Images]):
    reader = LogReader(done / "perception.mcap")
    assert reader.topics["/perception/objects"] == "foxglove.SceneUpdate"
    assert reader.topics["/perception/drivable"] == "foxglove.Grid"
    assert reader.topics["/camera/main/annotations"] == "foxglove.ImageAnnotations"
    assert "/perception/timing" not in reader.topics  # no wall time in lockstep
    for topic in ("/perception/objects", "/perception/drivable", "/perception/health"):
        assert sum(1 for _ in reader.messages([topic])) == len(ticks)
    health = next(reader.messages(["/perception/health"])).decode()
    assert {c["status"] for c in health["cameras"].values()} == {"ok"}
    assert set(health["cameras"]) == set(rig.names)


def test_the_grid_message_lies_where_the_road_is(done: Path):
    grid = next(LogReader(done / "perception.mcap").messages(["/perception/drivable"])).decode()
    cells = np.frombuffer(grid.data, np.uint8).reshape(-1, grid.column_count, grid.cell_stride)
    fields = [field.name for field in grid.fields]
    drivable, alpha = cells[..., fields.index("drivable")], cells[..., fields.index("alpha")]

    def cell(x: float, y: float) -> tuple[int, int]:
        row = int((y - grid.pose.position.y) / grid.cell_size.y)
        return row, int((x - grid.pose.position.x) / grid.cell_size.x)

    assert drivable[cell(10, -2)] > 90 and alpha[cell(10, -2)] > 0  # our lane
    assert drivable[cell(6, 10)] < 10 and alpha[cell(6, 10)] > 0  # the verge
    assert drivable[cell(0.5, 0)] == 255 and alpha[cell(0.5, 0)] == 0  # under the vehicle
    assert grid.frame_id == "ego"


def test_annotations_are_in_pixels_of_the_image(done: Path, rig: Rig):
    reader = LogReader(done / "perception.mcap")
    for camera in rig:
        notes = next(reader.messages([f"/camera/{camera.name}/annotations"])).decode()
        areas = [shape for shape in notes.points if shape.fill_color.a > 0]
        outline = np.array([(p.x, p.y) for area in areas for p in area.points])
        low, high = outline.min(axis=0), outline.max(axis=0)
        assert (low >= 0).all() and (high < (camera.lens.width, camera.lens.height)).all()
        # The road reaches the lower end of every picture, and no picture's upper third.
        assert high[1] > 0.98 * camera.lens.height and low[1] > 0.3 * camera.lens.height


def test_the_video_plays_in_browsers(done: Path, ticks: list[Images]):
    data = (done / "mosaic.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # starts before it is loaded
    with av.open(str(done / "mosaic.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(stream)]
    assert len(frames) == len(ticks)
    png = cv2.imread(str(done / "mosaic.png"))
    assert png.shape == frames[0].shape == (1080, 1920, 3)
    differences = [np.abs(png.astype(int) - frame).mean() for frame in frames]
    assert int(np.argmin(differences)) in (1, 2)  # a tick from the middle


FOXGLOVE = {
    "/camera/main/image": "foxglove.CompressedImage",
    "/camera/main/calibration": "foxglove.CameraCalibration",
    "/camera/main/annotations": "foxglove.ImageAnnotations",
    "/tf": "foxglove.FrameTransform",
    "/perception/objects": "foxglove.SceneUpdate",
    "/perception/drivable": "foxglove.Grid",
    "/diagnostics": "diagnostic_msgs/DiagnosticArray",
}
"""What Foxglove's panels know a topic's messages by."""


def test_whoever_knows_foxgloves_schemas_reads_every_message(
    done: Path, rig: Rig, ticks: list[Images]
):
    """By the definitions in the file itself, without our code."""
    counts: Counter[str] = Counter()
    factory = DecoderFactory()
    with (done / "perception.mcap").open("rb") as stream:
        for schema, channel, message in make_reader(stream, validate_crcs=True).iter_messages():
            counts[channel.topic] += 1
            if channel.topic in FOXGLOVE:
                assert schema.name == FOXGLOVE[channel.topic]
            if decode := factory.decoder_for(channel.message_encoding, schema):
                assert type(decode(message.data)).DESCRIPTOR.full_name == schema.name
            else:
                content = json.loads(message.data)
            if channel.topic == "/diagnostics":
                assert set(content["header"]["stamp"]) == {"sec", "nsec"}
                names = {f"camera: {name}" for name in rig.names}
                assert {status["name"] for status in content["status"]} == names
                for status in content["status"]:
                    assert set(status) == {"level", "name", "message", "hardware_id", "values"}
                    assert all(set(pair) == {"key", "value"} for pair in status["values"])
    for topic in FOXGLOVE:
        once = topic.endswith("/calibration") or topic == "/tf"
        assert counts[topic] == (len(rig) if topic == "/tf" else 1 if once else len(ticks)), topic


def test_the_report(done: Path, ticks: list[Images], rig: Rig, spec: ModelSpec):
    report = json.loads((done / "report.json").read_text())
    assert report["schema"] == "octoview.replay/1"
    assert report["ticks"] == len(ticks)
    assert report["clock"] == {"name": "lockstep", "dropped": 0}
    assert report["model"]["spec_hash"] == spec.hash
    assert list(report["frames"]["states"]) == list(rig.names)
    assert report["frames"]["usable"] == len(ticks) * len(rig)
    stages = ("decode_image", "preprocess", "engine", "decode", "fuse", "sinks", "tick")
    assert tuple(report["latency_ms"]) == stages
    assert all(v["p50"] <= v["p99"] <= v["max"] for v in report["latency_ms"].values())
    assert set(report["objects"]) == set(spec.object_classes)
    assert report["objects"]["vehicle"]["on_map"] > 0
    updates = LogReader(done / "perception.mcap").messages(["/perception/objects"])
    seen = {entity.id for update in updates for entity in update.decode().entities}
    assert sum(counts["tracks"] for counts in report["objects"].values()) == len(seen) > 0
    assert not report["log"]["truncated"]


def test_trouble_is_counted_and_told(
    tmp_path: Path, model: Path, make_log: Callable[..., Path], ticks: list[Images]
):
    images = [dict(tick) for tick in ticks]
    images[1]["rear"] = images[1]["rear"][:3000]
    images[2]["narrow"] = images[1]["narrow"]
    del images[3]["wide"]
    report = replay(make_log(images), model, tmp_path / "out", clock=LockstepClock())
    states = report["frames"]["states"]
    assert states["rear"] == {"ok": 3, "late": 0, "missing": 0, "corrupt": 1, "frozen": 0}
    assert states["narrow"]["frozen"] == 1 and states["wide"]["late"] == 1
    assert states["main"]["ok"] == 4
    assert "3000 bytes" in report["frames"]["first_unusable"]["rear"]
    assert report["health"]["main"] == {"ticks": {"ok": 4}, "reasons": {}}


def test_a_log_that_was_cut_off_is_replayed_up_to_the_cut(
    tmp_path: Path, log: Path, model: Path, ticks: list[Images]
):
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(log.read_bytes()[: int(log.stat().st_size * 0.7)])
    report = replay(cut, model, tmp_path / "out", clock=LockstepClock(), mosaic=False)
    assert report["log"]["truncated"]
    assert 0 < report["frames"]["usable"] < 8 * len(ticks)


def test_real_time_reports_timing_and_drops(tmp_path: Path, log: Path, model: Path):
    """At a thousand times the log's speed no machine keeps up."""
    clock = RealTimeClock(rate=1000.0)
    report = replay(log, model, tmp_path / "out", clock=clock, mosaic=False)
    assert report["clock"]["dropped"] >= 1
    assert report["clock"]["dropped"] + report["ticks"] == 4
    reader = LogReader(tmp_path / "out" / "perception.mcap")
    timing = next(reader.messages(["/perception/timing"])).decode()
    assert timing["milliseconds"]["engine"] > 0


def test_failure_leaves_the_old_results_alone(
    tmp_path: Path, log: Path, model: Path, make_log: Callable[..., Path], ticks: list[Images]
):
    out = tmp_path / "results" / "out"
    out.mkdir(parents=True)
    (out / "report.json").write_text("old")
    small = cv2.imencode(".jpg", np.zeros((20, 30, 3), np.uint8))[1].tobytes()
    unusable = make_log([dict.fromkeys(ticks[0], small)])
    with pytest.raises(LogError, match="30x20"):
        replay(unusable, model, out, clock=LockstepClock())

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(log, model, out, clock=LockstepClock(), progress=interrupt)
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["report.json"]
    assert (out / "report.json").read_text() == "old"


def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, log: Path, model: Path, make_model: Callable[..., Path], spec: ModelSpec
):
    only_large = spec.model_copy(update={"buckets": {"large": spec.buckets["large"]}})
    file = tmp_path / "file"
    file.write_text("")
    for bad_model, out, error, message in (
        (make_model(only_large), tmp_path / "out", PerceptionError, "bucket 'small'"),
        (log, tmp_path / "out", EngineError, log.name),
        (model, file, DeployError, "is a file"),
    ):
        with pytest.raises(error, match=message):
            replay(log, bad_model, out, clock=LockstepClock())
    assert not (tmp_path / "out").exists()
