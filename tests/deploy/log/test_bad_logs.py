"""Cut, damaged, foreign and malicious files: one line of LogError, or what is before the cut."""

import os
import struct
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import zstandard
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.opcode import Opcode
from mcap.writer import MCAP0_MAGIC, CompressionType, Writer
from mcap_protobuf.schema import register_schema

from calib.rig import Rig
from deploy.errors import LogError
from deploy.log import channels, reader
from deploy.log.reader import LogMessage, LogReader
from deploy.log.rig_messages import to_calibration, to_transform
from deploy.log.writer import LogWriter


def read_everything(path: Path) -> list[LogMessage]:
    """All that a user of a log does with it; returns the messages."""
    log = LogReader(path)
    messages = list(log.messages())
    for read in (lambda: log.rig, lambda: list(log.images()), lambda: log.topics):
        try:
            read()
        except LogError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
    return messages


# --- not a log ---------------------------------------------------------------------------------


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"gone\.mcap: no such log; check the path"):
        LogReader(tmp_path / "gone.mcap")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is a folder"):
        LogReader(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "locked.mcap"
    path.write_bytes(MCAP0_MAGIC)
    path.chmod(0)
    with pytest.raises(LogError, match="check its permissions"):
        LogReader(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\x89MC", "is not an MCAP log"),
        (b"#ROSBAG V2.0\n" * 9, "is not an MCAP log"),
        (b"\x00" * 4096, "is not an MCAP log"),
    ],
)
def test_not_mcap(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.mcap"
    path.write_bytes(content)
    with pytest.raises(LogError, match=f"odd.mcap: {reason}"):
        LogReader(path)


# --- cut and damaged ---------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[Path], Writer]] = {
    "zstd": lambda path: Writer(str(path), chunk_size=20_000),
    "lz4": lambda path: Writer(str(path), chunk_size=20_000, compression=CompressionType.LZ4),
    "plain": lambda path: Writer(str(path), chunk_size=20_000, compression=CompressionType.NONE),
    "no chunks": lambda path: Writer(str(path), use_chunking=False),
    "one chunk": lambda path: Writer(str(path), chunk_size=10_000_000),
}


def write_log(path: Path, layout: str, rig: Rig) -> None:
    """Rig and 60 images, in order of time, laid out in the file as other tools may do."""
    noise = np.random.default_rng(0)
    writer = LAYOUTS[layout](path)
    writer.start()
    numbers: dict[str, int] = {}

    def add(topic: str, message: Message, stamp: int) -> None:
        if topic not in numbers:
            schema = register_schema(writer, type(message))
            numbers[topic] = writer.register_channel(topic, "protobuf", schema)
        writer.add_message(numbers[topic], stamp, message.SerializeToString(), stamp)

    for camera in rig:
        add(channels.calibration_topic(camera.name), to_calibration(camera, 0), 0)
        add(channels.TRANSFORMS, to_transform(camera, 0), 0)
    for i in range(60):
        for camera in rig:
            # Half noise, half zeros: compressible, yet spread over many compressed blocks.
            image = CompressedImage(data=noise.bytes(1000) + bytes(1000), format="jpeg")
            add(channels.image_topic(camera.name), image, 10 + i)
    writer.finish()


@cache
def sample(layout: str, rig: Rig, folder: Path) -> tuple[bytes, tuple[LogMessage, ...]]:
    path = folder / f"{layout}.mcap"
    write_log(path, layout, rig)
    return path.read_bytes(), tuple(read_everything(path))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_intact_log_of_every_layout(layout: str, rig: Rig, folder: Path) -> None:
    _, messages = sample(layout, rig, folder)
    assert len(messages) == 4 + 120
    log = LogReader(folder / f"{layout}.mcap")
    assert not log.truncated
    assert log.rig.names == rig.names
    assert len(list(log.images())) == 120


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=60, deadline=None)
@given(fraction=st.floats(0, 1))
def test_cut_log_reads_up_to_the_cut(layout: str, rig: Rig, folder: Path, fraction: float) -> None:
    content, messages = sample(layout, rig, folder)
    size = int(len(content) * fraction)
    path = folder / "cut.mcap"
    path.write_bytes(content[:size])
    if size < len(MCAP0_MAGIC):
        with pytest.raises(LogError):
            LogReader(path)
        return
    found = read_everything(path)
    assert tuple(found) == messages[: len(found)]
    assert LogReader(path).truncated or len(found) == len(messages)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cut_log_loses_little(layout: str, rig: Rig, folder: Path) -> None:
    """What is before the cut is there, within the bytes that a compressor holds back."""
    content, messages = sample(layout, rig, folder)
    path = folder / "cut.mcap"
    path.write_bytes(content[: len(content) * 3 // 5])
    found = read_everything(path)
    assert LogReader(path).truncated
    # The layout of one chunk ends inside its second compressed block of 128 KiB.
    assert len(found) > len(messages) * (0.4 if layout == "one chunk" else 0.45)
    assert LogReader(path).rig.names == rig.names


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_one_line(
    layout: str, rig: Rig, folder: Path, data: st.DataObject
) -> None:
    content, _ = sample(layout, rig, folder)
    damaged = bytearray(content)
    # Structure sits at both ends and in between: spend the tries where it is densest.
    places = st.integers(8, 3000) | st.integers(len(content) - 3000, len(content) - 1)
    for place in data.draw(st.lists(places | st.integers(8, len(content) - 1), min_size=1)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = folder / "flipped.mcap"
    path.write_bytes(damaged)
    try:
        read_everything(path)
    except LogError as error:
        assert "flipped.mcap" in str(error)
        assert "\n" not in str(error)


def test_damage_in_the_middle_is_told(rig: Rig, folder: Path) -> None:
    content, _ = sample("zstd", rig, folder)
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF
    path = folder / "rotten.mcap"
    path.write_bytes(damaged)
    with pytest.raises(LogError, match=r"rotten\.mcap: damaged at byte \d+ .*mcap recover"):
        list(LogReader(path).messages())


# --- lying length fields -----------------------------------------------------------------------

HUGE = 2**61


def record(opcode: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack("<BQ", opcode, len(body) if length is None else length) + body


def chunk(data: bytes, compression: bytes, size: int) -> bytes:
    head = struct.pack("<QQQII", 0, 9, size, 0, len(compression)) + compression
    return record(Opcode.CHUNK, head + struct.pack("<Q", len(data)) + data)


ZSTD_FRAME_OF_A_PETABYTE = bytes.fromhex("28b52ffd e0") + struct.pack("<Q", 2**50) + bytes(64)

LIES = {
    "record": record(Opcode.MESSAGE, b"x" * 40, HUGE),
    "chunk": record(Opcode.CHUNK, b"x" * 60, HUGE),
    "unknown record": record(0x7F, b"", HUGE),
    "negative record": record(Opcode.CHANNEL, b"", 2**64 - 1),
    "string": record(Opcode.SCHEMA, struct.pack("<HI", 1, 2**32 - 1) + b"x" * 20),
    "metadata": record(Opcode.CHANNEL, struct.pack("<HHIII", 1, 0, 0, 0, 2**32 - 1)),
    "plain chunk": chunk(b"x" * 50, b"", HUGE),
    "zstd chunk": chunk(ZSTD_FRAME_OF_A_PETABYTE, b"zstd", 2**50),
    "lz4 chunk": chunk(b"\x04\x22\x4d\x18" + bytes(40), b"lz4", HUGE),
    "record in chunk": chunk(record(Opcode.MESSAGE, b"x" * 30, HUGE), b"", 39),
    "short message": chunk(record(Opcode.MESSAGE, b"x"), b"", 10),
    "footer": record(Opcode.DATA_END, bytes(4))
    + record(Opcode.FOOTER, struct.pack("<QQI", 8, 8, 0))
    + MCAP0_MAGIC,
    "footer past the end": record(Opcode.FOOTER, struct.pack("<QQI", HUGE, HUGE, 0)) + MCAP0_MAGIC,
}


@pytest.mark.parametrize("lie", LIES)
def test_absurd_sizes_are_not_allocated(lie: str, tmp_path: Path) -> None:
    path = tmp_path / "lie.mcap"
    path.write_bytes(MCAP0_MAGIC + record(Opcode.HEADER, bytes(8)) + LIES[lie])
    tracemalloc.start()
    try:
        assert read_everything(path) == []
    except LogError as error:
        assert "lie.mcap" in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 10e6


def test_chunk_index_pointing_nowhere(rig: Rig, tmp_path: Path) -> None:
    """An index that sends the reader past the end of the file, or into other records."""
    path = tmp_path / "log.mcap"
    write_log(path, "zstd", rig)
    content = path.read_bytes()
    start = content.rindex(MCAP0_MAGIC) - 29
    summary = struct.unpack_from("<Q", content, start + 9)[0]
    place = content.index(bytes([Opcode.CHUNK_INDEX]), summary)
    while struct.unpack_from("<Q", content, place + 1)[0] > 1000:  # not a record: search on
        place = content.index(bytes([Opcode.CHUNK_INDEX]), place + 1)
    for offset in (HUGE, 0, len(content) - 3):
        damaged = bytearray(content)
        struct.pack_into("<Q", damaged, place + 9 + 16, offset)
        path.write_bytes(damaged)
        with pytest.raises(LogError, match=r"log\.mcap: damaged at byte"):
            list(LogReader(path).messages())


# --- logs that lack something ------------------------------------------------------------------


def write_parts(
    path: Path,
    rig: Rig,
    calibrate: Callable[[CameraCalibration], None] = lambda message: None,
    place: Callable[[FrameTransform], None] | None = lambda message: None,
) -> None:
    """A log of `rig` whose messages were tampered with."""
    with LogWriter(path) as log:
        for camera in rig:
            calibration = to_calibration(camera, 0)
            calibrate(calibration)
            log.message(channels.calibration_topic(camera.name), calibration, 0)
            if place:
                transform = to_transform(camera, 0)
                place(transform)
                log.message(channels.TRANSFORMS, transform, 0)


def test_no_calibration(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "log.mcap") as log:
        log.image("main", 1, b"x")
    reader = LogReader(tmp_path / "log.mcap")
    with pytest.raises(LogError, match=r"log\.mcap: no foxglove\.CameraCalibration message"):
        _ = reader.rig
    assert len(list(reader.images())) == 1


def test_no_image_channel(rig: Rig, tmp_path: Path) -> None:
    write_parts(tmp_path / "log.mcap", rig)
    reader = LogReader(tmp_path / "log.mcap")
    assert reader.rig.names == rig.names  # calibrated cameras without images are still cameras
    with pytest.raises(LogError, match=r"log\.mcap: no foxglove\.CompressedImage channel"):
        reader.images()


def test_camera_without_images(rig: Rig, tmp_path: Path) -> None:
    with LogWriter(tmp_path / "log.mcap") as log:
        log.rig(rig, 0)
        log.image("main", 1, b"x")
    reader = LogReader(tmp_path / "log.mcap")
    assert reader.rig["rear"].bucket == "small"
    assert [image.camera for image in reader.images()] == ["main"]


def set_d(values: list[float]) -> Callable[[CameraCalibration], None]:
    def change(message: CameraCalibration) -> None:
        message.D[:] = values

    return change


def set_k(index: int, value: float) -> Callable[[CameraCalibration], None]:
    def change(message: CameraCalibration) -> None:
        message.K[index] = value

    return change


def set_field(name: str, value: object) -> Callable[[Message], None]:
    return lambda message: setattr(message, name, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_d([float("nan"), 0, 0, 0, 0]), r"distortion\[0\] is nan"),
        (set_d([0.1, 0.2, 0.3]), "D has 3 values; plumb_bob takes 0 or 4 or 5"),
        (set_d([0.1] * 14), "D has 14 values"),
        (set_k(0, 0.0), "fx is 0"),
        (set_k(2, float("nan")), "cx is nan"),
        (set_k(4, float("inf")), "fy is inf"),
        (set_k(1, 2.0), "skew of 2"),
        (lambda message: message.ClearField("K"), "K has 0 values"),
        (set_field("width", 0), "width is 0"),
        (set_field("distortion_model", "fisheye62"), "distortion model is 'fisheye62'"),
    ],
)
def test_bad_calibration(
    change: Callable[[CameraCalibration], None], reason: str, rig: Rig, tmp_path: Path
) -> None:
    write_parts(tmp_path / "log.mcap", Rig("r", rig.cameras[:1]), calibrate=change)
    with pytest.raises(LogError, match=rf"log\.mcap: camera 'main': .*{reason}"):
        _ = LogReader(tmp_path / "log.mcap").rig


def hang_on(parent: str) -> Callable[[FrameTransform], None]:
    return lambda message: setattr(message, "parent_frame_id", parent)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (None, "hangs on 'main'"),
        (hang_on("map"), "hangs on 'map'"),
        (hang_on("main"), "hangs on 'main'"),  # on itself: no endless walk
        (lambda message: message.ClearField("rotation"), "not a rotation"),
        (lambda message: setattr(message.translation, "x", float("nan")), "is nan"),
    ],
)
def test_camera_without_a_place(
    place: Callable[[FrameTransform], None] | None, reason: str, rig: Rig, tmp_path: Path
) -> None:
    write_parts(tmp_path / "log.mcap", Rig("r", rig.cameras[:1]), place=place)
    with pytest.raises(LogError, match=rf"log\.mcap: .*'main'.*{reason}"):
        _ = LogReader(tmp_path / "log.mcap").rig


def test_image_message_of_garbage(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    writer = Writer(str(path))
    writer.start()
    schema = register_schema(writer, CompressedImage)
    number = writer.register_channel("/camera/main/image", "protobuf", schema)
    writer.add_message(number, 5, b"\xff\xff\xff", 5)
    writer.finish()
    with pytest.raises(LogError, match=r"log\.mcap: /camera/main/image at 5 ns"):
        list(LogReader(path).images())


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 253_402_300_000, -1])
def test_a_capture_time_that_cannot_be_is_none(seconds: int, rig: Rig, tmp_path: Path) -> None:
    """No clock is in the year 9999: the log's own time is taken, and a replay goes on."""
    image = CompressedImage(frame_id="main", data=b"x", format="jpeg")
    image.timestamp.seconds = seconds
    with LogWriter(tmp_path / "log.mcap") as log:
        log.rig(rig, 0)
        log.message(channels.image_topic("main"), image, 77)
    assert [found.stamp_ns for found in LogReader(tmp_path / "log.mcap").images()] == [77]


def zstd_chunk(records: bytes) -> bytes:
    return chunk(zstandard.compress(records), b"zstd", len(records))


def test_empty_messages_that_a_few_bytes_hold_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As objects they would take gigabytes; the file has some kilobytes."""
    monkeypatch.setattr(reader, "_HELD_LIMIT", 1 << 24)
    channel = record(Opcode.CHANNEL, struct.pack("<HHIIIII", 1, 0, 0, 0, 0, 0, 0)[:16])
    empty = record(Opcode.MESSAGE, struct.pack("<HIQQ", 1, 0, 5, 5))
    path = tmp_path / "many.mcap"
    for count, refused in ((40_000, False), (50_000, True)):
        chunks = zstd_chunk(channel + empty * count)
        path.write_bytes(MCAP0_MAGIC + record(Opcode.HEADER, bytes(8)) + chunks)
        assert path.stat().st_size < 20_000
        messages = LogReader(path).messages()
        if refused:
            with pytest.raises(LogError, match=r"many\.mcap: over 16 MiB of messages at one time"):
                next(messages)
        else:
            assert len(list(messages)) == count


def test_long_names_in_a_few_bytes_are_refused(tmp_path: Path) -> None:
    """What is after them is not read, as after any damage."""

    def channel(number: int) -> bytes:
        topic = b"/" * 30_000_000
        body = struct.pack("<HHI", number, 0, len(topic)) + topic + struct.pack("<II", 0, 0)
        return record(Opcode.CHANNEL, body)

    path = tmp_path / "long.mcap"
    chunks = b"".join(zstd_chunk(channel(number)) for number in range(1, 5))
    path.write_bytes(MCAP0_MAGIC + record(Opcode.HEADER, bytes(8)) + chunks)
    assert path.stat().st_size < 100_000
    assert len(LogReader(path).topics) <= 2
