"""What an import that was interrupted had done: its images are taken over, not made again."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from google.protobuf.message import DecodeError

from deploy.errors import LogError
from deploy.log.index import open_log, read_block, read_index
from deploy.log.reader import IMAGE_SCHEMA

_LOOK_EVERY = 100
"""Of the images that are taken over, the first and every so many are compared with the source."""


class Begun:
    """The images in the unfinished log of `out`, in the order in which they were written.

    `out`.part becomes `out`.begun, which is deleted when all in it has been taken over: so an
    import that is interrupted again while it takes over loses nothing either.
    """

    def __init__(self, out: Path) -> None:
        self.path = out.parent / f"{out.name}.begun"
        part = out.parent / f"{out.name}.part"
        with suppress(OSError):  # the larger one holds more
            if not self.path.exists() or part.stat().st_size > self.path.stat().st_size:
                part.replace(self.path)
        self._images = _images(self.path)
        self._next = next(self._images, None)
        self._taken = 0

    def take(self, topic: str, stamp_ns: int, read: Callable[[], bytes]) -> bytes:
        """The bytes of the image that comes next, from the unfinished log or else from `read`.

        Raises LogError when the unfinished log is of something else.
        """
        if self._next is None:
            return read()
        begun_topic, begun_ns, data = self._next
        looked_at = self._taken % _LOOK_EVERY == 0
        if (begun_topic, begun_ns) != (topic, stamp_ns) or (looked_at and read() != data):
            raise self._of_something_else()
        self._taken += 1
        self._next = next(self._images, None)
        if self._next is None:
            self.path.unlink(missing_ok=True)
        return data

    def end(self) -> None:
        """The import is through. Raises LogError when the unfinished log held more."""
        if self._next is not None:
            raise self._of_something_else()
        self.path.unlink(missing_ok=True)

    def _of_something_else(self) -> LogError:
        return LogError(
            f"{self.path}: was begun from another recording or with other cameras; delete it to "
            "start anew, or name another log"
        )


def _images(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """Topic, stamp and bytes in file order, up to the cut or the first that is none; nothing where
    there is no log."""
    try:
        index = read_index(path)
    except LogError:
        return
    schemas = {number for number, one in index.schemas.items() if one.name == IMAGE_SCHEMA}
    topics = {n: one.topic for n, one in index.channels.items() if one.schema_id in schemas}
    with open_log(path) as stream:
        for block in sorted(index.blocks, key=lambda block: block.offset):
            for message in read_block(stream, path, block):
                if topic := topics.get(message.channel_id):
                    try:
                        image = CompressedImage.FromString(message.data)
                    except DecodeError:
                        return
                    yield topic, message.log_time, image.data
