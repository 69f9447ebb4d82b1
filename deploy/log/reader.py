"""Read a log, ours or another tool's, as a stream: its rig, its images, its messages."""

import heapq
import importlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from mcap.records import Channel
from mcap.well_known import MessageEncoding

from calib.json_text import load_json
from calib.rig import Rig
from deploy.errors import LogError
from deploy.log import channels
from deploy.log.index import RawMessage, open_log, read_block, read_index
from deploy.log.rig import read_rig
from deploy.log.stamps import to_nanoseconds

IMAGE_SCHEMA = "foxglove.CompressedImage"
_END_OF_TIME_NS = 2**63  # in the year 2262; what counts in 64 bits with a sign goes no further
_HELD_LIMIT = 1 << 30  # bytes of messages that wait for their turn
_OVERHEAD_BYTES = 400  # of a message that waits, beside its data


@dataclass(frozen=True)
class LogMessage:
    """One message: still encoded in `data`, decoded by `decode()`."""

    topic: str
    stamp_ns: int  # log time
    schema: str  # name, such as foxglove.CompressedImage; "" if the channel has none
    encoding: str  # protobuf, json, ...
    data: bytes
    log: Path = field(compare=False)  # that it is from
    sequence: int = field(default=0, compare=False)  # as its publisher counted, or 0

    def decode(self) -> Any:
        """Foxglove protobuf message, or the content of a JSON message.

        Raises:
            LogError: the bytes are damaged, or the type is neither Foxglove protobuf nor JSON.
        """
        where = f"{self.log}: {self.topic} at {self.stamp_ns} ns"
        try:
            if self.encoding == MessageEncoding.JSON:
                return load_json(self.data)
            if self.encoding == MessageEncoding.Protobuf:
                return _foxglove_class(self.schema).FromString(self.data)
        except (DecodeError, ValueError, ImportError, AttributeError) as error:
            raise LogError(f"{where}: is no readable {self.schema} ({error})") from error
        raise LogError(f"{where}: {self.encoding} {self.schema!r} is not read; convert the log")


@dataclass(frozen=True)
class EncodedImage:
    """One camera image as it was recorded."""

    camera: str
    stamp_ns: int  # capture time, where the message has one that can be, else log time
    data: bytes
    format: str  # jpeg, png, webp
    sequence: int | None = None  # the camera's own count of its frames, where it is known
    received_ns: int | None = None  # when a live image reached this machine


class LogReader:
    """A log on disk. Reading streams: at most the chunks that overlap in time are in memory.

    A log that was cut off is read up to the cut, with `truncated` True.

    Raises:
        LogError: the file is missing, unreadable, empty or not MCAP.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._index = read_index(self.path)

    @property
    def truncated(self) -> bool:
        """Whether the file ends, or is damaged, before the end of its messages."""
        return self._index.truncated

    @property
    def duration_s(self) -> float:
        """From the first message to the last chunk of messages; 0 for a log of one chunk."""
        starts = [block.start_ns for block in self._index.blocks]
        return (max(starts) - min(starts)) / 1e9 if starts else 0.0

    @property
    def topics(self) -> dict[str, str]:
        """Schema name of each topic."""
        return {c.topic: self._schema_name(c) for c in self._index.channels.values()}

    def topics_of(self, schema: str) -> set[str]:
        """Topics that hold protobuf messages of one schema."""
        return {
            channel.topic
            for channel in self._index.channels.values()
            if self._schema_name(channel) == schema
            and channel.message_encoding == MessageEncoding.Protobuf
        }

    def metadata(self, topic: str) -> dict[str, str]:
        """Metadata of a channel; empty if the log has no such topic."""
        found = [c.metadata for c in self._index.channels.values() if c.topic == topic]
        return found[0] if found else {}

    @property
    def rig(self) -> Rig:
        """The rig from the first calibration and transform of each camera (see rig.py).

        Raises:
            LogError: there is no calibration, or it is not that of a camera.
        """
        return read_rig(self)

    def messages(
        self,
        topics: Iterable[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[LogMessage]:
        """Messages in log-time order, equal times in file order, with start_ns <= time < end_ns.

        Raises:
            LogError: a chunk in the middle of the file is damaged.
        """
        wanted = None if topics is None else set(topics)
        known = {
            number: (channel, self._schema_name(channel))
            for number, channel in self._index.channels.items()
            if wanted is None or channel.topic in wanted
        }
        for raw in self._ordered(frozenset(known), start_ns, end_ns):
            if raw.channel_id not in known or (start_ns is not None and raw.log_time < start_ns):
                continue
            if end_ns is not None and raw.log_time >= end_ns:
                return
            channel, schema = known[raw.channel_id]
            encoding = channel.message_encoding
            yield LogMessage(
                *(channel.topic, raw.log_time, schema, encoding, raw.data, self.path),
                raw.sequence,
            )

    def images(
        self, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[EncodedImage]:
        """Camera images of all cameras in log-time order; truth images are left out.

        Raises:
            LogError: the log has no image channel, or an image message is damaged.
        """
        topics = self.image_topics
        if not topics:
            raise LogError(
                f"{self.path}: no {IMAGE_SCHEMA} channel, so no camera images;"
                " choose a log with compressed images"
            )
        return self._images(topics, start_ns, end_ns)

    @property
    def image_topics(self) -> list[str]:
        """Topics of camera images, sorted."""
        return sorted(t for t in self.topics_of(IMAGE_SCHEMA) if not channels.is_truth(t))

    def _images(
        self, topics: list[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[EncodedImage]:
        # Other tools number all kinds of things; ours the frames of a camera.
        numbered = {topic for topic in topics if channels.META_RIG in self.metadata(topic)}
        for message in self.messages(topics, start_ns, end_ns):
            image = message.decode()
            captured = to_nanoseconds(image.timestamp)
            if not 0 < captured < _END_OF_TIME_NS:
                captured = message.stamp_ns
            camera = channels.camera_name(message.topic, image.frame_id)
            sequence = message.sequence if message.topic in numbered else None
            yield EncodedImage(camera, captured, image.data, image.format or "jpeg", sequence)

    def _schema_name(self, channel: Channel) -> str:
        schema = self._index.schemas.get(channel.schema_id)
        return schema.name if schema else ""

    def _ordered(
        self, channel_ids: frozenset[int], start_ns: int | None, end_ns: int | None
    ) -> Iterator[RawMessage]:
        """Merge the blocks by time: a block is read when the messages before it are through, and
        not at all when it is over before the start."""
        held = 0
        waiting: list[tuple[int, int, int, RawMessage]] = []
        order = itertools.count()
        with open_log(self.path) as stream:
            for block in self._index.blocks:
                if end_ns is not None and block.start_ns >= end_ns:
                    break
                if start_ns is not None and block.start_ns <= block.end_ns < start_ns:
                    continue
                if block.channel_ids and block.channel_ids.isdisjoint(channel_ids):
                    continue
                while waiting and waiting[0][0] < block.start_ns:
                    message = heapq.heappop(waiting)[-1]
                    held -= len(message.data) + _OVERHEAD_BYTES
                    yield message
                for message in read_block(stream, self.path, block):
                    entry = (message.log_time, block.offset, next(order), message)
                    heapq.heappush(waiting, entry)
                    held += len(message.data) + _OVERHEAD_BYTES
                    if held > _HELD_LIMIT:
                        raise LogError(
                            f"{self.path}: over {_HELD_LIMIT >> 20} MiB of messages at one time, by"
                            " what its chunks say; put it in order with `mcap sort`"
                        )
            while waiting:
                yield heapq.heappop(waiting)[-1]


def _foxglove_class(schema: str) -> Any:
    package, _, name = schema.rpartition(".")
    if package != "foxglove" or not name.isidentifier():
        raise ValueError("not one of Foxglove's schemas")
    return getattr(importlib.import_module(f"foxglove_schemas_protobuf.{name}_pb2"), name)
