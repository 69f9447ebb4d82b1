"""Repeat: the images that faults are injected into, from a log however short."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from calib.rig import Rig
from deploy.log.reader import EncodedImage, LogReader
from deploy.loop.playback import Part, Playback


def long_enough(reader: LogReader, rig: Rig, ticks: int) -> list[EncodedImage]:
    """The images of so many instants of the rig's cameras. A log that is too short begins again
    as often as needed: stamps and frame ids go on, and no camera ever sends the same bytes twice,
    which would be a frozen one.

    Raises LogError as Playback does.
    """
    rounds = Playback(reader, Part(times=0, cameras=rig.names)).images()
    return list(islice(_counted_on(rounds), ticks * len(rig)))


def _counted_on(images: Iterator[EncodedImage]) -> Iterator[EncodedImage]:
    frames: Counter[str] = Counter()
    sent: Counter[tuple[str, bytes]] = Counter()
    for image in images:
        copy = sent[image.camera, image.data]
        sent[image.camera, image.data] += 1
        yield replace(image, data=unlike(image.data, copy), sequence=frames[image.camera])
        frames[image.camera] += 1


def unlike(jpeg: bytes, copy: int) -> bytes:
    """The same picture in other bytes: with a comment of 4 bytes that counts the copies, none in
    the first one."""
    comment = b"\xff\xfe\x00\x06" + copy.to_bytes(4, "big") if copy else b""
    return jpeg[:2] + comment + jpeg[2:]
