"""Recordings as sources: every image, in order, with the stamps of now; and the run's file."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from calib.errors import RigError
from deploy.errors import LogError, SourceError
from deploy.log.reader import LogReader
from deploy.loop.clock import SteadyClock
from deploy.sources.config import open_run
from deploy.sources.recorded import FolderSource, LogSource, Playback, VideoSource

FAST = 1000.0


@pytest.fixture
def playback() -> Playback:
    return Playback(SteadyClock(), FAST)


def write_video(path: Path, codec: str, pictures: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=Fraction(10))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode(None))
    return path


PICTURES = [np.full((48, 64, 3), 20 + 50 * i, np.uint8) for i in range(4)]


def brightness(data: bytes) -> int:
    return round(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).mean(), -1)


def test_a_log_plays_with_the_offsets_between_its_cameras(log: Path, playback: Playback):
    source = LogSource(log, playback)
    played, recorded = list(source.images()), list(LogReader(log).images())
    assert [(i.camera, i.data, i.sequence) for i in played] == [
        (i.camera, i.data, i.sequence) for i in recorded
    ]
    first = played[0].stamp_ns - recorded[0].stamp_ns / FAST
    for live, image in zip(played, recorded, strict=True):
        assert live.stamp_ns - image.stamp_ns / FAST == pytest.approx(first, abs=1000)
        assert live.received_ns is not None and live.received_ns >= live.stamp_ns


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_a_video_gives_its_frames_as_jpeg(tmp_path: Path, playback: Playback, codec: str):
    path = write_video(tmp_path / "v.mkv", codec, PICTURES)
    images = list(VideoSource("main", path, playback).images())
    assert [brightness(i.data) for i in images] == [brightness_of(p) for p in PICTURES]
    assert images[2].stamp_ns - images[1].stamp_ns == pytest.approx(1e8 / FAST, abs=2e6 / FAST)
    if codec == "mjpeg":  # untouched
        with av.open(str(path)) as container:
            packets = [bytes(p) for p in container.demux(video=0) if p.size]
        assert [i.data for i in images] == packets


def brightness_of(picture: np.ndarray) -> int:
    return round(float(picture.mean()), -1)


def test_a_folder_gives_its_images_in_order_and_again(tmp_path: Path, playback: Playback):
    for name, picture in zip(("b.png", "a.jpg", "c.JPG"), PICTURES, strict=False):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "notes.txt").write_text("no image")
    once = list(FolderSource("main", tmp_path, 10, playback).images())
    assert [(brightness(i.data), i.format) for i in once] == [
        (brightness_of(PICTURES[1]), "jpeg"),
        (brightness_of(PICTURES[0]), "png"),
        (brightness_of(PICTURES[2]), "jpeg"),
    ]
    again = FolderSource("main", tmp_path, 10, playback, loop=True).images()
    twice = [next(again) for _ in range(5)]
    assert [i.data for i in twice] == [i.data for i in [*once, *once[:2]]]
    assert all(a.stamp_ns < b.stamp_ns for a, b in itertools.pairwise(twice))


RUN = """
rig: rig.yaml
cameras:
  main: {{video: v.mkv, loop: true}}
  rear: {rear}
"""


@pytest.fixture
def folder(tmp_path: Path, rig) -> Path:
    from calib.rig import Rig, save_rig

    save_rig(Rig("two", (rig["main"], rig["rear"])), tmp_path / "rig.yaml")
    write_video(tmp_path / "v.mkv", "mjpeg", PICTURES)
    return tmp_path


def write_run(folder: Path, rear: str) -> Path:
    (folder / "run.yaml").write_text(RUN.format(rear=rear))
    return folder / "run.yaml"


def test_a_run_names_a_source_for_every_camera(folder: Path):
    run = open_run(write_run(folder, "{gstreamer: 'videotestsrc is-live=true'}"))
    assert [s.cameras for s in run.sources] == [("main",), ("rear",)]
    assert [s.live for s in run.sources] == [False, True]


@pytest.mark.parametrize(
    ("rear", "message"),
    [
        ("{}", "no source; give one of gstreamer"),
        ("{video: v.mkv, rtsp: 'rtsp://h/s'}", "rtsp, video; give one of"),
        ("{rtsp: 'http://h/s'}", "cameras.rear.rtsp"),
        ("{video: none.mkv}", "none.mkv: no such video"),
        ("{images: nowhere}", "nowhere: no such folder"),
        ("{images: .}", "holds no image"),
        ("{wideo: v.mkv}", "cameras.rear.wideo"),
        ("{video: v.mkv, rate_hz: -1}", "cameras.rear.rate_hz"),
        ("[", "not valid YAML"),
        ("{video: v.mkv}\n  side: {video: v.mkv}", "has no camera side"),
    ],
)
def test_what_is_wrong_in_a_run_is_one_line(folder: Path, rear: str, message: str):
    with pytest.raises(SourceError) as caught:
        open_run(write_run(folder, rear))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_rigs_are_named(folder: Path):
    with pytest.raises(SourceError, match="no such file"):
        open_run(folder / "none.yaml")
    with pytest.raises(LogError, match="no such log"):
        open_run(folder / "none.mcap")
    (folder / "rig.yaml").unlink()
    with pytest.raises(RigError, match=r"rig\.yaml"):
        open_run(write_run(folder, "{video: v.mkv}"))
