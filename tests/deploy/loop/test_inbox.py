"""The inbox: the newest complete set, nothing waited for longer than half a period, never more."""

import threading

import numpy as np
import pytest

from calib.lens import Lens
from calib.rig import Camera, Rig
from deploy.log.reader import EncodedImage
from deploy.loop import inbox as inbox_module
from deploy.loop.clock import SteadyClock
from deploy.loop.inbox import Inbox

NAMES = ("a", "b", "c")
LENS = Lens("pinhole", 64, 48, 50, 50, 31.5, 23.5)
RIG = Rig("small", tuple(Camera(n, LENS, np.eye(4), 10.0, "small") for n in NAMES))
PERIOD = 100_000_000
START = 10**18


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(RIG, SteadyClock())


def put(inbox: Inbox, tick: int, names: str = "abc", sequence: int | None = None) -> None:
    for name in names:
        inbox.put(EncodedImage(name, START + tick * PERIOD, b"", "jpeg", sequence))


def test_a_set_is_there_as_soon_as_the_last_camera_is(inbox: Inbox, monkeypatch):
    monkeypatch.setattr(inbox, "_wait_s", 1e9)  # it must not come to that
    put(inbox, 0, "ab")
    taken = []
    thread = threading.Thread(target=lambda: taken.append(inbox.take()))
    thread.start()
    put(inbox, 0, "c")
    thread.join(5)
    assert set(taken[0].images) == set(NAMES)


def test_the_newest_set_wins_and_the_others_are_counted(inbox: Inbox):
    for tick in range(5):
        put(inbox, tick)
    taken = inbox.take()
    assert taken is not None and (taken.index, taken.stamp_ns) == (4, START + 4 * PERIOD)
    assert inbox.dropped_sets == 4 and inbox.received == {"a": 5, "b": 5, "c": 5}


def test_a_silent_camera_is_waited_for_half_a_period_and_marked(inbox: Inbox):
    put(inbox, 0)
    inbox.take()
    put(inbox, 1, "ab")
    taken = inbox.take()
    assert taken is not None and set(taken.images) == {"a", "b"} and taken.late == {"c"}


def test_the_first_image_of_the_next_instant_ends_a_set(inbox: Inbox, monkeypatch):
    monkeypatch.setattr(inbox, "_wait_s", 1e9)  # it must not come to that
    put(inbox, 0, "ab")
    put(inbox, 1, "a")
    taken = inbox.take()
    assert taken is not None and set(taken.images) == {"a", "b"}
    put(inbox, 1, "bc")
    taken = inbox.take()
    assert taken is not None and set(taken.images) == set(NAMES)


def test_a_lost_camera_is_not_waited_for_and_its_reason_travels(inbox: Inbox, monkeypatch):
    inbox.lost(("c",), "cable pulled")
    put(inbox, 0, "ab")
    monkeypatch.setattr(inbox, "_wait_s", 1e9)  # it must not come to that
    taken = inbox.take()
    assert taken is not None and set(taken.images) == {"a", "b"}
    assert taken.absent["c"].lost == "cable pulled"
    put(inbox, 1, "c")  # from here on it is waited for
    put(inbox, 1, "ab")
    again = inbox.take()
    assert again is not None and "c" in again.images and not again.absent


def test_an_image_that_comes_after_its_set_is_left_out(inbox: Inbox, monkeypatch):
    monkeypatch.setattr(inbox, "_wait_s", 0.0)
    put(inbox, 0, "ab")
    first = inbox.take()
    put(inbox, 0, "c")
    put(inbox, 1)
    second = inbox.take()
    assert first is not None and set(first.images) == {"a", "b"}
    assert second is not None and {i.stamp_ns for i in second.images.values()} == {START + PERIOD}


def test_without_any_image_there_are_ticks_that_say_so(inbox: Inbox, monkeypatch):
    monkeypatch.setattr(inbox_module, "IDLE_S", 0.01)
    inbox.lost(NAMES, "no power")
    empty = [inbox.take(), inbox.take()]
    put(inbox, 0)
    last = inbox.take()
    assert [e.images for e in empty] == [{}, {}]
    assert {a.lost for a in empty[0].absent.values()} == {"no power"}
    assert [e.index for e in (*empty, last)] == [0, 1, 2]


def test_the_end_gives_what_is_left(inbox: Inbox):
    put(inbox, 0, "a")
    inbox.close()
    left = inbox.take()
    assert left is not None and set(left.images) == {"a"}
    assert inbox.take() is None


def test_many_threads_at_once_lose_nothing_uncounted(inbox: Inbox):
    ticks = 200
    threads = [
        threading.Thread(target=lambda n=name: [put(inbox, t, n) for t in range(ticks)])
        for name in NAMES
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    inbox.close()
    assert inbox.received == dict.fromkeys(NAMES, ticks)
    last = inbox.take()
    assert last is not None
    assert inbox.take() is None
