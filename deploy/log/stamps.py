"""Integer nanoseconds <-> protobuf Timestamp, exact."""

from google.protobuf.timestamp_pb2 import Timestamp


def to_timestamp(stamp_ns: int) -> Timestamp:
    """Protobuf Timestamp of integer nanoseconds since the log's epoch."""
    seconds, nanos = divmod(stamp_ns, 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)


def to_nanoseconds(stamp: Timestamp) -> int:
    """Integer nanoseconds since the log's epoch."""
    return int(stamp.seconds) * 1_000_000_000 + int(stamp.nanos)
