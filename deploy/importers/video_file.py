"""One video file: what it says of itself, and its frames, decoded with FFmpeg (PyAV)."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from deploy.errors import LogError

DEFAULT_RATE_HZ = 25.0  # of a file that states no rate


@dataclass(frozen=True)
class VideoInfo:
    """`first_ns`: time of the first frame; `frames` and `seconds` are 0 where the file does not
    state them."""

    width: int
    height: int
    rate_hz: float
    first_ns: int
    frames: int
    seconds: float


def probe(path: Path, rate_hz: float | None = None) -> VideoInfo:
    """What the file says, and the size of its first frame as it is shown.

    `rate_hz`: as `frames_of` takes it. Raises LogError for a file that is no video, or of which
    no frame decodes.
    """
    with _open(path) as container:
        stream = container.streams.video[0]
        with closing(_decoded(path, container, rate_hz, lambda: None)) as decoded:
            first = next(decoded, None)
        if first is None:
            raise LogError(f"{path}: no frame of it decodes; export the video again")
        first_ns, frame = first
        width, height = shown_size(frame)
        rate = rate_hz or float(stream.average_rate or DEFAULT_RATE_HZ)
        seconds = float(container.duration or 0) / 1e6
        return VideoInfo(width, height, rate, first_ns, stream.frames, seconds)


def frames_of(
    path: Path, rate_hz: float | None, damaged: Callable[[], None]
) -> Iterator[tuple[int, VideoFrame]]:
    """Time in nanoseconds of each frame that decodes, and the frame.

    `rate_hz`: for a raw stream, whose frames carry no times: then they are counted. `damaged` is
    called for each piece that does not decode. Raises LogError for a file that is no video.
    """
    with _open(path) as container:
        yield from _decoded(path, container, rate_hz, damaged)


def _open(path: Path) -> InputContainer:
    if not path.is_file():  # and never a device or an address, which FFmpeg would open as well
        raise LogError(f"{path}: no such video file; check the path")
    try:
        container = av.open(str(path), metadata_errors="replace")  # titles are in any encoding
    except (FFmpegError, OSError) as error:
        raise LogError(
            f"{path}: is not a video that can be read ({error.strerror}); export it again"
        ) from error
    if not container.streams.video:
        container.close()
        raise LogError(f"{path}: holds no video; give a video file")
    if container.streams.video[0].codec_context is None:  # decoding it would end the process
        container.close()
        raise LogError(f"{path}: its video is of no kind that FFmpeg decodes; export it again")
    return container


def _decoded(
    path: Path, container: InputContainer, rate_hz: float | None, damaged: Callable[[], None]
) -> Generator[tuple[int, VideoFrame], None, None]:
    packets = container.demux(container.streams.video[0])
    count = 0
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except FFmpegError:
            damaged()
            continue
        for frame in frames:
            assert isinstance(frame, VideoFrame)
            count += 1
            if frame.is_corrupt:
                damaged()
                continue
            if rate_hz is not None:
                yield int((count - 1) * 1e9 / rate_hz), frame
            elif frame.pts is None or frame.time_base is None:
                raise LogError(f"{path}: frames carry no time; remux it, for example with FFmpeg")
            else:
                yield int(frame.pts * frame.time_base * 1_000_000_000), frame


def shown_size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height as it is shown: telephones record sideways and say so."""
    size = frame.width, frame.height
    return size[::-1] if _quarter_turns(frame) % 2 else size


def upright(frame: VideoFrame) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) BGR, turned as the file says."""
    image = frame.to_ndarray(format="bgr24")
    return np.ascontiguousarray(np.rot90(image, _quarter_turns(frame)))


def _quarter_turns(frame: VideoFrame) -> int:
    """Counterclockwise, as np.rot90 turns."""
    return round(frame.rotation / 90)
