"""Faults of cameras and their way to the computer: changes to a stream of images."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.encoded_image import decode
from deploy.log.reader import EncodedImage


@dataclass(frozen=True)
class Window:
    """The cameras that a fault strikes, from `start_ns` up to `end_ns`; `random` is seeded."""

    cameras: tuple[str, ...]
    start_ns: int
    end_ns: int
    random: np.random.Generator

    def strikes(self, image: EncodedImage) -> bool:
        return image.camera in self.cameras and self.start_ns <= image.stamp_ns < self.end_ns


Change = Callable[[Iterable[EncodedImage], Window], Iterator[EncodedImage]]
One = Callable[[EncodedImage, Window], EncodedImage | None]


def each(spoil: One) -> Change:
    """A change of one struck image at a time; None loses it."""

    def change(images: Iterable[EncodedImage], window: Window) -> Iterator[EncodedImage]:
        for image in images:
            changed = spoil(image, window) if window.strikes(image) else image
            if changed is not None:
                yield changed

    return change


def dead(image: EncodedImage, window: Window) -> None:
    return None


def painted(paint: Callable[[NDArray[np.uint8], Window], NDArray[np.generic]]) -> Change:
    """What the camera sees is `paint(its picture)`, with a sensor's noise."""

    def spoil(image: EncodedImage, window: Window) -> EncodedImage:
        picture = decode(image.data, cv2.IMREAD_COLOR)
        if picture is None:
            return image
        changed = paint(np.asarray(picture, np.uint8), window).astype(np.float32)
        changed += window.random.normal(0, 1.5, changed.shape[:2])[..., None]
        return replace(image, data=_jpeg(np.clip(changed, 0, 255).astype(np.uint8)))

    return each(spoil)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


def smear(picture: NDArray[np.uint8], window: Window) -> NDArray[np.generic]:
    """Water or dirt on the lens: nothing smaller than a fortieth of the width is left."""
    small = cv2.resize(picture, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), small.shape[1] / 40)
    return np.asarray(cv2.resize(blurred, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC))


def frozen(images: Iterable[EncodedImage], window: Window) -> Iterator[EncodedImage]:
    """The same picture again and again, with new stamps and frame ids."""
    kept: dict[str, bytes] = {}
    for image in images:
        if window.strikes(image):
            yield replace(image, data=kept.get(image.camera, image.data))
        else:
            kept[image.camera] = image.data
            yield image


def same_id(images: Iterable[EncodedImage], window: Window) -> Iterator[EncodedImage]:
    """The counter of frames stands still."""
    kept: dict[str, int | None] = {}
    for image in images:
        if window.strikes(image):
            yield replace(image, sequence=kept.get(image.camera, 0))
        else:
            kept[image.camera] = image.sequence
            yield image


def missing_ids(image: EncodedImage, window: Window) -> EncodedImage:
    """The counter jumps from frame to frame; the pictures are fine."""
    return replace(image, sequence=3 * (image.sequence or 0) + 7)


def twice(images: Iterable[EncodedImage], window: Window) -> Iterator[EncodedImage]:
    """Every image comes two times."""
    for image in images:
        yield image
        if window.strikes(image):
            yield image


def swapped(images: Iterable[EncodedImage], window: Window) -> Iterator[EncodedImage]:
    """Two cameras' cables are changed over."""
    one, other = window.cameras
    for image in images:
        if window.strikes(image):
            yield replace(image, camera=other if image.camera == one else one)
        else:
            yield image


def late(delay_ns: int) -> Change:
    """Images come `delay_ns` after those of the other cameras, rightly stamped."""

    def change(images: Iterable[EncodedImage], window: Window) -> Iterator[EncodedImage]:
        waiting: list[tuple[int, int, EncodedImage]] = []
        for count, image in enumerate(images):
            while waiting and waiting[0][0] <= image.stamp_ns:
                yield heapq.heappop(waiting)[2]
            if window.strikes(image):
                heapq.heappush(waiting, (image.stamp_ns + delay_ns, count, image))
            else:
                yield image
        yield from (image for _, _, image in sorted(waiting))

    return change


def skewed(offset_ns: int) -> Change:
    """The camera's clock is `offset_ns` ahead."""
    return each(lambda image, _: replace(image, stamp_ns=image.stamp_ns + offset_ns))


def backwards(image: EncodedImage, window: Window) -> EncodedImage:
    """The camera's clock runs the wrong way."""
    return replace(image, stamp_ns=2 * window.start_ns - image.stamp_ns)


def jitter(image: EncodedImage, window: Window) -> EncodedImage:
    """Stamps are off by some milliseconds, as with any camera without a trigger."""
    return replace(image, stamp_ns=image.stamp_ns + int(window.random.uniform(-3e6, 3e6)))


def halved(images: Iterable[EncodedImage], window: Window) -> Iterator[EncodedImage]:
    """Every other frame is missing."""
    count = 0
    for image in images:
        count += window.strikes(image)
        if not window.strikes(image) or count % 2 == 0:
            yield image


def one_lost(images: Iterable[EncodedImage], window: Window) -> Iterator[EncodedImage]:
    """A single frame is missing."""
    lost = False
    for image in images:
        if window.strikes(image) and not lost:
            lost = True
        else:
            yield image


def corrupt(image: EncodedImage, window: Window) -> EncodedImage:
    """The header's bytes are damaged."""
    return replace(image, data=image.data[:2] + window.random.bytes(600) + image.data[602:])


def truncated(image: EncodedImage, window: Window) -> EncodedImage:
    return replace(
        image, data=image.data[: int(len(image.data) * window.random.uniform(0.05, 0.9))]
    )


def empty(image: EncodedImage, window: Window) -> EncodedImage:
    """No bytes but the count of the frame."""
    return replace(image, data=b"")


def garbage(image: EncodedImage, window: Window) -> EncodedImage:
    return replace(image, data=window.random.bytes(5000))


def wrong_size(image: EncodedImage, window: Window) -> EncodedImage:
    """Another mode of the camera, 800x600."""
    return replace(image, data=_jpeg(window.random.integers(0, 255, (600, 800, 3), np.uint8)))


def bomb(image: EncodedImage, window: Window) -> EncodedImage:
    """A few bytes that claim 60000x60000 pixels."""
    honest = _jpeg(window.random.integers(0, 255, (8, 8, 3), np.uint8))
    at = honest.index(b"\xff\xc0") + 5  # start of frame, then its length and precision
    claim = (60000).to_bytes(2, "big") * 2
    return replace(image, data=honest[:at] + claim + honest[at + 4 :])
