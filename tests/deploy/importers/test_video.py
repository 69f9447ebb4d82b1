"""The video importer on small videos that the tests make."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from calib.errors import CalibError
from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig
from deploy.errors import LogError, SourceError
from deploy.importers.video import VideoSummary, forward_camera, import_videos
from deploy.log.reader import LogReader
from deploy.sources.av_frames import encoded_frames, open_stream
from tests.deploy.importers.pictures import write_clip

WIDTH, HEIGHT = 192, 108
MS = 1_000_000


def picture(brightness: int) -> np.ndarray:
    """Grey, with a bright patch in the top left corner that shows which way is up."""
    image = np.full((HEIGHT, WIDTH, 3), brightness, np.uint8)
    image[:40, :60] = 250
    return image


def make_video(
    path: Path,
    frames: int = 10,
    rate: int = 10,
    first_ms: int = 0,
    brightness: int = 20,
    codec: str = "mpeg4",
) -> Path:
    """Frame i has the brightness `brightness` + 20 i and is shown at first_ms + i / rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"g": "5"})
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(brightness + 20 * i), format="bgr24")
            frame.pts, frame.time_base = first_ms + i * 1000 // rate, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def do(
    videos: dict[str, Path], out: Path, rig: Rig | None = None
) -> tuple[LogReader, VideoSummary]:
    summary = import_videos(videos, out, lambda done, total: None, rig)
    return LogReader(out), summary


def decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def pinhole(name: str, width: int = WIDTH, height: int = HEIGHT) -> Camera:
    lens = Lens("pinhole", width, height, 150, 150, width / 2, height / 2)
    return Camera(name, lens, ego_from_camera([1, 0, 1], 0, 0, 0), 36, "small")


def test_frames_in_order_at_their_times(tmp_path: Path) -> None:
    log, summary = do({"main": make_video(tmp_path / "a.mp4", first_ms=500)}, tmp_path / "o.mcap")
    images = list(log.images())
    assert [image.stamp_ns for image in images] == [i * 100 * MS for i in range(10)]
    assert {image.camera for image in images} == {"main"} and images[0].format == "jpeg"
    brightness = [decoded(image.data)[60:, 100:].mean() for image in images]
    np.testing.assert_allclose(brightness, [20 + 20 * i for i in range(10)], atol=7)
    assert (summary.images, summary.damaged) == ({"main": 10}, {})


def test_colours_survive(tmp_path: Path) -> None:
    """Blue stays blue: channels are in OpenCV's order on the way into the JPEG."""
    path = tmp_path / "blue.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        blue = np.full((HEIGHT, WIDTH, 3), (230, 40, 20), np.uint8)  # BGR
        container.mux(stream.encode(av.VideoFrame.from_ndarray(blue, format="bgr24")))
        container.mux(stream.encode(None))
    log, _ = do({"main": path}, tmp_path / "o.mcap")
    [image] = log.images()
    np.testing.assert_allclose(decoded(image.data).mean(axis=(0, 1)), (230, 40, 20), atol=6)


def test_assumed_camera(tmp_path: Path) -> None:
    log, _ = do({"main": make_video(tmp_path / "a.mp4")}, tmp_path / "o.mcap")
    [camera] = log.rig
    assert (log.rig.name, camera.name, camera.bucket) == ("a", "main", "small")
    assert camera.rate_hz == pytest.approx(10)
    assert (camera.lens.width, camera.lens.height) == (WIDTH, HEIGHT)
    left, right = camera.unproject([[-0.5, HEIGHT / 2], [WIDTH - 0.5, HEIGHT / 2]])
    assert np.degrees(np.arccos(left @ right)) == pytest.approx(60, abs=0.1)
    assert left[1] > 0 > right[1]  # y is left
    np.testing.assert_allclose(camera.ego_from_camera[:3, 3], [0, 0, 1.3])
    np.testing.assert_allclose(camera.ego_from_camera[:3, 2], [1, 0, 0], atol=1e-9)


@pytest.mark.parametrize("hfov", [0.0, -5.0, 180.0, float("nan")])
def test_impossible_field_of_view(hfov: float) -> None:
    with pytest.raises(LogError, match="field of view is"):
        forward_camera("main", 640, 480, 25, hfov)


def test_two_cameras_merge_by_time(tmp_path: Path) -> None:
    rig = Rig("car", (pinhole("rear"), pinhole("unused", 64, 48), pinhole("main")))
    videos = {
        "main": make_video(tmp_path / "a.mp4", frames=4, rate=10, first_ms=200, brightness=20),
        "rear": make_video(tmp_path / "b.mkv", frames=3, rate=5, first_ms=250, brightness=120),
    }
    log, summary = do(videos, tmp_path / "o.mcap", rig)
    found = [(i.stamp_ns // MS, i.camera) for i in log.images()]
    assert found == [
        (0, "main"),
        (50, "rear"),
        (100, "main"),
        (200, "main"),
        (250, "rear"),
        (300, "main"),
        (450, "rear"),
    ]
    for image in log.images():
        bright = decoded(image.data)[60:, 100:].mean() > 100
        assert bright == (image.camera == "rear")
    assert log.rig.names == ("main", "rear")  # those that were recorded, at their real rates
    assert [camera.rate_hz for camera in log.rig] == pytest.approx([10, 5], rel=0.01)
    assert log.rig["rear"].lens == rig["rear"].lens
    assert summary.images == {"main": 4, "rear": 3}


def test_equal_bytes_twice(tmp_path: Path) -> None:
    video = {"main": make_video(tmp_path / "a.mp4")}
    do(video, tmp_path / "one.mcap")
    do(video, tmp_path / "two.mcap")
    assert (tmp_path / "one.mcap").read_bytes() == (tmp_path / "two.mcap").read_bytes()


def test_video_recorded_sideways_is_turned(tmp_path: Path) -> None:
    """A quarter turn clockwise, as telephones state it in the track header's matrix."""
    path = make_video(tmp_path / "a.mp4", frames=2)
    content = bytearray(path.read_bytes())
    upright = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    clockwise = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    track = content.index(b"tkhd")
    place = content.index(upright, track)
    content[place : place + len(upright)] = clockwise
    path.write_bytes(content)
    log, _ = do({"main": path}, tmp_path / "o.mcap")
    image = decoded(next(log.images()).data)
    assert image.shape == (WIDTH, HEIGHT, 3)
    assert (log.rig["main"].lens.width, log.rig["main"].lens.height) == (HEIGHT, WIDTH)
    expected = cv2.rotate(picture(20), cv2.ROTATE_90_CLOCKWISE)
    assert np.abs(image.astype(int) - expected).mean() < 4
    wrong = cv2.rotate(picture(20), cv2.ROTATE_90_COUNTERCLOCKWISE)
    assert np.abs(image.astype(int) - wrong).mean() > 20


def test_damaged_frames_cost_themselves_only(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", codec="mjpeg")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        victim = packets[4]
        assert victim.pos is not None
    content = bytearray(path.read_bytes())
    content[victim.pos : victim.pos + victim.size] = bytes(victim.size)
    path.write_bytes(content)
    log, summary = do({"main": path}, tmp_path / "o.mcap")
    assert summary.images["main"] == 9 and summary.damaged["main"] == 1
    assert [i.stamp_ns // (100 * MS) for i in log.images()] == [*range(4), *range(5, 10)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:900])


def silence(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "no such video file"),
        (lambda path: path.write_bytes(b""), "is not a video"),
        (lambda path: path.write_text("hello " * 99), "is not a video"),
        (cut, "is not a video"),
        (silence, "holds no video"),
    ],
)
def test_not_a_video(harm: object, reason: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    harm(path)  # type: ignore[operator]
    with pytest.raises(LogError, match=rf"a\.mp4: {reason}") as error:
        do({"main": path}, tmp_path / "o.mcap")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("o.mcap*"))


def test_size_of_the_rig_differs(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4")
    rig = Rig("car", (pinhole("main", 640, 480),))
    with pytest.raises(LogError, match=r"a\.mp4: frame is 192x108, but camera 'main' .* 640x480"):
        do({"main": video}, tmp_path / "o.mcap", rig)
    assert not list(tmp_path.glob("o.mcap*"))


def test_camera_not_in_the_rig(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4")
    with pytest.raises(CalibError, match="no camera 'top'"):
        do({"top": video}, tmp_path / "o.mcap", Rig("car", (pinhole("main"),)))


def test_several_videos_need_a_rig(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4")
    with pytest.raises(LogError, match="2 videos and no rig"):
        do({"main": video, "rear": video}, tmp_path / "o.mcap")


def test_real_highway(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "video" / "highway_960x540.mp4"
    if not path.is_file():
        pytest.skip(f"no real video: {path} is absent")
    log, _ = do({"main": path}, tmp_path / "o.mcap")
    stamps = [image.stamp_ns for image in log.images()]
    assert stamps == [i * 40 * MS for i in range(221)]
    assert (log.rig["main"].bucket, log.rig["main"].rate_hz) == ("large", 25)
    assert decoded(next(log.images()).data).shape == (540, 960, 3)


def test_a_kind_of_video_that_nobody_decodes_is_one_line(tmp_path: Path) -> None:
    """Without a decoder PyAV has no context, and decoding ends the process."""
    path = write_clip(tmp_path / "a.mp4", [20, 40])
    content = path.read_bytes()
    assert content.count(b"avc1\0") == 1
    path.write_bytes(content.replace(b"avc1\0", b"zzzz\0"))
    with pytest.raises(LogError, match=r"a\.mp4: its video is of no kind that FFmpeg decodes"):
        do({"main": path}, tmp_path / "o.mcap")
    with pytest.raises(SourceError, match="holds no video that FFmpeg decodes"):
        open_stream(str(path), str(path))


def test_a_title_in_another_encoding_does_no_harm(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=3)
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", b"L\xe4vf"))
    assert do({"main": path}, tmp_path / "o.mcap")[1].images == {"main": 3}
    with open_stream(str(path), str(path)) as container:
        assert len(list(encoded_frames("a", container))) == 3
