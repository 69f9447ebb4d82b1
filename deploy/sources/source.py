"""Source: the one interface behind which cameras and recordings deliver images."""

from collections.abc import Iterator
from typing import Protocol

from deploy.log.reader import EncodedImage

# A live source that is silent for longer has hung: it is closed and opened again.
STALL_S = 2.0
JPEG_QUALITY = 95


class Source(Protocol):
    """One camera, or several that one recording holds.

    Images are encoded, because what is recorded must be what the network saw: cameras that give
    JPEG are passed through, others are encoded once.
    """

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names in the rig."""
        ...

    @property
    def live(self) -> bool:
        """Whether an end of the stream is a loss, to recover from, and not the end of the drive."""
        ...

    def images(self) -> Iterator[EncodedImage]:
        """Connect and deliver, each image when it is there, stamped with the steady clock.

        Closing the iterator lets go of the device. Raises SourceError when the source can't be
        opened, breaks, or is silent for STALL_S.
        """
        ...
