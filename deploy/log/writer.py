"""Write a log in one pass: MCAP, zstd chunks, Foxglove's protobuf schemas, summary at the end."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from google.protobuf.message import Message
from mcap.data_stream import RecordBuilder
from mcap.records import ChunkIndex
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import Writer
from mcap_protobuf.schema import build_file_descriptor_set

from calib.rig import Rig
from deploy.errors import LogError
from deploy.log import channels
from deploy.log.rig_messages import to_calibration, to_transform
from deploy.log.stamps import to_timestamp


class LogWriter:
    """Context manager that writes one log.

    The file appears under its name only when the block ends without an exception; until then it
    is `NAME.part`, and an exception removes it. Equal calls give equal bytes: the library name in
    the header is fixed and no clock is read.

    chunk_bytes: messages are compressed, and lost by a cut, in chunks of this size. The index of
    every chunk, ten bytes a channel, stays in memory until the log ends.
    `in_place`: for recordings, which are worth more cut than not at all. The file has its name
    from the start, and an exception leaves what was there at the last `flush`.
    `resumable`: Control-C leaves `NAME.part`, for whoever can go on from there.

    Raises:
        LogError: the file can't be written, or a message does not fit its channel.
    """

    def __init__(
        self,
        path: str | Path,
        chunk_bytes: int = 2**20,
        *,
        in_place: bool = False,
        resumable: bool = False,
    ) -> None:
        self.path = Path(path)
        self._chunk_bytes = chunk_bytes
        self._in_place = in_place
        self._resumable = resumable
        self._safe_bytes = 0
        self._channels: dict[str, tuple[int, str]] = {}  # topic -> channel id, schema name
        self._schemas: dict[str, int] = {}
        self._sequence: Counter[int] = Counter()
        self._metadata: dict[str, dict[str, str]] = {}  # camera -> metadata of its channels

    def __enter__(self) -> "LogWriter":
        if self.path.is_dir():
            raise LogError(f"{self.path}: is a folder; name a file, such as {self.path}/out.mcap")
        if self.path.suffix != ".mcap":  # a slip of the keyboard shall not replace a video
            raise LogError(f"{self.path}: is no name of a log; end it with .mcap")
        unfinished = self.path.name if self._in_place else f"{self.path.name}.part"
        self._part = self.path.with_name(unfinished)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._part.open("wb")
        except OSError as error:
            raise self._unwritable(error) from error
        self._mcap = Writer(self._stream, chunk_size=self._chunk_bytes)
        # As objects, one chunk's index takes 2 KB until the log ends.
        self._mcap._Writer__chunk_indices = _PackedIndex()  # type: ignore[attr-defined]
        self._mcap.start(profile="", library="octoview")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        done = False
        try:
            if kind is KeyboardInterrupt and self._resumable:
                self.flush()
            elif kind is None:
                self._mcap.finish()
                self._stream.close()
                self._part.replace(self.path)
                done = True
        except OSError as failure:
            raise self._unwritable(failure) from failure
        finally:
            if not done:
                self._discard()

    def flush(self) -> int:
        """Give everything written so far to the system, in whole chunks; returns the bytes of the
        file. What was flushed survives the end of this process, however it ends; that of the
        machine once `fileno` is synced."""
        try:
            self._mcap.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        self._safe_bytes = self._stream.tell()
        return self._safe_bytes

    def fileno(self) -> int:
        """The open file's descriptor."""
        return self._stream.fileno()

    def rig(self, rig: Rig, stamp_ns: int) -> None:
        """Write calibration and pose of every camera. Call it before the first image."""
        for camera in rig:
            self._metadata[camera.name] = {
                channels.META_BUCKET: camera.bucket,
                channels.META_RATE_HZ: repr(float(camera.rate_hz)),
                channels.META_RIG: rig.name,
            }
            calibration = to_calibration(camera, stamp_ns)
            topic = channels.calibration_topic(camera.name)
            self._protobuf(topic, calibration, stamp_ns, self._metadata[camera.name])
            self.message(channels.TRANSFORMS, to_transform(camera, stamp_ns), stamp_ns)

    def image(
        self,
        camera: str,
        stamp_ns: int,
        data: bytes,
        format: str = "jpeg",
        sequence: int | None = None,
    ) -> None:
        """Write one encoded image (`format`: jpeg, png or webp), taken at `stamp_ns`; `sequence`
        is the camera's own count of its frames, where it has one."""
        image = CompressedImage(
            timestamp=to_timestamp(stamp_ns), frame_id=camera, data=data, format=format
        )
        topic = channels.image_topic(camera)
        self._protobuf(topic, image, stamp_ns, self._metadata.get(camera, {}), sequence)

    def message(self, topic: str, message: Message, stamp_ns: int) -> None:
        """Write one protobuf message; a topic keeps the type of its first message."""
        self._protobuf(topic, message, stamp_ns, {})

    def json(self, topic: str, schema_name: str, content: dict[str, Any], stamp_ns: int) -> None:
        """Write one JSON message, for what Foxglove has no schema for."""
        channel = self._channel(
            topic, schema_name, SchemaEncoding.JSONSchema, b'{"type":"object"}', {}
        )
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        self._add(channel, stamp_ns, text.encode())

    def _protobuf(
        self,
        topic: str,
        message: Message,
        stamp_ns: int,
        metadata: dict[str, str],
        sequence: int | None = None,
    ) -> None:
        schema = message.DESCRIPTOR.full_name
        known = topic in self._channels
        definition = b"" if known else build_file_descriptor_set(type(message)).SerializeToString()
        channel = self._channel(topic, schema, SchemaEncoding.Protobuf, definition, metadata)
        self._add(channel, stamp_ns, message.SerializeToString(deterministic=True), sequence)

    def _channel(
        self, topic: str, schema: str, encoding: str, definition: bytes, metadata: dict[str, str]
    ) -> int:
        if topic not in self._channels:
            if schema not in self._schemas:
                self._schemas[schema] = self._mcap.register_schema(schema, encoding, definition)
            is_json = encoding == SchemaEncoding.JSONSchema
            message_encoding = MessageEncoding.JSON if is_json else MessageEncoding.Protobuf
            channel = self._mcap.register_channel(
                topic, message_encoding, self._schemas[schema], metadata
            )
            self._channels[topic] = (channel, schema)
        channel, expected = self._channels[topic]
        if schema != expected:
            raise LogError(
                f"{self.path}: {topic} holds {expected}, not {schema}; use another topic"
            )
        return channel

    def _add(self, channel: int, stamp_ns: int, data: bytes, sequence: int | None = None) -> None:
        if not 0 <= stamp_ns < 2**64:
            raise LogError(f"{self.path}: stamp {stamp_ns} ns does not fit MCAP's 0 to 2^64 - 1")
        try:
            number = self._sequence[channel] if sequence is None else sequence % 2**32
            self._mcap.add_message(channel, stamp_ns, data, stamp_ns, number)
        except OSError as error:
            raise self._unwritable(error) from error
        self._sequence[channel] += 1

    def _discard(self) -> None:
        with suppress(OSError):  # a full disk fails again here, and was already reported
            self._stream.close()
        if self._safe_bytes:
            os.truncate(self._part, self._safe_bytes)
        if not ((self._in_place or self._resumable) and self._safe_bytes):
            self._part.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> LogError:
        return LogError(f"{self.path}: can't be written ({error.strerror}); choose another place")


class _PackedIndex:
    """Stands for the writer's list of chunk indices: keeps them as the bytes that they will be."""

    def __init__(self) -> None:
        self._records = RecordBuilder()

    def append(self, index: ChunkIndex) -> None:
        index.write(self._records)

    def __iter__(self) -> Iterator["_PackedIndex"]:
        yield self

    def write(self, stream: RecordBuilder) -> None:
        """All of them at once, when the log ends."""
        stream.write(self._records.end())
