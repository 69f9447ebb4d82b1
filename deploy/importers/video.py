"""Video files, one for each camera, made into a log: frames are decoded and stored as JPEG."""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.log import channels
from deploy.log.writer import LogWriter

DEFAULT_CAMERA = "main"
DEFAULT_HFOV_DEG = 60.0
DEFAULT_HEIGHT_M = 1.3
JPEG_QUALITY = 95

_DEFAULT_RATE_HZ = 25.0  # of a file that states no rate


@dataclass(frozen=True)
class _Picture:
    """One decoded frame, uint8 (H, W, 3) BGR, at its presentation time in the file."""

    camera: str
    stamp_ns: int
    image: np.ndarray


@dataclass
class VideoSummary:
    """Images written and frames lost to damage, by camera."""

    images: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)


def import_videos(
    videos: Mapping[str, Path],
    out: Path,
    progress: Callable[[int, int], None],
    rig: Rig | None = None,
    hfov_deg: float = DEFAULT_HFOV_DEG,
) -> VideoSummary:
    """Write the frames of `videos` (camera name -> file) to `out`, in order of time.

    Stamps are the presentation times in the files, moved so that the earliest is 0: files that
    were cut together stay in step. A frame that does not decode is left out and counted. Without
    a `rig` there may be one camera, `forward_camera`. `progress` is told (frames done, frames
    that the files announce or 0 if they do not).

    Raises:
        LogError: a file is not a video, or its frames have not the size in the rig.
        CalibError: the rig lacks one of the cameras.
    """
    if rig is None and len(videos) > 1:
        raise LogError(f"{len(videos)} videos and no rig; give --rig to say where the cameras are")
    summary = VideoSummary()
    with ExitStack() as files:
        cameras, streams, announced = [], [], 0
        for name, path in videos.items():
            container = files.enter_context(_open(path))
            pictures = _pictures(name, path, container, summary)
            first = next(pictures, None)
            if first is None:
                raise LogError(f"{path}: no frame of it decodes; export the video again")
            height, width = first.image.shape[:2]
            rate_hz = float(container.streams.video[0].average_rate or _DEFAULT_RATE_HZ)
            if rig is None:
                camera = forward_camera(name, width, height, rate_hz, hfov_deg)
            else:
                camera = replace(rig[name], rate_hz=rate_hz)
            cameras.append(camera)
            streams.append(_of_size(chain([first], pictures), path, camera.lens))
            announced += container.streams.video[0].frames
        merged = heapq.merge(*streams, key=lambda picture: picture.stamp_ns)
        recorded = Rig(rig.name if rig else next(iter(videos.values())).stem, tuple(cameras))
        with LogWriter(out) as log:
            log.rig(recorded, 0)
            start_ns = None
            for done, picture in enumerate(merged, start=1):
                start_ns = picture.stamp_ns if start_ns is None else start_ns
                # Files with times that run backwards exist; a stamp can't be before the log.
                stamp_ns = max(0, picture.stamp_ns - start_ns)
                log.image(picture.camera, stamp_ns, _jpeg(picture.image), "jpeg")
                summary.images[picture.camera] += 1
                progress(done, announced)
    return summary


def forward_camera(
    name: str, width: int, height: int, rate_hz: float, hfov_deg: float = DEFAULT_HFOV_DEG
) -> Camera:
    """The camera that is assumed for a video without calibration.

    A pinhole without distortion, `hfov_deg` wide, level and looking straight ahead from
    DEFAULT_HEIGHT_M above the origin of the ego frame: about a dashboard camera in a car.
    """
    if not 1 <= hfov_deg <= 170:
        raise LogError(f"horizontal field of view is {hfov_deg} degrees; give 1 to 170")
    focal = width / 2 / math.tan(math.radians(hfov_deg) / 2)
    lens = Lens("pinhole", width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
    pose = ego_from_camera([0, 0, DEFAULT_HEIGHT_M], yaw=0, pitch=0, roll=0)
    return Camera(name, lens, pose, rate_hz, channels.bucket_of_width(width))


def _open(path: Path) -> InputContainer:
    if not path.is_file():  # and never a device or an address, which FFmpeg would open as well
        raise LogError(f"{path}: no such video file; check the path")
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError) as error:
        raise LogError(
            f"{path}: is not a video that can be read ({error.strerror}); export it again"
        ) from error
    if not container.streams.video:
        container.close()
        raise LogError(f"{path}: holds no video; give a video file")
    return container


def _pictures(
    camera: str, path: Path, container: InputContainer, summary: VideoSummary
) -> Iterator[_Picture]:
    stream = container.streams.video[0]
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except FFmpegError:
            summary.damaged[camera] += 1
            continue
        for frame in frames:
            assert isinstance(frame, VideoFrame)
            if frame.is_corrupt:
                summary.damaged[camera] += 1
                continue
            if frame.pts is None or frame.time_base is None:
                raise LogError(f"{path}: frames carry no time; remux it, for example with FFmpeg")
            stamp_ns = int(frame.pts * frame.time_base * 1_000_000_000)
            yield _Picture(camera, stamp_ns, _upright(frame))


def _upright(frame: VideoFrame) -> np.ndarray:
    """BGR image, turned as the file says (telephones record sideways and say so)."""
    quarter_turns = round(frame.rotation / 90)  # counterclockwise, as np.rot90 turns
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="bgr24"), quarter_turns))


def _of_size(pictures: Iterator[_Picture], path: Path, lens: Lens) -> Iterator[_Picture]:
    for picture in pictures:
        height, width = picture.image.shape[:2]
        if (width, height) != (lens.width, lens.height):
            raise LogError(
                f"{path}: frame is {width}x{height}, but camera '{picture.camera}' of the rig is"
                f" {lens.width}x{lens.height}; calibrate for the size of the video"
            )
        yield picture


def _jpeg(image: np.ndarray) -> bytes:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
