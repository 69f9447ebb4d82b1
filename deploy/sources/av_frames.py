"""Encoded frames of a stream that FFmpeg reads; JPEG passes through untouched."""

from collections.abc import Iterator

import av
import cv2
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame

from deploy.errors import SourceError
from deploy.sources.source import JPEG_QUALITY


def open_stream(
    where: str,
    file: object,
    *,
    format: str | None = None,
    options: dict[str, str] | None = None,
    timeout_s: float | None = None,
) -> InputContainer:
    """Open `file`, what `av.open` takes, called `where` in messages.

    Raises SourceError when it can't be opened or holds no video.
    """
    try:
        container = av.open(
            file,
            "r",
            format=format,
            options=options or {},
            timeout=timeout_s,
            metadata_errors="replace",  # titles are in any encoding
        )
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{where}: can't be opened ({reason}); check it") from error
    # A stream of an unknown kind has no context, and decoding it would end the process.
    if not (container.streams.video and container.streams.video[0].codec_context):
        container.close()
        raise SourceError(f"{where}: holds no video that FFmpeg decodes; check it")
    return container


def encoded_frames(where: str, container: InputContainer) -> Iterator[tuple[int | None, bytes]]:
    """Presentation time in nanoseconds, where the stream has one, and JPEG of each frame; frames
    that don't decode are left out. Raises SourceError when the stream breaks."""
    stream = container.streams.video[0]
    if stream.codec_context.name == "mjpeg":
        for packet in _packets(where, container):
            if packet.size:
                yield _nanoseconds(packet), bytes(packet)
        return
    stream.thread_type = "SLICE"  # threads by frame hold frames back
    for packet in _packets(where, container):
        try:
            frames = packet.decode()
        except FFmpegError:
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame) and not frame.is_corrupt:
                yield _nanoseconds(frame), _jpeg(frame)


def _packets(where: str, container: InputContainer) -> Iterator[av.Packet]:
    packets = container.demux(container.streams.video[0])
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (FFmpegError, OSError) as error:
            raise SourceError(f"{where}: broke off ({error.strerror or error})") from error
        yield packet


def _nanoseconds(timed: av.Packet | VideoFrame) -> int | None:
    if timed.pts is None or timed.time_base is None:
        return None
    return int(timed.pts * timed.time_base * 1_000_000_000)


def _jpeg(frame: VideoFrame) -> bytes:
    image = frame.to_ndarray(format="bgr24")
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
