"""Live streams with real pipelines: GStreamer's test pictures, and an RTSP server of its own."""

import itertools
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import cv2
import numpy as np
import pytest

from deploy.errors import SourceError
from deploy.log.reader import EncodedImage
from deploy.loop.clock import SteadyClock
from deploy.sources.feed import Feed
from deploy.sources.gstreamer import PROGRAM, command
from deploy.sources.stream import gstreamer_camera, rtsp_camera, v4l2_camera

needs_gstreamer = pytest.mark.skipif(
    shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not installed"
)
PICTURES = "videotestsrc is-live=true pattern=snow ! video/x-raw,width=64,height=48,framerate=30/1"
CLOCK = SteadyClock()


def take(pipeline: str, count: int) -> list[EncodedImage]:
    with closing(gstreamer_camera("main", pipeline, CLOCK).images()) as images:
        return list(itertools.islice(images, count))


@needs_gstreamer
@pytest.mark.parametrize("encoded", ["", " ! jpegenc quality=90"])
def test_a_pipeline_gives_stamped_jpeg(encoded: str):
    before = CLOCK.now_ns()
    images = take(PICTURES + encoded, 6)
    for image in images:
        picture = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (48, 64, 3)
        assert image.received_ns is not None
        assert before < image.stamp_ns <= image.received_ns
    assert len({i.data for i in images}) == 6
    # Matroska has milliseconds; the way through the pipe has more jitter than that.
    steps = [b.stamp_ns - a.stamp_ns for a, b in itertools.pairwise(images)]
    assert np.median(steps) == pytest.approx(33_333_333, abs=6e6)


@needs_gstreamer
def test_the_process_ends_with_the_source():
    source = gstreamer_camera("main", PICTURES, CLOCK).images()
    next(source)
    source.close()
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert " ".join(command(PICTURES)) not in running


@needs_gstreamer
@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        ("nosuchsource", 'no element "nosuchsource"'),
        ("videotestsrc nonsense=1", 'no property "nonsense"'),
        ('videotestsrc "', "No closing quotation"),
    ],
)
def test_what_gstreamer_says_is_passed_on(pipeline: str, reason: str):
    with pytest.raises(SourceError) as caught:
        take(pipeline, 1)
    assert reason in str(caught.value)


@needs_gstreamer
def test_no_shell_reads_a_pipeline(tmp_path):
    with pytest.raises(SourceError):
        take(f"videotestsrc; touch {tmp_path}/owned", 1)
    assert list(tmp_path.iterdir()) == []


class Receiver:
    """Keeps what a feed brings."""

    def __init__(self) -> None:
        self.images: list[EncodedImage] = []
        self.reasons: list[str] = []

    def put(self, image: EncodedImage) -> None:
        self.images.append(image)

    def lost(self, cameras: tuple[str, ...], reason: str) -> None:
        self.reasons.append(reason)


def until(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


@needs_gstreamer
def test_a_camera_that_ends_is_opened_again():
    receiver = Receiver()
    pipeline = PICTURES.replace("videotestsrc", "videotestsrc num-buffers=5")
    feed = Feed(gstreamer_camera("main", pipeline, CLOCK), receiver)
    feed.start()
    assert until(lambda: len(receiver.reasons) >= 2 and len(receiver.images) >= 8)
    feed.stop(5)
    assert not feed.running
    assert set(receiver.reasons) == {"its stream ended"} and feed.losses >= 2
    assert [i.sequence for i in receiver.images] == list(range(len(receiver.images)))


class Flaky:
    """Fails to open three times, each time in another way, then delivers."""

    cameras, live = ("main",), True

    def __init__(self) -> None:
        self.calls = 0

    def images(self) -> Iterator[EncodedImage]:
        self.calls += 1
        if self.calls == 1:
            raise SourceError("no such device")
        if self.calls == 2:
            raise ZeroDivisionError("driver")
        yield EncodedImage("main", self.calls, b"x", "jpeg")


def test_whatever_is_thrown_is_a_loss_with_growing_pauses(monkeypatch: pytest.MonkeyPatch):
    from deploy.sources import feed as feed_module

    monkeypatch.setattr(feed_module, "FIRST_PAUSE_S", 0.01)
    receiver, source = Receiver(), Flaky()
    feed = Feed(source, receiver)
    waited = []
    monkeypatch.setattr(feed._stop, "wait", lambda s: waited.append(s) or time.sleep(0.001))
    feed.start()
    assert until(lambda: len(receiver.images) >= 2)
    feed.stop(5)
    assert receiver.reasons[:2] == ["no such device", "ZeroDivisionError: driver"]
    assert waited[:3] == [0.01, 0.02, 0.01]  # back to the start once an image came


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(SourceError, match="/dev/video98"):
        next(v4l2_camera("main", "/dev/video98", {}, CLOCK).images())


SERVER = """
import gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(service="{port}", address="127.0.0.1")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true pattern=snow ! video/x-raw,width=64,height=48,"
                   "framerate=15/1,format=I420 ! jpegenc ! rtpjpegpay name=pay0 )")
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""


@pytest.fixture
def rtsp_server() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = SERVER.format(port=port)
    server = subprocess.Popen(
        ["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    try:
        if server.stdout.readline() != b"ready\n":
            pytest.skip("no GStreamer RTSP server for /usr/bin/python3 here")
        yield f"rtsp://127.0.0.1:{port}/cam"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_a_camera_in_the_network(rtsp_server: str):
    with closing(rtsp_camera("main", rtsp_server, CLOCK).images()) as images:
        taken = list(itertools.islice(images, 4))
    shapes = {cv2.imdecode(np.frombuffer(i.data, np.uint8), 1).shape for i in taken}
    assert shapes == {(48, 64, 3)} and len({i.data for i in taken}) == 4
    assert all(a.stamp_ns < b.stamp_ns for a, b in itertools.pairwise(taken))


def test_nobody_at_the_address(rtsp_server: str):
    address = rtsp_server.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(SourceError, match=r"127\.0\.0\.2"):
        next(rtsp_camera("main", address, CLOCK).images())
