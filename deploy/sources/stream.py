"""A live stream: V4L2 camera, RTSP address or GStreamer pipeline."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from av.container import InputContainer

from deploy.log.reader import EncodedImage
from deploy.loop.clock import SteadyClock
from deploy.sources.av_frames import encoded_frames, open_stream
from deploy.sources.capture_clock import CaptureClock
from deploy.sources.gstreamer import gstreamer
from deploy.sources.source import STALL_S

Opening = Callable[[], AbstractContextManager[InputContainer]]


class StreamSource:
    """One live camera. `where` names it in messages, `opening` opens its stream."""

    live = True

    def __init__(self, camera: str, where: str, opening: Opening, clock: SteadyClock) -> None:
        self.cameras = (camera,)
        self._where = where
        self._opening = opening
        self._clock = clock

    def images(self) -> Iterator[EncodedImage]:
        """See Source."""
        capture = CaptureClock()
        with self._opening() as container:
            for device_ns, data in encoded_frames(self._where, container):
                received = self._clock.now_ns()
                stamp = received if device_ns is None else capture.stamp(device_ns, received)
                yield EncodedImage(self.cameras[0], stamp, data, "jpeg", received_ns=received)


def v4l2_camera(
    camera: str, device: str, options: dict[str, str], clock: SteadyClock
) -> StreamSource:
    """A camera of the kernel's video interface; `options` are those of FFmpeg's v4l2 device, such
    as `input_format`, `video_size` and `framerate`."""

    def opening() -> InputContainer:
        return open_stream(device, device, format="video4linux2,v4l2", options=options)

    return StreamSource(camera, device, opening, clock)


def rtsp_camera(camera: str, url: str, clock: SteadyClock) -> StreamSource:
    """A camera in the network, over TCP: what is lost on the way comes again or ends the stream."""
    options = {"rtsp_transport": "tcp", "fflags": "nobuffer"}

    def opening() -> InputContainer:
        return open_stream(url, url, format="rtsp", options=options, timeout_s=STALL_S)

    return StreamSource(camera, url, opening, clock)


def gstreamer_camera(camera: str, pipeline: str, clock: SteadyClock) -> StreamSource:
    """Whatever GStreamer reads, on a Jetson the cameras on its CSI connectors."""
    return StreamSource(camera, f"pipeline of {camera}", lambda: gstreamer(pipeline), clock)
