"""Frames: the images of one instant decoded; an unusable one is marked and costs itself only."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.encoded_image import decode, stated_size
from calib.lens import Lens
from calib.rig import Camera, Rig
from deploy.health.sight import Sight, measure
from deploy.log.reader import EncodedImage

Status = Literal["ok", "late", "missing", "corrupt", "frozen"]
STATUSES: tuple[Status, ...] = ("ok", "late", "missing", "corrupt", "frozen")


@dataclass(frozen=True)
class Absence:
    """Why a camera has no image in a set.

    `silent_ns`: since it last delivered anything; None if it never did. `offset_ns`: stamp minus
    the reference of an image that came since the set before and was too far off; None without.
    `backwards`: whether that image's stamp lies before the one of the camera's image before.
    `lost`: why its source gave up, "" while it has not.
    """

    silent_ns: int | None
    offset_ns: int | None = None
    backwards: bool = False
    lost: str = ""


@dataclass(frozen=True)
class EncodedSet:
    """The images of one instant as they were recorded.

    `stamp_ns`: reference time, the earliest capture time in it.
    `late`: cameras that have no image here but delivered one shortly before. `absent`: what is
    known of each camera without an image.
    """

    index: int
    stamp_ns: int
    images: dict[str, EncodedImage]
    late: frozenset[str]
    absent: Mapping[str, Absence] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """What one camera contributed to a frame set.

    `image`: uint8 (H, W, 3) BGR, the size of the camera's lens; None unless `status` is ok.
    `stamp_ns`: capture time, None when nothing was delivered. `note`: why it is not ok.
    `sight`: what the image's grey values tell of the view, None without an image.
    """

    camera: str
    status: Status
    stamp_ns: int | None = None
    image: NDArray[np.uint8] | None = None
    encoded: EncodedImage | None = None
    note: str = ""
    absence: Absence | None = None
    sight: Sight | None = None


@dataclass(frozen=True)
class FrameSet:
    """One instant: a frame for every camera of the rig, in rig order."""

    index: int
    stamp_ns: int
    frames: dict[str, Frame]


class FrameDecoder:
    """Decodes the images of a set on a few threads (OpenCV releases the interpreter lock).

    Remembers each camera's last image: a sensor's noise never repeats and its counter of frames
    moves on, so an image with the bytes or the id of the one before is a frozen camera and not a
    standing car.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._pool = ThreadPoolExecutor(min(len(rig), os.cpu_count() or 1), "decode_image")
        self._previous: dict[str, EncodedImage] = {}

    def decode(self, encoded: EncodedSet) -> FrameSet:
        """A frame for every camera of the rig; an unusable image costs that frame only."""
        frames = self._pool.map(lambda camera: self._frame(camera, encoded), self._rig)
        return FrameSet(encoded.index, encoded.stamp_ns, {f.camera: f for f in frames})

    def _frame(self, camera: Camera, encoded: EncodedSet) -> Frame:
        image = encoded.images.get(camera.name)
        if image is None:
            absence = encoded.absent.get(camera.name)
            if absence is not None and absence.lost:
                return Frame(camera.name, "missing", note=absence.lost, absence=absence)
            if camera.name in encoded.late:
                note = "no frame for this instant yet"
                return Frame(camera.name, "late", note=note, absence=absence)
            return Frame(camera.name, "missing", note="no frames", absence=absence)
        note = _repetition(self._previous.get(camera.name), image)
        self._previous[camera.name] = image
        if note:
            return Frame(camera.name, "frozen", image.stamp_ns, encoded=image, note=note)
        pixels, note = decode_image(image, camera)
        if pixels is None:
            return Frame(camera.name, "corrupt", image.stamp_ns, encoded=image, note=note)
        sight = measure(pixels)
        return Frame(camera.name, "ok", image.stamp_ns, pixels, image, sight=sight)


def _repetition(before: EncodedImage | None, image: EncodedImage) -> str:
    """How the image repeats the one before, "" if it does not."""
    if before is None:
        return ""
    if before.data == image.data:
        return "same bytes as the frame before"
    if image.sequence is not None and image.sequence == before.sequence:
        return f"same frame id as the frame before, {image.sequence}"
    return ""


def decode_image(image: EncodedImage, camera: Camera) -> tuple[NDArray[np.uint8] | None, str]:
    """The image as uint8 (H, W, 3) BGR, or None and the reason why it can't be used.

    What states another size than the camera has is not decoded at all, whatever it claims.
    A JPEG has no checksum: damage in its middle may still decode, to a wrong picture. The log's
    own checksums stand against that.
    """
    lens = camera.lens
    stated = stated_size(image.data)
    if stated is not None and stated != (lens.width, lens.height):
        return None, _other_size(stated, lens)
    pixels = decode(image.data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        return None, f"{len(image.data)} bytes are no whole {image.format}"
    height, width = pixels.shape[:2]
    if (width, height) != (lens.width, lens.height):
        return None, _other_size((width, height), lens)
    return np.asarray(pixels, np.uint8), ""


def _other_size(size: tuple[int, int], lens: Lens) -> str:
    return f"image is {size[0]}x{size[1]}, calibration says {lens.width}x{lens.height}"
