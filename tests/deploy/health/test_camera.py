"""The state machine of a camera: named within three ticks, well again within three."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.lens import Lens
from calib.rig import Camera, Rig
from deploy.health.camera import STATES, CameraMonitor, RigMonitor
from deploy.log.reader import EncodedImage
from deploy.loop.frames import FrameDecoder
from deploy.loop.join import join_frames

PERIOD = 27_777_778
NAMES = ("a", "b", "c")
RATES = {"a": 36.0, "b": 36.0, "c": 18.0}
LENS = Lens("pinhole", 160, 120, 100, 100, 79.5, 59.5)
RIG = Rig("small", tuple(Camera(n, LENS, np.eye(4), RATES[n], "small") for n in NAMES))


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(
        rng.integers(0, 255, (15, 20, 3), np.uint8), None, fx=8, fy=8, interpolation=0
    )


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


SHARP = [
    jpeg(np.clip(picture(seed).astype(int) + 40 * (seed % 2), 0, 255).astype(np.uint8))
    for seed in range(40)
]


def drive(ticks: int = 30) -> list[EncodedImage]:
    """What three healthy cameras deliver; c half as often, as its rate says."""
    return [
        EncodedImage(n, 10**12 + t * PERIOD, SHARP[t + i], "jpeg", t // (36 // int(RATES[n])))
        for t in range(ticks)
        for i, n in enumerate(NAMES)
        if n != "c" or t % 2 == 0
    ]


def states(images: list[EncodedImage]) -> Iterator[dict[str, tuple[str, str]]]:
    decoder, monitor = FrameDecoder(RIG), RigMonitor(RIG)
    for encoded in join_frames(images, RIG):
        health = monitor.update(decoder.decode(encoded))
        yield {name: (h.state, h.note) for name, h in health.items()}


def is_b(image: EncodedImage, first: int, last: int) -> bool:
    return image.camera == "b" and first <= (image.stamp_ns - 10**12) // PERIOD < last


def change(first: int, last: int, **what: object) -> list[EncodedImage]:
    return [replace(i, **what) if is_b(i, first, last) else i for i in drive()]


def shifted(nanoseconds: int) -> list[EncodedImage]:
    return [
        replace(i, stamp_ns=i.stamp_ns + nanoseconds) if is_b(i, 10, 20) else i for i in drive()
    ]


BLACK = [jpeg(np.random.default_rng(t).integers(0, 5, (120, 160, 3), np.uint8)) for t in range(30)]
WHITE = [
    jpeg(np.random.default_rng(t).integers(250, 255, (120, 160, 3), np.uint8)) for t in range(30)
]
DAMAGED = [b"\xff\xd8%02d" % t for t in range(30)]
SMEAR = [jpeg(cv2.GaussianBlur(picture(t), (0, 0), 6)) for t in range(30)]


def seen(pictures: list[bytes]) -> list[EncodedImage]:
    return [
        replace(i, data=pictures[(i.stamp_ns - 10**12) // PERIOD]) if is_b(i, 10, 20) else i
        for i in drive()
    ]


@pytest.mark.parametrize(
    ("images", "state", "note"),
    [
        pytest.param(
            [i for i in drive() if not is_b(i, 10, 20)], "disconnected", "silent", id="dead"
        ),
        pytest.param(change(10, 20, data=SHARP[0]), "frozen", "same bytes", id="same bytes"),
        pytest.param(change(10, 20, sequence=9), "frozen", "same frame id", id="same frame id"),
        pytest.param(seen(BLACK), "blind", "dark", id="black"),
        pytest.param(seen(WHITE), "blind", "saturated", id="white"),
        pytest.param(seen(SMEAR), "blind", "blurred", id="smeared"),
        pytest.param(shifted(18 * 10**9), "out-of-sync", "18000 ms off", id="18 s ahead"),
        pytest.param(shifted(-18 * 10**9), "out-of-sync", "-18000 ms off", id="18 s behind"),
        pytest.param(shifted(10**9), "out-of-sync", "+1000 ms off", id="1 s ahead"),
        pytest.param(shifted(-(10**8)), "late", "100 ms after", id="100 ms late"),
        pytest.param(seen(DAMAGED), "corrupt", "4 bytes", id="corrupt"),
    ],
)
def test_a_fault_of_one_camera_is_named_in_three_ticks_and_over_in_three(images, state, note):
    course = list(states(images))
    assert len(course) == 30
    assert [tick["b"][0] for tick in course[:10]] == ["ok"] * 10
    named = [tick["b"][0] for tick in course[12:20]]
    assert named == [state] * 8
    assert note in course[15]["b"][1]
    assert [tick["b"][0] for tick in course[22:]] == ["ok"] * 8
    for other in "ac":
        assert {tick[other][0] for tick in course} == {"ok"}


def test_one_bad_frame_moves_nothing():
    course = list(states([i for i in drive() if not is_b(i, 10, 11)]))
    assert {tick["b"][0] for tick in course} == {"ok"}


def test_half_the_frames_missing_is_late_all_the_time():
    images = [i for i in drive() if i.camera != "b" or i.stamp_ns // PERIOD % 2]
    assert {tick["b"][0] for tick in list(states(images))[4:]} == {"late"}


def test_stamps_that_run_backwards_are_out_of_sync():
    images = [
        replace(i, stamp_ns=2 * (10**12 + 10 * PERIOD) - i.stamp_ns) if is_b(i, 11, 20) else i
        for i in drive()
    ]
    course = list(states(images))
    assert {tick["b"][0] for tick in course[13:20]} == {"out-of-sync"}
    assert "backwards" in course[15]["b"][1]
    assert {tick["a"][0] for tick in course} == {"ok"}
    assert [tick["b"][0] for tick in course[22:]] == ["ok"] * 8


def test_a_camera_that_never_came_is_disconnected_from_the_first_tick():
    course = list(states([i for i in drive() if i.camera != "b"]))
    assert {tick["b"][0] for tick in course} == {"disconnected"}


def test_what_a_calibration_check_says_keeps_a_camera_off_the_map():
    decoder, monitor = FrameDecoder(RIG), RigMonitor(RIG)
    course = []
    for tick, encoded in enumerate(join_frames(drive(12), RIG)):
        bad = {"a": "turned by 3 degrees"} if 4 <= tick < 8 else {}
        course.append(monitor.update(decoder.decode(encoded), bad)["a"])
    assert [h.state for h in course[6:8]] == ["bad-calibration"] * 2
    assert course[7].note == "turned by 3 degrees"
    assert [h.fit for h in course] == [True] * 4 + [False] * 5 + [True] * 3


@given(st.lists(st.sampled_from([*STATES, None]), max_size=40))
def test_three_equal_verdicts_always_decide(verdicts):
    monitor = CameraMonitor()
    history: list[str] = []
    for verdict in verdicts:
        state = monitor.update(verdict, "why").state
        history += [verdict] if verdict is not None else []
        if len(history) >= 3 and len(set(history[-3:])) == 1:
            assert state == history[-1]
        if state != "ok" and history:
            assert state in history
