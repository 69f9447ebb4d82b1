"""Logs for fuzzing: put together of fuzzed parts, and read as those who use one read it."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.Grid_pb2 import Grid
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from mcap.opcode import Opcode
from mcap.writer import MCAP0_MAGIC, CompressionType, Writer
from mcap_protobuf.schema import build_file_descriptor_set

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.log import channels
from deploy.log.boxes import Box, to_scene_update
from deploy.log.diff import compare_logs
from deploy.log.ego_pose import EgoTrack
from deploy.log.grids import GroundGrid, to_grid
from deploy.log.reader import LogMessage, LogReader
from deploy.log.rig_messages import to_ego_transform
from deploy.log.writer import LogWriter
from deploy.loop.frames import decode_image
from deploy.loop.join import join_frames
from tests.deploy.importers.pictures import HEIGHT, WIDTH, jpeg

NAMES = ("main", "rear")
STAMP = 1_700_000_000_000_000_000
PERIOD = 50_000_000


def small_rig() -> Rig:
    lens = Lens("pinhole", WIDTH, HEIGHT, 50, 50, 31.5, 23.5)
    poses = (ego_from_camera([1, 0, 1.4], yaw, 0.1, 0) for yaw in (0, 3.1))
    pairs = zip(NAMES, poses, strict=True)
    return Rig("two", tuple(Camera(name, lens, pose, 20, "small") for name, pose in pairs))


def write_log(path: Path) -> None:
    """Three instants of two cameras, poses, boxes, a grid and a JSON message."""
    box = Box("7", "vehicle", np.eye(4), (4.0, 2.0, 1.5), {"label": "car"})
    grid = GroundGrid(-2, -2, 0.5, {"drivable": np.zeros((8, 8), np.uint8)})
    with LogWriter(path) as log:
        log.rig(small_rig(), STAMP)
        for i in range(3):
            now = STAMP + i * PERIOD
            log.message(channels.TRANSFORMS, to_ego_transform(np.eye(4), now), now)
            for name in NAMES:
                log.image(name, now, jpeg(40 + 10 * i), "jpeg")
            log.message(channels.OBJECTS, to_scene_update([box], now), now)
            log.message(channels.DRIVABLE, to_grid(grid, now), now)
            log.json(
                channels.HEALTH, "octoview.Health", {"cameras": {"main": {"status": "ok"}}}, now
            )


def read_log(path: Path) -> None:
    """Every message, the rig, poses, the images as the loop joins and decodes them, and the log
    compared with itself."""
    log = LogReader(path)
    for message in log.messages():
        with suppress(LogError):
            message.decode()
    rig = log.rig
    EgoTrack(log)
    for encoded in join_frames(log.images(), rig):
        for name, image in encoded.images.items():
            decode_image(image, rig[name])
    compare_logs(log, LogReader(path))


# --- records of one chunk: whatever they are, the chunk's sizes and checksum are right ----------


def write_records(path: Path) -> None:
    """The schemas, channels and messages of such a log, one after another."""
    log = path.with_name("whole.mcap")
    write_log(log)
    parts = [
        body
        for opcode, body in _records(_unchunked(log))
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE)
    ]
    path.write_bytes(b"".join(parts))
    log.unlink()


def read_records(path: Path, log: Path) -> None:
    """Read the log that has the records of `path` in its one chunk."""
    records = path.read_bytes()
    head = struct.pack("<QQQII", 0, 2**62, len(records), zlib.crc32(records), 0)
    chunk = _record(Opcode.CHUNK, head + struct.pack("<Q", len(records)) + records)
    end = _record(Opcode.DATA_END, bytes(4)) + _record(Opcode.FOOTER, bytes(20))
    log.write_bytes(
        MCAP0_MAGIC + _record(Opcode.HEADER, bytes(8)) + chunk + end + MCAP0_MAGIC,
    )
    read_log(log)


def _record(opcode: int, body: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(body)) + body


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and all bytes of each record."""
    at = len(MCAP0_MAGIC)
    while at + 9 <= len(content) - len(MCAP0_MAGIC):
        opcode, length = struct.unpack_from("<BQ", content, at)
        yield opcode, content[at : at + 9 + length]
        at += 9 + length


def _unchunked(log: Path) -> bytes:
    """The log with its messages outside of chunks."""
    out = log.with_name("unchunked.mcap")
    writer = Writer(str(out), use_chunking=False)
    writer.start()
    _copy(LogReader(log).messages(), writer)
    writer.finish()
    content = out.read_bytes()
    out.unlink()
    return content


# --- messages of one log, each in a file of its own ---------------------------------------------

TYPES = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (CameraCalibration, CompressedImage, FrameTransform, Grid, SceneUpdate)
}


def write_messages(folder: Path) -> None:
    """FOLDER/NUMBER: topic, schema and encoding on three lines, then the message's bytes."""
    log = folder / "whole.mcap"
    write_log(log)
    for number, message in enumerate(LogReader(log).messages()):
        head = "\n".join((message.topic, message.schema, message.encoding, ""))
        (folder / f"{number:02}").write_bytes(head.encode() + message.data)
    log.unlink()


def write_message_log(folder: Path, log: Path) -> Path:
    """A sound log of the messages in `folder`."""
    messages = []
    for number, path in enumerate(sorted(folder.iterdir())):
        topic, schema, encoding, data = (path.read_bytes().split(b"\n", 3) + [b""] * 3)[:4]
        words = [word.decode(errors="replace") for word in (topic, schema, encoding)]
        messages.append(LogMessage(words[0], STAMP + number, words[1], words[2], data, path))
    writer = Writer(str(log), compression=CompressionType.NONE)
    writer.start()
    _copy(iter(messages), writer)
    writer.finish()
    return log


def _copy(messages: Iterator[LogMessage], writer: Writer) -> None:
    channel_ids: dict[tuple[str, str, str], int] = {}
    for message in messages:
        key = (message.topic, message.schema, message.encoding)
        if key not in channel_ids:
            kind = TYPES.get(message.schema)
            definition = build_file_descriptor_set(kind).SerializeToString() if kind else b"{}"
            schema = writer.register_schema(message.schema, message.encoding, definition)
            channel_ids[key] = writer.register_channel(message.topic, message.encoding, schema)
        stamp = message.stamp_ns
        writer.add_message(channel_ids[key], stamp, message.data, stamp, message.sequence)
