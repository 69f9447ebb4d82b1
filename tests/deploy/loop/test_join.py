"""Joining against clocks that lie: whatever one camera's stamps say, the others' sets are whole."""

import tracemalloc
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.lens import Lens
from calib.rig import Camera, Rig
from deploy.log.reader import EncodedImage
from deploy.loop.frames import EncodedSet
from deploy.loop.join import FrameJoiner, default_tolerance_ns, join_frames

PERIOD = 27_777_778
NAMES = "abcdefgh"
LENS = Lens("pinhole", 64, 48, 50, 50, 31.5, 23.5)
START = 10**12
MIDDLE = START + 11 * PERIOD


def rig_of(count: int) -> Rig:
    return Rig("small", tuple(Camera(n, LENS, np.eye(4), 36.0, "small") for n in NAMES[:count]))


RIG = rig_of(4)


def stamps_of(sets: list[EncodedSet], names: Iterable[str]) -> list[dict[str, int]]:
    """What of `names` is in each set, without those that have none of them."""
    found = [{n: i.stamp_ns for n, i in s.images.items() if n in names} for s in sets]
    return [members for members in found if members]


@st.composite
def drives(draw: st.DrawFn) -> list[EncodedImage]:
    """Images of a rig of three to eight cameras in order of arrival, mixed within each instant;
    some come only every second or third time."""
    every = draw(st.lists(st.sampled_from((1, 1, 2, 3)), min_size=3, max_size=8))
    order = draw(st.randoms(use_true_random=False))
    images = []
    for tick in range(24):
        due = [name for name, step in zip(NAMES, every, strict=False) if tick % step == 0]
        order.shuffle(due)
        images += [EncodedImage(name, START + tick * PERIOD, b"", "jpeg") for name in due]
    return images


skews = st.one_of(st.integers(-18 * 10**9, 18 * 10**9), st.integers(-3 * PERIOD, 3 * PERIOD))


@given(drives(), st.sampled_from(NAMES), skews, st.integers(2, 8), st.integers(1, 16))
def test_no_skew_of_one_camera_costs_another_a_frame(images, struck, skew, first, ticks):
    start, end = (START + tick * PERIOD for tick in (first, first + ticks))
    skewed = [
        replace(i, stamp_ns=i.stamp_ns + skew)
        if i.camera == struck and start <= i.stamp_ns < end
        else i
        for i in images
    ]
    healthy = set(NAMES) - {struck}
    expected = stamps_of(list(join_frames(images, rig_of(8))), healthy)
    assert stamps_of(list(join_frames(skewed, rig_of(8))), healthy) == expected


@given(
    st.integers(3, 8),
    st.randoms(use_true_random=False),
    st.one_of(
        st.integers(int(1.6 * PERIOD), 4 * PERIOD),
        st.integers(4 * PERIOD, 18 * 10**9),
        st.integers(-18 * 10**9, -int(1.6 * PERIOD)),
    ),
)
def test_a_camera_out_of_sync_is_left_out_and_said_so(cameras, order, skew):
    images = []
    for tick in range(24):
        instant = [EncodedImage(n, START + tick * PERIOD, b"", "jpeg") for n in NAMES[:cameras]]
        order.shuffle(instant)
        images += [
            replace(i, stamp_ns=i.stamp_ns + skew) if i.camera == "b" and tick >= 4 else i
            for i in instant
        ]
    joined = [s for s in join_frames(images, rig_of(cameras)) if "a" in s.images]
    assert len(joined) == 24
    assert all("b" not in s.images for s in joined[4:])
    offsets = [s.absent["b"].offset_ns for s in joined[5:]]
    # One that comes before the others of its instant in one tick, and after them in the next, is
    # told of twice in one set and not at all in another.
    assert all(set(offsets[i : i + 3]) != {None} for i in range(len(offsets) - 2))
    assert all(abs(o - skew) <= PERIOD for o in offsets if o is not None)


@pytest.mark.parametrize("place", range(4))
def test_a_whole_period_ahead_costs_nobody_else(place):
    """Who is first for the next instant, or ahead, can't be told for certain: it is in the set of
    its stamp, or in none."""
    images = []
    for tick in range(12):
        instant = [EncodedImage(n, START + tick * PERIOD, b"", "jpeg") for n in "acd"]
        ahead = PERIOD * (tick >= 4)
        instant.insert(place, EncodedImage("b", START + tick * PERIOD + ahead, b"", "jpeg"))
        images += instant
    joined = [s for s in join_frames(images, RIG) if "a" in s.images]
    assert stamps_of(joined, "acd") == [dict.fromkeys("acd", START + t * PERIOD) for t in range(12)]
    assert all("b" not in s.images for s in joined[6:]) == (place < 2)


@given(drives(), st.data())
def test_images_in_order_of_stamps_join_as_they_come(images, data):
    """Whatever the cameras' rates and phases: what is within the tolerance is one set."""
    phases = {n: data.draw(st.integers(0, PERIOD), label=n) for n in NAMES}
    gap = data.draw(st.integers(0, 10 * 10**9))
    images = sorted(
        (
            replace(i, stamp_ns=i.stamp_ns + phases[i.camera] + gap * (i.stamp_ns > MIDDLE))
            for i in images
        ),
        key=lambda image: image.stamp_ns,
    )
    tolerance = default_tolerance_ns(rig_of(8))
    expected: list[dict[str, int]] = []
    reference = 0
    for image in images:
        if image.stamp_ns > reference + tolerance:
            reference = image.stamp_ns
            expected.append({})
        expected[-1][image.camera] = image.stamp_ns
    assert stamps_of(list(join_frames(images, rig_of(8))), NAMES) == expected


@pytest.mark.parametrize("alive", [1, 2, 3, 4])
@pytest.mark.parametrize("gap_s", [0.2, 3.0, 60.0, -30.0])
def test_a_gap_of_all_loses_at_most_an_instant(alive, gap_s):
    names = NAMES[:alive]
    times = [START + t * PERIOD for t in range(4)]
    times += [START + int(gap_s * 1e9) + t * PERIOD for t in range(12)]
    images = [EncodedImage(n, stamp, b"", "jpeg") for stamp in times for n in names]
    found = [s.stamp_ns for s in join_frames(images, RIG) if len(s.images) == alive]
    assert found[:4] == times[:4]
    assert found[-8:] == times[-8:]


def test_what_is_absent_is_explained():
    joiner = FrameJoiner(RIG)
    for tick in range(6):
        for name in "acd":
            for done in joiner.add(EncodedImage(name, START + tick * PERIOD, b"", "jpeg")):
                last = done
        joiner.add(EncodedImage("b", START + tick * PERIOD - 10**8, b"", "jpeg"))
    assert last.absent["b"].offset_ns == pytest.approx(-(10**8), abs=1)
    assert last.late == {"b"}
    assert set(last.absent) == {"b"}


def test_a_set_closed_early_is_not_opened_twice():
    joiner = FrameJoiner(RIG)
    joiner.add(EncodedImage("a", START, b"", "jpeg"))
    assert joiner.missing == {"b", "c", "d"}
    assert set(joiner.close().images) == {"a"}
    assert joiner.add(EncodedImage("b", START, b"", "jpeg")) == []
    assert joiner.open_ns is None and joiner.close() is None
    joiner.add(EncodedImage("b", START + PERIOD, b"", "jpeg"))
    assert joiner.close().index == 1


def test_a_stamp_that_stands_still_takes_no_memory():
    joiner = FrameJoiner(RIG)
    stuck = EncodedImage("a", START, bytes(1000), "jpeg")
    joiner.add(stuck)
    joiner.close()
    tracemalloc.start()
    for _ in range(5000):
        joiner.add(stuck)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 300_000  # Python keeps 2,000 tuples to use again; 60 bytes an image are more
