"""What an importer reads, event by event, and the one place where that becomes a log."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.errors import CalibError
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.importers.begun import Begun
from deploy.log import channels
from deploy.log.boxes import Box, to_scene_update
from deploy.log.rig_messages import to_ego_transform
from deploy.log.writer import LogWriter

JPEG_QUALITY = 95

Progress = Callable[[int, int], None]
"""Told the images done and their number, 0 where nobody knows it."""


@dataclass(frozen=True)
class Picture:
    """One encoded image: `format` is jpeg, png or webp. `read` gives its bytes; it is asked only
    before the next event, and not at all when an import before had done it."""

    camera: str
    stamp_ns: int
    read: Callable[[], bytes]
    format: str


@dataclass(frozen=True)
class EgoPose:
    """Where the vehicle was: (4, 4) in a frame that stands still, metres."""

    stamp_ns: int
    map_from_ego: NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """All objects of one instant, in the ego frame of that instant."""

    stamp_ns: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Gap:
    """Nothing was recorded in the seconds before this stamp."""

    stamp_ns: int
    seconds: float


Event = Picture | EgoPose | Truth | Gap


def write_recording(
    out: Path,
    rig: Rig,
    start_ns: int,
    events: Iterable[Event],
    total: int,
    progress: Progress,
) -> Counter[str]:
    """Write `rig` and then the events one by one, none of them kept. Returns images by camera.

    The log gets its name when it is whole. An import that was interrupted, or killed, leaves
    `out`.part, and the next one takes over the images in it; in the end the bytes are those of an
    import that went through. Raises LogError if `out` can't be written, or if what was begun is of
    something else.
    """
    images: Counter[str] = Counter()
    begun = Begun(out)
    with LogWriter(out, resumable=True) as log:
        log.rig(rig, start_ns)
        for event in events:
            stamp = event.stamp_ns
            if isinstance(event, Picture):
                data = begun.take(channels.image_topic(event.camera), stamp, event.read)
                log.image(event.camera, stamp, data, event.format)
                images[event.camera] += 1
                progress(images.total(), total)
            elif isinstance(event, EgoPose):
                pose = to_ego_transform(event.map_from_ego, stamp)
                log.message(channels.TRANSFORMS, pose, stamp)
            elif isinstance(event, Truth):
                boxes = to_scene_update(event.boxes, stamp)
                log.message(channels.TRUTH_OBJECTS, boxes, stamp)
            else:
                content = {"seconds": round(event.seconds, 3)}
                log.json(channels.GAP, "octoview.Gap", content, stamp)
        if not images:
            raise LogError(f"{out}: there is no image to put into it; nothing was written")
        begun.end()
    return images


def make_rig(source: Path, name: str, cameras: Iterable[Camera]) -> Rig:
    """The rig of `source`. Raises LogError, naming it, where these cameras are none."""
    try:
        return Rig(name, tuple(cameras))
    except CalibError as error:
        raise LogError(f"{source}: {error}") from error


def to_jpeg(image: NDArray[np.uint8]) -> bytes:
    """An image (H, W, 3) BGR or (H, W) grey as JPEG."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
