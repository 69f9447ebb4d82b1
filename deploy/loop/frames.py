"""Frame sets: what every camera saw at one instant, joined by capture time, as a stream.

A camera that does not deliver is marked and never waited for; the others go on.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.rig import Camera, Rig
from deploy.log.reader import EncodedImage

Status = Literal["ok", "late", "missing", "corrupt", "frozen"]
STATUSES: tuple[Status, ...] = ("ok", "late", "missing", "corrupt", "frozen")

# A camera without a frame for this instant is `late` while it was heard from in the last half
# second of the log, and `missing` after that.
LATE_NS = 500_000_000
# A stamp further ahead than this comes from a clock that is out of sync (or the whole log has a
# gap, which the other cameras then confirm).
JUMP_NS = 5_000_000_000


@dataclass(frozen=True)
class EncodedSet:
    """The images of one instant as they were recorded.

    `stamp_ns`: reference time, the capture time of the image that opened the set.
    `late`: cameras that have no image here but delivered one shortly before.
    """

    index: int
    stamp_ns: int
    images: dict[str, EncodedImage]
    late: frozenset[str]


@dataclass(frozen=True)
class Frame:
    """What one camera contributed to a frame set.

    `image`: uint8 (H, W, 3) BGR, the size of the camera's lens; None unless `status` is ok.
    `stamp_ns`: capture time, None when nothing was delivered. `note`: why it is not ok.
    """

    camera: str
    status: Status
    stamp_ns: int | None = None
    image: NDArray[np.uint8] | None = None
    encoded: EncodedImage | None = None
    note: str = ""


@dataclass(frozen=True)
class FrameSet:
    """One instant: a frame for every camera of the rig, in rig order."""

    index: int
    stamp_ns: int
    frames: dict[str, Frame]


def default_tolerance_ns(rig: Rig) -> int:
    """Half the period of the fastest camera, so that a frame belongs to one instant only."""
    return int(0.5e9 / max(camera.rate_hz for camera in rig))


def join_frames(
    images: Iterable[EncodedImage], rig: Rig, tolerance_ns: int | None = None
) -> Iterator[EncodedSet]:
    """Join images of all cameras, in order of arrival, into sets by capture time.

    The first image past the current set opens the next one; a set holds the newest image of each
    camera within `tolerance_ns` of that reference. Images that come after their set was closed
    are left out. Images of cameras that the rig does not have are ignored.
    """
    tolerance = default_tolerance_ns(rig) if tolerance_ns is None else tolerance_ns
    index, reference = 0, 0
    members: dict[str, EncodedImage] = {}
    heard: dict[str, int] = {}  # camera -> reference time of the set in which it last delivered
    strays = 0

    def close() -> EncodedSet:
        late = {
            name
            for name, when in heard.items()
            if name not in members and reference - when <= LATE_NS
        }
        return EncodedSet(index, reference, dict(members), frozenset(late))

    for image in images:
        if image.camera not in rig.names:
            continue
        ahead = image.stamp_ns - reference
        stray = bool(members) and (ahead < -tolerance or ahead > JUMP_NS)
        strays = strays + 1 if stray else 0
        if stray and strays < len(rig):
            # One clock that disagrees must not end the set of all the others. Only when no
            # camera is left that agrees has the time of the log itself jumped.
            heard[image.camera] = reference
            continue
        if members and (stray or ahead > tolerance):
            yield close()
            index += 1
            members.clear()
            strays = 0
        if not members:
            reference = image.stamp_ns
        heard[image.camera] = reference
        known = members.get(image.camera)
        if known is None or known.stamp_ns <= image.stamp_ns:
            members[image.camera] = image
    if members:
        yield close()


class FrameDecoder:
    """Decodes the images of a set on a few threads (OpenCV releases the interpreter lock).

    Remembers each camera's last bytes: a sensor's noise never repeats, so an image equal to the
    one before is a frozen camera and not a standing car.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._pool = ThreadPoolExecutor(min(len(rig), os.cpu_count() or 1), "decode_image")
        self._previous: dict[str, bytes] = {}

    def decode(self, encoded: EncodedSet) -> FrameSet:
        """A frame for every camera of the rig; an unusable image costs that frame only."""
        frames = self._pool.map(lambda camera: self._frame(camera, encoded), self._rig)
        return FrameSet(encoded.index, encoded.stamp_ns, {f.camera: f for f in frames})

    def _frame(self, camera: Camera, encoded: EncodedSet) -> Frame:
        image = encoded.images.get(camera.name)
        if image is None:
            if camera.name in encoded.late:
                return Frame(camera.name, "late", note="no frame for this instant yet")
            return Frame(camera.name, "missing", note="no frames")
        frozen = self._previous.get(camera.name) == image.data
        self._previous[camera.name] = image.data
        if frozen:
            note = "same bytes as the frame before"
            return Frame(camera.name, "frozen", image.stamp_ns, encoded=image, note=note)
        pixels, note = decode_image(image, camera)
        status: Status = "ok" if pixels is not None else "corrupt"
        return Frame(camera.name, status, image.stamp_ns, pixels, image, note)


def decode_image(image: EncodedImage, camera: Camera) -> tuple[NDArray[np.uint8] | None, str]:
    """The image as uint8 (H, W, 3) BGR, or None and the reason why it can't be used.

    A JPEG has no checksum: damage in its middle may still decode, to a wrong picture. The log's
    own checksums stand against that.
    """
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(image.data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        return None, f"{len(image.data)} bytes are no whole {image.format}"
    lens, (height, width) = camera.lens, pixels.shape[:2]
    if (width, height) != (lens.width, lens.height):
        return None, f"image is {width}x{height}, calibration says {lens.width}x{lens.height}"
    return np.asarray(pixels, np.uint8), ""
