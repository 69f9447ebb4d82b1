"""The first ticks of a log: an emulated processor needs many seconds for each."""

from pathlib import Path

from mcap.reader import make_reader
from mcap.writer import Writer


def cut_clip(log: Path, seconds: float, out: Path) -> None:
    """Copy what `log` says in its first `seconds` to `out`."""
    with log.open("rb") as source, out.open("wb") as target:
        reader = make_reader(source)
        writer = Writer(target)
        writer.start(profile="", library="octoview")
        channels: dict[int, int] = {}
        schemas: dict[int, int] = {}
        first = None
        for schema, channel, message in reader.iter_messages():
            first = message.log_time if first is None else first
            if message.log_time >= first + seconds * 1e9:
                break
            if schema and schema.id not in schemas:
                schemas[schema.id] = writer.register_schema(
                    schema.name, schema.encoding, schema.data
                )
            if channel.id not in channels:
                channels[channel.id] = writer.register_channel(
                    channel.topic,
                    channel.message_encoding,
                    schemas[schema.id] if schema else 0,
                    channel.metadata,
                )
            writer.add_message(
                channels[channel.id],
                message.log_time,
                message.data,
                message.publish_time,
                message.sequence,
            )
        writer.finish()
