"""A log of any length: a short one again and again, each time later."""

from pathlib import Path

from google.protobuf.message import Message

from deploy.log import channels
from deploy.log.reader import EncodedImage, LogReader
from deploy.log.stamps import to_timestamp
from deploy.log.writer import LogWriter


def write_long_log(sample: Path, path: Path, ticks: int) -> None:
    """`sample`, its images and where the vehicle was, repeated until `path` holds `ticks` ticks."""
    reader = LogReader(sample)
    images = list(reader.images())
    stamps = sorted({image.stamp_ns for image in images})
    period = stamps[1] - stamps[0]
    entries: list[tuple[int, EncodedImage | Message]] = [(i.stamp_ns, i) for i in images]
    for message in reader.messages([channels.TRANSFORMS]):
        transform = message.decode()
        if transform.child_frame_id == channels.EGO_FRAME:
            entries.append((message.stamp_ns, transform))
    entries.sort(key=lambda entry: entry[0])
    with LogWriter(path) as log:
        log.rig(reader.rig, stamps[0])
        for start in range(0, ticks, len(stamps)):
            shift = start * period
            last = stamps[min(len(stamps), ticks - start) - 1]
            for stamp, entry in entries:
                if stamp > last:
                    break
                if isinstance(entry, EncodedImage):
                    log.image(entry.camera, stamp + shift, entry.data, entry.format)
                else:
                    entry.timestamp.CopyFrom(to_timestamp(stamp + shift))
                    log.message(channels.TRANSFORMS, entry, stamp + shift)
