"""Joining against clocks that lie: whatever one camera's stamps say, the others' sets are whole."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.lens import Lens
from calib.rig import Camera, Rig
from deploy.log.reader import EncodedImage
from deploy.loop.join import FrameJoiner, join_frames

PERIOD = 27_777_778
NAMES = ("a", "b", "c", "d")
LENS = Lens("pinhole", 64, 48, 50, 50, 31.5, 23.5)
RIG = Rig("small", tuple(Camera(n, LENS, np.eye(4), 36.0, "small") for n in NAMES))
START = 10**12


def drive(ticks: int, order: random.Random) -> list[EncodedImage]:
    images = []
    for tick in range(ticks):
        names = list(NAMES)
        order.shuffle(names)
        images += [EncodedImage(n, START + tick * PERIOD, b"", "jpeg") for n in names]
    return images


@given(
    st.randoms(use_true_random=False),
    st.one_of(st.integers(int(2.6 * PERIOD), 100 * 10**9), st.integers(-100 * 10**9, -2 * PERIOD)),
)
def test_no_skew_of_one_camera_costs_another_a_frame(order, skew):
    images = [
        replace(i, stamp_ns=i.stamp_ns + skew) if i.camera == "b" else i for i in drive(8, order)
    ]
    if images[0].camera == "b":  # nobody can know better then, until the others come
        images[0], images[1] = images[1], images[0]
    sets = list(join_frames(images, RIG))
    whole = [s for s in sets if {"a", "c", "d"} <= set(s.images)]
    assert [s.stamp_ns for s in whole] == [START + t * PERIOD for t in range(8)]
    assert all("b" not in s.images for s in whole)


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
            if done := joiner.add(EncodedImage(name, START + tick * PERIOD, b"", "jpeg")):
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
    assert joiner.add(EncodedImage("b", START, b"", "jpeg")) is None
    assert joiner.open_ns is None and joiner.close() is None
    joiner.add(EncodedImage("b", START + PERIOD, b"", "jpeg"))
    assert joiner.close().index == 1
