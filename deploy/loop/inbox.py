"""Inbox: images from many threads to the newest frame set; what can't be served is dropped."""

import threading
import time
from collections import Counter
from dataclasses import replace

from calib.rig import Rig
from deploy.log.reader import EncodedImage
from deploy.loop.clock import SteadyClock
from deploy.loop.frames import Absence, EncodedSet
from deploy.loop.join import LATE_NS, FrameJoiner, default_tolerance_ns

# Without any image there is a tick now and then nonetheless, which says so.
IDLE_S = 0.5


class Inbox:
    """Holds one set that is complete and one that fills up, never more: the newest wins, within a
    set and between sets. A set is complete when all cameras that deliver are in, or when the wait
    for the others, half a period, is over."""

    def __init__(self, rig: Rig, clock: SteadyClock) -> None:
        self._rig = rig
        self._clock = clock
        self._joiner = FrameJoiner(rig)
        self._wait_s = default_tolerance_ns(rig) / 1e9
        self._changed = threading.Condition()
        self._ready: EncodedSet | None = None
        self._opened_s = 0.0  # when the set that fills up got its first image
        self._lost: dict[str, str] = {}
        self._closed = False
        self._idle = 0  # ticks without any image
        self.received: Counter[str] = Counter()
        self.dropped_sets = 0

    def put(self, image: EncodedImage) -> None:
        """Take one image."""
        with self._changed:
            self.received[image.camera] += 1
            self._lost.pop(image.camera, None)
            was_open = self._joiner.open_ns
            for closed in self._joiner.add(image):
                self._offer(closed)
            # No live stamp is ahead of its time, so one camera's word is enough.
            if self._joiner.next_began:
                self._offer(self._joiner.close())
            if self._joiner.open_ns != was_open:
                self._opened_s = time.monotonic()
            if self._complete():
                self._offer(self._joiner.close())
            self._changed.notify()

    def lost(self, cameras: tuple[str, ...], reason: str) -> None:
        """Their source gave up, for now; with it nobody waits for them."""
        with self._changed:
            self._lost |= dict.fromkeys(cameras, reason)
            self._changed.notify()

    def close(self) -> None:
        """Nothing will come any more: `take` returns what is left, then None."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> EncodedSet | None:
        """The newest set, waited for; an empty one after IDLE_S without any, None at the end."""
        give_up_s = time.monotonic() + IDLE_S
        with self._changed:
            while True:
                now_s = time.monotonic()
                is_open = self._joiner.open_ns is not None
                due_s = self._opened_s + self._wait_s
                if is_open and (now_s >= due_s or self._complete() or self._closed):
                    self._offer(self._joiner.close())
                if self._ready is not None:
                    taken, self._ready = self._ready, None
                    return self._with_losses(taken)
                if self._closed:
                    return None
                if now_s >= give_up_s:
                    return self._empty()
                self._changed.wait((min(due_s, give_up_s) if is_open else give_up_s) - now_s)

    def _complete(self) -> bool:
        missing = self._joiner.missing
        return missing is not None and missing <= self._lost.keys()

    def _offer(self, closed: EncodedSet | None) -> None:
        if closed is None:
            return
        if self._ready is not None:
            self.dropped_sets += 1
        self._ready = replace(closed, index=closed.index + self._idle)

    def _empty(self) -> EncodedSet:
        self._idle += 1
        now_ns = self._clock.now_ns()
        absent = {name: Absence(LATE_NS) for name in self._rig.names}
        index = self._joiner.next_index + self._idle - 1
        return self._with_losses(EncodedSet(index, now_ns, {}, frozenset(), absent))

    def _with_losses(self, done: EncodedSet) -> EncodedSet:
        lost = {
            name: replace(done.absent.get(name, Absence(None)), lost=reason)
            for name, reason in self._lost.items()
            if name not in done.images
        }
        return replace(done, absent={**done.absent, **lost})
