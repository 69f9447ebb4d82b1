"""Parts of a log, jumps and rounds: one stream whose time always goes on."""

from pathlib import Path

import numpy as np
import pytest

from calib.errors import RigError
from calib.rig import Rig
from deploy.errors import LogError
from deploy.log import channels
from deploy.log.reader import EncodedImage, LogReader
from deploy.log.rig_messages import to_ego_transform
from deploy.log.writer import LogWriter
from deploy.loop.controls import BACK, FORWARD, Controls
from deploy.loop.playback import Part, Playback

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
SECONDS = 3


@pytest.fixture(scope="module")
def reader(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> LogReader:
    """Every camera ten times a second, the image's bytes tell which; the vehicle at x = i."""
    path = tmp_path_factory.mktemp("playback") / "log.mcap"
    with LogWriter(path) as log:
        log.rig(rig, START_NS)
        for i in range(SECONDS * 10):
            stamp_ns = START_NS + i * 100 * MS
            pose = np.eye(4)
            pose[0, 3] = i
            log.message(channels.TRANSFORMS, to_ego_transform(pose, stamp_ns), stamp_ns)
            for name in rig.names:
                log.image(name, stamp_ns, f"{name} {i}".encode())
    return LogReader(path)


def of_main(images: list[EncodedImage]) -> list[tuple[int, int]]:
    """Milliseconds and number of the images of main."""
    return [
        (round((image.stamp_ns - START_NS) / MS), int(image.data.split()[1]))
        for image in images
        if image.camera == "main"
    ]


def test_the_whole_log_is_played_as_it_is(reader: LogReader) -> None:
    assert list(Playback(reader, Part()).images()) == list(reader.images())


def test_a_part_of_some_cameras(reader: LogReader) -> None:
    playback = Playback(reader, Part(0.5, 0.9, cameras=("rear", "main")))
    assert playback.rig.names == ("rear", "main") and playback.rig["rear"] == reader.rig["rear"]
    images = list(playback.images())
    assert {image.camera for image in images} == {"rear", "main"}
    assert of_main(images) == [(500, 5), (600, 6), (700, 7), (800, 8)]
    assert playback.world_from_ego(images[0].stamp_ns)[0, 3] == 5  # type: ignore[index]


def test_rounds_go_on_in_time(reader: LogReader) -> None:
    """36 Hz is the rig's rate: so much later the next round begins."""
    playback = Playback(reader, Part(0.5, 0.7, times=3))
    images = list(playback.images())
    assert of_main(images) == [(500, 5), (600, 6), (628, 5), (728, 6), (756, 5), (856, 6)]
    stamps = [image.stamp_ns for image in images]
    assert stamps == sorted(stamps)
    places = [playback.world_from_ego(s)[0, 3] for s in dict.fromkeys(stamps)]  # type: ignore[index]
    assert places == [5, 6, 5, 6, 5, 6]


def test_jumps_and_the_end(reader: LogReader) -> None:
    controls = Controls(lambda seconds: "")
    playback = Playback(reader, Part(cameras=("main",)), controls)
    seen: list[EncodedImage] = []
    for image in playback.images():
        seen.append(image)
        match len(seen):
            case 3:
                controls._seek_s = 1.0
            case 5:
                controls._seek_s = -5.0  # not before the start
            case 7:
                controls.ended = True
    assert [number for _, number in of_main(seen)] == [0, 1, 2, 13, 14, 0, 1]
    assert [ms for ms, _ in of_main(seen)] == [0, 100, 200, 228, 328, 356, 456]
    places = [playback.world_from_ego(i.stamp_ns)[0, 3] for i in seen]  # type: ignore[index]
    assert places == [0, 1, 2, 13, 14, 0, 1]


def test_no_instant_is_torn_by_a_jump_or_the_end(reader: LogReader) -> None:
    controls = Controls(lambda seconds: "")
    cameras = len(reader.rig)
    seen: list[EncodedImage] = []
    for image in Playback(reader, Part(), controls).images():
        seen.append(image)
        if len(seen) == 3:
            controls._seek_s = 1.0
        if len(seen) == cameras + 2:
            controls.ended = True
    assert of_main(seen) == [(0, 0), (28, 11)] and len(seen) == 2 * cameras


def test_poses_are_read_along_and_not_again(
    reader: LogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    read = LogReader.messages
    monkeypatch.setattr(LogReader, "messages", lambda *a: begun.append(a) or read(*a))
    playback = Playback(reader, Part(times=2))
    for image in playback.images():
        assert playback.world_from_ego(image.stamp_ns) is not None
    poses = [arguments for arguments in begun if arguments[1] == {channels.TRANSFORMS}]
    assert len(poses) == 2  # one for each round


def test_a_jump_past_the_end_ends_the_round(reader: LogReader) -> None:
    controls = Controls(lambda seconds: "")
    controls._seek_s = 99.0
    assert not list(Playback(reader, Part(), controls).images())


def test_what_can_not_be_played(reader: LogReader, tmp_path: Path) -> None:
    with pytest.raises(RigError, match="no camera 'top'"):
        Playback(reader, Part(cameras=("top",)))
    with pytest.raises(LogError, match="let it end later"):
        Playback(reader, Part(2, 1))
    with pytest.raises(LogError, match=r"no image of main.* in this part"):
        list(Playback(reader, Part(99)).images())


class Keyboard:
    """Keys that are pressed one after another, each after a while; time passes by waiting."""

    def __init__(self, *keys: tuple[float, str]) -> None:
        self.now = 100.0
        self.keys = [(100.0 + when, key) for when, key in keys]

    def monotonic(self) -> float:
        return self.now

    def read(self, seconds: float) -> str:
        if self.keys and self.keys[0][0] <= self.now + seconds:
            when, key = self.keys.pop(0)
            self.now = max(self.now, when)
            return key
        self.now += seconds
        return ""


@pytest.mark.parametrize(
    ("keys", "held", "until", "paused"),
    [
        ([], 0.0, 1.0, False),
        ([(0.2, " "), (5.2, " ")], 5.0, 6.0, False),  # goes on for the 0.8 s that were left
        ([(0.2, " "), (5.2, "s")], 5.0, 5.2, True),  # one tick, now
        ([(0.2, "s"), (1.2, "s")], 1.0, 1.2, True),
        ([(0.3, "x")], 0.0, 1.0, False),
        ([(0.3, FORWARD)], 0.0, 0.3, False),
        ([(0.2, " "), (0.3, "q")], 0.1, 0.3, True),
    ],
)
def test_waiting_minds_the_keys(
    keys: list[tuple[float, str]],
    held: float,
    until: float,
    paused: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keyboard = Keyboard(*keys)
    monkeypatch.setattr("deploy.loop.controls.time", keyboard)
    controls = Controls(keyboard.read)
    assert controls.wait_until(101.0) == pytest.approx(held)
    assert keyboard.now == pytest.approx(100 + until)
    assert controls.paused == paused and controls.ended == (("q") in [k for _, k in keys])


def test_jumps_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = Keyboard((0, FORWARD), (0, FORWARD), (0, BACK), (0, FORWARD))
    monkeypatch.setattr("deploy.loop.controls.time", keyboard)
    controls = Controls(keyboard.read)
    for _ in range(4):
        controls.wait_until(200.0)
    assert (controls.take_seek(), controls.take_seek()) == (10.0, 0.0)
