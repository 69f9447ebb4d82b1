"""Frame sets: joined by capture time; a camera in trouble costs its own frames only."""

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.lens import Lens
from calib.rig import Camera, Rig
from deploy.log.reader import EncodedImage
from deploy.loop.frames import EncodedSet, FrameDecoder
from deploy.loop.join import LATE_NS, default_tolerance_ns, join_frames

PERIOD = 27_777_778
JUMP_NS = 5_000_000_000  # far more than any gap between two frames
NAMES = ("a", "b", "c")
LENS = Lens("pinhole", 64, 48, 50, 50, 31.5, 23.5)


def small_rig(names: tuple[str, ...] = NAMES) -> Rig:
    return Rig("small", tuple(Camera(n, LENS, np.eye(4), 36.0, "small") for n in names))


def image(camera: str, stamp: int, data: bytes = b"") -> EncodedImage:
    return EncodedImage(camera, stamp, data, "jpeg")


def jpeg(seed: int, size: tuple[int, int] = (64, 48)) -> bytes:
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), size)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def one_set(**images: bytes) -> EncodedSet:
    return EncodedSet(
        0, 0, {name: image(name, 0, data) for name, data in images.items()}, frozenset()
    )


@given(
    st.lists(st.tuples(*(st.floats(-0.2, 0.2) for _ in NAMES)), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_every_frame_lands_in_its_instant_despite_jitter_and_order(jitter, random):
    expected = []
    arrivals = []
    for index, offsets in enumerate(jitter):
        stamps = [10 * PERIOD + index * PERIOD + int(o * PERIOD) for o in offsets]
        images = [image(name, stamp) for name, stamp in zip(NAMES, stamps, strict=True)]
        random.shuffle(images)
        arrivals += images
        expected.append({i.camera: i.stamp_ns for i in images})
    sets = list(join_frames(arrivals, small_rig()))
    found = [{n: i.stamp_ns for n, i in s.images.items()} for s in sets]
    assert found == expected
    assert [s.index for s in sets] == list(range(len(jitter)))


def test_it_streams():
    def endless() -> Iterator[EncodedImage]:
        for tick in itertools.count():
            for name in NAMES:
                yield image(name, tick * PERIOD)

    sets = list(itertools.islice(join_frames(endless(), small_rig()), 3))
    assert [s.stamp_ns for s in sets] == [0, PERIOD, 2 * PERIOD]


def test_a_silent_camera_is_late_then_missing_and_never_waited_for():
    after = LATE_NS // PERIOD + 3
    images = [image("c", 0)] + [
        image(name, tick * PERIOD) for tick in range(after) for name in ("a", "b")
    ]
    sets = list(join_frames(images, small_rig()))
    assert len(sets) == after
    assert set(sets[0].images) == set(NAMES)
    assert sets[1].late == {"c"}
    assert sets[-1].late == frozenset()
    frames = FrameDecoder(small_rig()).decode(sets[-1]).frames
    assert frames["c"].status == "missing"


def test_the_first_camera_has_no_privilege():
    images = [image(name, tick * PERIOD) for tick in range(3) for name in ("b", "c")]
    assert [set(s.images) for s in join_frames(images, small_rig())] == [{"b", "c"}] * 3


def test_an_image_that_comes_after_its_set_is_left_out():
    images = [
        *(image("a", 0), image("b", 0)),
        *(image("a", PERIOD), image("b", PERIOD), image("c", 0), image("c", PERIOD)),
    ]
    first, second = join_frames(images, small_rig())
    assert set(first.images) == {"a", "b"}
    assert {n: i.stamp_ns for n, i in second.images.items()} == dict.fromkeys(NAMES, PERIOD)


def test_the_newest_within_tolerance_wins():
    tolerance = default_tolerance_ns(small_rig())
    images = [image("a", 0), image("b", 0), image("b", tolerance // 2), image("b", tolerance // 4)]
    (only,) = join_frames(images, small_rig())
    assert only.images["b"].stamp_ns == tolerance // 2


@pytest.mark.parametrize("error", [10 * JUMP_NS, -10 * JUMP_NS])
def test_a_clock_out_of_sync_harms_no_other_camera(error):
    images = [
        image(name, 20 * JUMP_NS + tick * PERIOD + (error if name == "b" and tick else 0))
        for tick in range(6)
        for name in ("b", "a", "c")
    ]
    sets = list(join_frames(images, small_rig()))
    assert [set(s.images) for s in sets] == [set(NAMES)] + [{"a", "c"}] * 5
    assert all(s.late == {"b"} for s in sets[1:])


def test_a_gap_in_the_whole_log_is_followed():
    images = [
        image(name, start + tick * PERIOD)
        for start in (0, 100 * JUMP_NS)
        for tick in range(4)
        for name in NAMES
    ]
    sets = list(join_frames(images, small_rig()))
    complete = [s for s in sets if len(s.images) == 3]
    assert len(complete) >= 7  # the instant in which the jump is confirmed may be lost
    assert sets[-1].stamp_ns == 100 * JUMP_NS + 3 * PERIOD


def test_cameras_that_the_rig_lacks_are_ignored():
    images = [image("a", 0), image("stranger", 0), image("stranger", PERIOD)]
    (only,) = join_frames(images, small_rig())
    assert set(only.images) == {"a"}


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xd8 no jpeg \xff\xd9", id="not a jpeg"),
        pytest.param(jpeg(1)[: len(jpeg(1)) // 2], id="cut off"),
        pytest.param(jpeg(1, (48, 64)), id="wrong size"),
    ],
)
def test_a_bad_image_costs_that_frame_only(bad):
    decoder = FrameDecoder(small_rig())
    frames = decoder.decode(one_set(a=jpeg(0), b=bad, c=jpeg(2))).frames
    assert list(frames) == list(NAMES)
    assert frames["b"].status == "corrupt" and frames["b"].image is None and frames["b"].note
    assert frames["a"].status == frames["c"].status == "ok"
    assert frames["a"].image.shape == (48, 64, 3)
    again = decoder.decode(one_set(a=jpeg(3), b=jpeg(4), c=jpeg(5))).frames
    assert again["b"].status == "ok"


def test_wrong_size_names_both_sizes():
    frames = FrameDecoder(small_rig()).decode(one_set(a=jpeg(1, (32, 16)))).frames
    assert "32x16" in frames["a"].note and "64x48" in frames["a"].note


def test_equal_bytes_are_a_frozen_camera_until_they_change():
    decoder = FrameDecoder(small_rig(("a",)))
    data = [jpeg(0), jpeg(0), jpeg(0), jpeg(1), jpeg(0)]
    states = [decoder.decode(one_set(a=d)).frames["a"].status for d in data]
    assert states == ["ok", "frozen", "frozen", "ok", "ok"]
