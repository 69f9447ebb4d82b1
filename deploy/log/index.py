"""Where the messages of an MCAP file are, intact or cut off; every length in it is distrusted.

The `mcap` library's own readers assume an intact file: on a cut or damaged one they raise errors
of many kinds, trust length fields up to 4 GiB, and drop what comes before the cut in the last
chunk. So the file is walked here, with the library's record parsers on bytes known to be there.
Format: https://mcap.dev/spec
"""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame  # type: ignore[import-untyped]
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, Footer, Schema
from mcap.writer import MCAP0_MAGIC

from deploy.errors import LogError

RECORD_LIMIT = 1 << 28  # bytes; no camera message or chunk comes near
_DEFINED_LIMIT = 1 << 26  # bytes of all schemas and channels
_READ_STEP = 1 << 20
_FOOTER_SIZE = 9 + 20
_MESSAGE_HEADER = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time

# What parsing bytes that are not what they claim to be can raise.
_DAMAGE = (
    *(McapError, struct.error, ValueError, EOFError, RuntimeError, OverflowError),
    *(OSError, MemoryError, zstandard.ZstdError),
)


@dataclass(frozen=True)
class RawMessage:
    """One message as it lies in the log."""

    log_time: int
    channel_id: int
    data: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Block:
    """A chunk, or one message outside any chunk: the unit that is read at once. A long log has
    tens of thousands."""

    start_ns: int
    end_ns: int  # of its last message
    offset: int  # of its record in the file
    channel_ids: frozenset[int]  # empty: unknown
    cut: bool = False  # the file ends inside it


@dataclass
class LogIndex:
    """What a log holds, without its messages."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    truncated: bool = False
    defined_bytes: int = 0


def read_index(path: Path) -> LogIndex:
    """Index from the summary section, or from a walk through the file when that is missing.

    Raises:
        LogError: the file is missing, unreadable, empty, or not MCAP.
    """
    with open_log(path) as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        magic = stream.read(len(MCAP0_MAGIC))
        if not magic:
            raise LogError(f"{path}: is empty; record or import it again")
        if magic != MCAP0_MAGIC:
            raise LogError(f"{path}: is not an MCAP log (starts with {magic.hex(' ')}); import it")
        try:
            index = _read_summary(stream, size)
        except _DAMAGE:
            index = None
        index = index or _walk(stream, size)
        index.blocks.sort(key=lambda block: (block.start_ns, block.offset))
        return index


def open_log(path: Path) -> BinaryIO:
    """Open for reading, with the operating system's reason as a LogError."""
    try:
        return path.open("rb")
    except IsADirectoryError as error:
        raise LogError(f"{path}: is a folder, not a log; name the .mcap file in it") from error
    except FileNotFoundError as error:
        raise LogError(f"{path}: no such log; check the path") from error
    except OSError as error:
        raise LogError(
            f"{path}: can't be read ({error.strerror}); check its permissions"
        ) from error


def read_block(stream: BinaryIO, path: Path, block: Block) -> Iterator[RawMessage]:
    """The messages of one block, in file order; up to the cut if the file ends inside it. They are
    made one by one: a chunk of nothing but their heads holds millions.

    Raises:
        LogError: the block is damaged although the file does not end in it.
    """
    try:
        stream.seek(block.offset)
        opcode, length = _record_header(stream)
        body = _record_body(stream, length)
        if opcode == Opcode.MESSAGE:
            yield _message(body)
            return
        if opcode != Opcode.CHUNK:
            raise ValueError("the index names a chunk that is not there")
        content = _decompress(Chunk.read(ReadDataStream(io.BytesIO(body))), block.cut)
        for opcode, record in _records(content):
            if opcode == Opcode.MESSAGE:
                yield _message(record)
    except _DAMAGE as error:
        raise LogError(
            f"{path}: damaged at byte {block.offset} ({error}); repair it with `mcap recover`"
        ) from error


def _read_summary(stream: BinaryIO, size: int) -> LogIndex | None:
    """Index from the summary section; None if there is no usable one."""
    end = size - len(MCAP0_MAGIC)
    footer_start = end - _FOOTER_SIZE
    if footer_start < len(MCAP0_MAGIC):
        return None
    stream.seek(footer_start)
    opcode, _ = _record_header(stream)
    footer = Footer.read(ReadDataStream(stream))
    if opcode != Opcode.FOOTER or stream.read() != MCAP0_MAGIC:
        return None
    if not 0 < footer.summary_start < footer_start:
        return None
    if footer_start - footer.summary_start > RECORD_LIMIT:
        return None
    stream.seek(footer.summary_start)
    index = LogIndex()
    known: dict[frozenset[int], frozenset[int]] = {}  # most chunks hold the same channels
    for opcode, body in _records(stream.read(footer_start - footer.summary_start)):
        _define(index, opcode, body)
        if opcode == Opcode.CHUNK_INDEX:
            chunk = ChunkIndex.read(ReadDataStream(io.BytesIO(body)))
            channel_ids = frozenset(chunk.message_index_offsets)
            channel_ids = known.setdefault(channel_ids, channel_ids)
            times = chunk.message_start_time, chunk.message_end_time
            index.blocks.append(Block(*times, chunk.chunk_start_offset, channel_ids))
    return index if index.blocks else None


def _walk(stream: BinaryIO, size: int) -> LogIndex:
    """Index of a file without a summary, by reading it once up to its end or its first damage."""
    index = LogIndex(truncated=True)
    offset = len(MCAP0_MAGIC)
    try:
        while offset < size:
            stream.seek(offset)
            opcode, length = _record_header(stream)
            if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                index.truncated = False
                break
            cut = offset + 9 + length > size
            if opcode == Opcode.CHUNK:
                chunk = Chunk.read(ReadDataStream(io.BytesIO(_record_body(stream, length))))
                _index_chunk(index, chunk, offset, cut)
            elif opcode == Opcode.MESSAGE and not cut:
                message = _message(stream.read(_MESSAGE_HEADER.size))
                channel_ids = frozenset([message.channel_id])
                times = message.log_time, message.log_time
                index.blocks.append(Block(*times, offset, channel_ids))
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL) and not cut:
                _define(index, opcode, _record_body(stream, length))
            offset += 9 + length
    except _DAMAGE:
        pass  # everything before the damage is in the index
    return index


def _index_chunk(index: LogIndex, chunk: Chunk, offset: int, cut: bool) -> None:
    channel_ids = set()
    for opcode, body in _records(_decompress(chunk, cut)):
        _define(index, opcode, body)
        if opcode == Opcode.MESSAGE:
            channel_ids.add(_message(body).channel_id)
    if channel_ids:
        times = chunk.message_start_time, chunk.message_end_time
        index.blocks.append(Block(*times, offset, frozenset(channel_ids), cut))


def _define(index: LogIndex, opcode: int, body: bytes) -> None:
    """Take in a schema or channel record; others are left alone.

    Raises ValueError where they get long: a few compressed bytes make many.
    """
    if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
        index.defined_bytes += len(body)
        if index.defined_bytes > _DEFINED_LIMIT:
            raise ValueError(f"over {_DEFINED_LIMIT} bytes of schemas and channels")
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(ReadDataStream(io.BytesIO(body)))
        index.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(ReadDataStream(io.BytesIO(body)))
        index.channels[channel.id] = channel


def _record_header(stream: BinaryIO) -> tuple[int, int]:
    """Opcode and length in bytes of the record that starts here."""
    opcode, length = struct.unpack("<BQ", stream.read(9))
    return opcode, length


def _record_body(stream: BinaryIO, length: int) -> bytes:
    """The body that follows a record's header, as far as the file has it."""
    left = os.fstat(stream.fileno()).st_size - stream.tell()
    return stream.read(max(0, min(length, left, RECORD_LIMIT)))


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and body of every record that is whole."""
    offset = 0
    while offset + 9 <= len(content):
        opcode, length = struct.unpack_from("<BQ", content, offset)
        offset += 9
        if offset + length > len(content):
            return
        yield opcode, content[offset : offset + length]
        offset += length


def _message(body: bytes) -> RawMessage:
    channel_id, sequence, log_time, _ = _MESSAGE_HEADER.unpack_from(body)
    return RawMessage(log_time, channel_id, body[_MESSAGE_HEADER.size :], sequence)


def _decompress(chunk: Chunk, cut: bool) -> bytes:
    """Records of a chunk; of a chunk cut short, the part that still decompresses.

    Memory follows what the data really holds, never what a length field claims.
    """
    reader: Any  # three file-like classes without a common base
    if chunk.compression == "zstd":
        reader = zstandard.ZstdDecompressor().stream_reader(chunk.data)
    elif chunk.compression == "lz4":
        reader = lz4.frame.LZ4FrameFile(io.BytesIO(chunk.data))
    elif chunk.compression == "":
        reader = io.BytesIO(chunk.data)
    else:
        raise ValueError(f"unknown compression {chunk.compression!r}")
    content = bytearray()
    limit = min(chunk.uncompressed_size, RECORD_LIMIT)
    try:
        while len(content) < limit:
            piece = reader.read(min(_READ_STEP, limit - len(content)))
            if not piece:
                break
            content += piece
    except _DAMAGE:
        if not cut:
            raise
    if not cut:
        if len(content) != chunk.uncompressed_size:
            raise ValueError(
                f"chunk holds {len(content)} bytes and claims {chunk.uncompressed_size}"
            )
        if chunk.uncompressed_crc and zlib.crc32(content) != chunk.uncompressed_crc:
            raise ValueError("checksum of chunk differs")
    return bytes(content)
