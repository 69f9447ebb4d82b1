"""What LogWriter writes, LogReader gives back, and other people's readers open."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.Grid_pb2 import Grid
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig, load_rig
from calib.rotation import from_quaternion, to_quaternion
from deploy.errors import LogError
from deploy.log import channels
from deploy.log.boxes import Box, from_scene_update, to_scene_update
from deploy.log.index import read_block
from deploy.log.reader import LogReader
from deploy.log.writer import LogWriter

POINTS = np.random.default_rng(0).uniform(-30, 30, (5000, 3))


def assert_sees_alike(one: Rig, other: Rig) -> None:
    """Same cameras in the same order, and each maps the world to the same pixels."""
    assert one.names == other.names
    for a, b in zip(one, other, strict=True):
        assert (a.rate_hz, a.bucket) == (b.rate_hz, b.bucket)
        pixels_a, visible_a = a.project(POINTS)
        pixels_b, visible_b = b.project(POINTS)
        assert visible_a.sum() > 5
        np.testing.assert_array_equal(visible_a, visible_b)
        np.testing.assert_allclose(pixels_a[visible_a], pixels_b[visible_b], atol=1e-6)


@pytest.mark.parametrize("name", ["hw2", "two"])
def test_rig_survives(name: str, rig: Rig, tmp_path: Path) -> None:
    written = rig if name == "two" else load_rig(name)
    with LogWriter(tmp_path / "rig.mcap") as log:
        log.rig(written, 5)
    read = LogReader(tmp_path / "rig.mcap").rig
    assert read.name == written.name
    assert_sees_alike(written, read)


def test_swapped_cameras_show(rig: Rig, tmp_path: Path) -> None:
    with LogWriter(tmp_path / "rig.mcap") as log:
        log.rig(Rig(rig.name, tuple(reversed(rig.cameras))), 5)
    with pytest.raises(AssertionError):
        assert_sees_alike(rig, LogReader(tmp_path / "rig.mcap").rig)


@pytest.mark.parametrize(
    ("model", "distortion"),
    [
        ("pinhole", ()),
        ("pinhole", (-0.3, 0.1, 1e-3, 2e-3)),
        ("pinhole", (-0.3, 0.1, 1e-3, 2e-3, -0.01)),
        ("pinhole", (-0.3, 0.1, 1e-3, 2e-3, -0.01, 0.02, 0.01, 0.005)),
        ("fisheye", (0.05, -0.01, 2e-3, -1e-4)),
        ("fisheye", (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_every_lens_survives(model: str, distortion: tuple[float, ...], tmp_path: Path) -> None:
    lens = Lens(model, 1280, 960, 600, 610, 630, 470, distortion)  # type: ignore[arg-type]
    camera = Camera("one", lens, ego_from_camera([0, 0, 1], 0, 0, 0), 10, "large")
    with LogWriter(tmp_path / "lens.mcap") as log:
        log.rig(Rig("r", (camera,)), 0)
    read = LogReader(tmp_path / "lens.mcap").rig["one"].lens
    assert read.model == lens.model
    assert_sees_alike(Rig("r", (camera,)), LogReader(tmp_path / "lens.mcap").rig)
    count = len(distortion)  # four are stored as five with k3 = 0
    assert read.distortion[:count] == distortion and not any(read.distortion[count:])


def test_images_keep_bytes_order_and_metadata(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "images.mcap"
    with LogWriter(path) as log:
        log.rig(rig, 100)
        log.image("rear", 300, b"late", "png")  # written before an earlier one
        log.image("main", 200, b"early", "jpeg")
        log.message(channels.truth_scene_topic("main"), CompressedImage(data=b"truth"), 250)
    reader = LogReader(path)
    found = [(i.camera, i.stamp_ns, i.data, i.format) for i in reader.images()]
    assert found == [("main", 200, b"early", "jpeg"), ("rear", 300, b"late", "png")]
    assert reader.image_topics == ["/camera/main/image", "/camera/rear/image"]
    assert reader.metadata("/camera/rear/image") == {
        "bucket": "small",
        "rate_hz": "18.0",
        "rig": "two",
    }
    assert not reader.truncated


def test_json_and_protobuf_messages(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "m.mcap") as log:
        log.json(channels.HEALTH, "octoview.Health", {"main": "ok", "late": 3}, 7)
        log.message(channels.DRIVABLE, Grid(frame_id="ego", column_count=4), 8)
    health, grid = LogReader(tmp_path / "m.mcap").messages()
    assert (health.topic, health.stamp_ns, health.schema) == (
        "/perception/health",
        7,
        "octoview.Health",
    )
    assert health.decode() == {"main": "ok", "late": 3}
    assert grid.schema == "foxglove.Grid" and grid.decode().column_count == 4


def write_sample(path: Path, rig: Rig, payload: bytes = b"x") -> None:
    with LogWriter(path) as log:
        log.rig(rig, 1)
        log.json(channels.TIMING, "octoview.Timing", {"b": 1, "a": 2}, 2)
        log.image("main", 3, payload, "jpeg")


def test_equal_input_gives_equal_bytes(rig: Rig, tmp_path: Path) -> None:
    for name in ("one.mcap", "two.mcap"):
        write_sample(tmp_path / name, rig)
    write_sample(tmp_path / "other.mcap", rig, payload=b"y")
    assert (tmp_path / "one.mcap").read_bytes() == (tmp_path / "two.mcap").read_bytes()
    assert (tmp_path / "one.mcap").read_bytes() != (tmp_path / "other.mcap").read_bytes()


def test_the_mcap_library_opens_it(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    write_sample(path, rig)
    with path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()])
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        assert summary.statistics.message_count == 2 * len(rig) + 2
        assert reader.get_header().library == "octoview"
        images = list(reader.iter_decoded_messages(topics=["/camera/main/image"]))
    [(schema, channel, message, image)] = images
    assert schema is not None and schema.name == "foxglove.CompressedImage"
    assert channel.metadata["bucket"] == "large"
    assert image.frame_id == "main" and message.log_time == 3


@settings(max_examples=40, deadline=None)
@given(
    stamps=st.lists(st.integers(0, 60), max_size=40),
    start=st.none() | st.integers(0, 60),
    end=st.none() | st.integers(0, 60),
    topics=st.none() | st.sets(st.sampled_from(["/a", "/b", "/none"])),
)
def test_messages_are_a_sorted_selection(
    tmp_path_factory: pytest.TempPathFactory,
    stamps: list[int],
    start: int | None,
    end: int | None,
    topics: set[str] | None,
) -> None:
    path = tmp_path_factory.mktemp("sorted") / "log.mcap"
    noise = np.random.default_rng(0)
    written = [("/a" if i % 3 else "/b", stamp, i) for i, stamp in enumerate(stamps)]
    with LogWriter(path) as log:
        for topic, stamp, number in written:  # large enough for several chunks
            data = number.to_bytes(4, "big") + noise.bytes(100_000)
            log.message(topic, CompressedImage(data=data), stamp)
    expected = [
        (topic, stamp, number)
        for topic, stamp, number in sorted(written, key=lambda row: (row[1], row[2]))
        if (topics is None or topic in topics)
        and (start is None or stamp >= start)
        and (end is None or stamp < end)
    ]
    found = [
        (m.topic, m.stamp_ns, int.from_bytes(m.decode().data[:4], "big"))
        for m in LogReader(path).messages(topics, start, end)
    ]
    assert found == expected


def test_reading_streams(tmp_path: Path) -> None:
    path = tmp_path / "big.mcap"
    with LogWriter(path) as log:
        for i in range(40):
            log.image("main", i, os.urandom(500_000), "jpeg")
    reader = LogReader(path)
    tracemalloc.start()
    count = sum(1 for _ in reader.images())
    streamed = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    everything = list(reader.images())
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(everything) == 40
    assert streamed < 8e6 < 20e6 < held


def test_what_is_over_before_the_start_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LogWriter(tmp_path / "log.mcap", chunk_bytes=1) as log:
        for stamp in range(100):
            log.json("/a", "test.A", {"stamp": stamp}, stamp)
    blocks = []
    monkeypatch.setattr(
        "deploy.log.reader.read_block", lambda *a: blocks.append(a) or read_block(*a)
    )
    found = LogReader(tmp_path / "log.mcap").messages(start_ns=95)
    assert [message.stamp_ns for message in found] == [95, 96, 97, 98, 99]
    assert len(blocks) == 5


def test_failure_leaves_nothing_and_keeps_the_old_log(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    path.write_bytes(b"the log of before")
    with pytest.raises(RuntimeError), LogWriter(path) as log:
        log.rig(rig, 1)
        raise RuntimeError("power is out")
    assert path.read_bytes() == b"the log of before"
    assert [p.name for p in tmp_path.iterdir()] == ["log.mcap"]


def test_nothing_under_its_name_until_done(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.mcap"
    with LogWriter(path) as log:
        log.rig(rig, 1)
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == ["log.mcap"]


@pytest.mark.parametrize("name", ["folder", "file/log.mcap", "clip.mp4"])
def test_unwritable_path(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match=name.split("/")[0]), LogWriter(tmp_path / name):
        pass


def test_a_topic_keeps_its_type(tmp_path: Path) -> None:
    with (
        pytest.raises(LogError, match=r"/t holds foxglove\.Grid, not foxglove\.SceneUpdate"),
        LogWriter(tmp_path / "log.mcap") as log,
    ):
        log.message("/t", Grid(), 1)
        log.message("/t", SceneUpdate(), 2)


@pytest.mark.parametrize("stamp", [-1, 2**64])
def test_stamp_out_of_range(stamp: int, tmp_path: Path) -> None:
    with (
        pytest.raises(LogError, match=str(stamp)),
        LogWriter(tmp_path / "log.mcap") as log,
    ):
        log.json("/t", "T", {}, stamp)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_quaternion_round_trip(quaternion: list[float]) -> None:
    rotation = from_quaternion(*quaternion)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) > 0
    np.testing.assert_allclose(from_quaternion(*to_quaternion(rotation)), rotation, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_quaternion_of_half_turns(axis: int) -> None:
    rotation = -np.eye(3)
    rotation[axis, axis] = 1
    np.testing.assert_allclose(from_quaternion(*to_quaternion(rotation)), rotation, atol=1e-12)


def test_quaternion_turns_the_right_way() -> None:
    quarter_left = from_quaternion(0, 0, np.sqrt(0.5), np.sqrt(0.5))
    np.testing.assert_allclose(quarter_left @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_boxes_round_trip(tmp_path: Path) -> None:
    pose = np.eye(4)
    pose[:3, :3] = from_quaternion(0, 0, np.sqrt(0.5), np.sqrt(0.5))  # faces left
    pose[:3, 3] = [10, 2, 0.75]
    car = Box("7", "vehicle", pose, (4.0, 2.0, 1.5), {"label": "Car"})
    with LogWriter(tmp_path / "log.mcap") as log:
        log.message(channels.TRUTH_OBJECTS, to_scene_update([car], 9), 9)
    [message] = LogReader(tmp_path / "log.mcap").messages()
    [read] = from_scene_update(message.decode())
    assert (read.id, read.object_class, read.size, read.metadata) == (
        "7",
        "vehicle",
        (4.0, 2.0, 1.5),
        {"label": "Car"},
    )
    np.testing.assert_allclose(read.ego_from_box, pose, atol=1e-12)
    np.testing.assert_allclose(read.corners.min(axis=0), [9, 0, 0], atol=1e-12)
    np.testing.assert_allclose(read.corners.max(axis=0), [11, 4, 1.5], atol=1e-12)
    assert (read.corners[:4, 2] < read.corners[4:, 2]).all()


def test_the_index_of_a_long_log_is_small_in_memory(tmp_path: Path) -> None:
    chunks = 2000
    with LogWriter(tmp_path / "long.mcap", chunk_bytes=1) as log:
        log.json("/a", "test.A", {}, 0)
        tracemalloc.start()
        for stamp in range(1, chunks):
            log.json("/a", "test.A", {}, stamp)
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert grown < 200 * chunks
    with (tmp_path / "long.mcap").open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None and summary.statistics is not None
    assert len(summary.chunk_indexes) == summary.statistics.chunk_count >= chunks
    assert [c.message_start_time for c in summary.chunk_indexes][-5:] == [
        *range(chunks - 5, chunks)
    ]
