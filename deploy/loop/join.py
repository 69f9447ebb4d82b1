"""Join: images of all cameras, in order of arrival, to sets of one instant by capture time.

A camera that does not deliver is marked and never waited for; the others go on.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from calib.rig import Rig
from deploy.log.reader import EncodedImage
from deploy.loop.frames import Absence, EncodedSet

# A camera without a frame for this instant is `late` while it was heard from in the last half
# second of the log, and `missing` after that.
LATE_NS = 500_000_000
# Only what is at most so many periods ahead, nominal or as last seen, may be the next instant on
# one camera's word.
JUMP_PERIODS = 2.5


def default_tolerance_ns(rig: Rig) -> int:
    """Half the period of the fastest camera, so that a frame belongs to one instant only."""
    return int(0.5e9 / max(camera.rate_hz for camera in rig))


class _Apart(NamedTuple):
    """How far off an image was that is in no set."""

    offset_ns: int
    backwards: bool


class FrameJoiner:
    """Takes one image after the other; those of the next instant close the open set.

    A set holds the newest image of each camera within `tolerance_ns` of its reference, the stamp
    of the image that opened it. Images that come after their set was closed are left out, and so
    are those of cameras that the rig does not have.

    One clock that disagrees must not end the set of all the others, so one camera is not believed:

    - An image ahead of the open set is held until a second camera is ahead, too, or nobody else
      delivers. The earlier of both is the next instant: at most the other one is wrong.
    - It is left out if most of the cameras that deliver meanwhile are still at an earlier time.
    - Time goes back only when most cameras agree on it.

    Images in order of stamps join as if nothing were ever held.
    """

    def __init__(self, rig: Rig, tolerance_ns: int | None = None) -> None:
        self._rig = rig
        self._tolerance = default_tolerance_ns(rig) if tolerance_ns is None else tolerance_ns
        self._period = 2 * default_tolerance_ns(rig)
        self._step = 0  # from the last set to the one before
        self._index = 0
        self._reference: int | None = None  # of the open set, or of the last one
        self._members: dict[str, EncodedImage] = {}
        self._heard: dict[str, int] = {}  # camera -> reference of the set when it last delivered
        self._apart: dict[tuple[str, int], _Apart] = {}  # by camera and what time it was
        self._before: dict[str, int] = {}  # camera -> stamp of its last image
        self._backwards: set[str] = set()  # cameras whose last stamp was no step forward
        self._held: list[EncodedImage] = []  # one camera's, ahead of the set, in order of stamps
        self._earlier: dict[str, bool] = {}  # who delivered since -> whether from an earlier time
        self._strays = 0
        self._elsewhere: dict[str, EncodedImage] = {}  # strays that agree on another time

    def add(self, image: EncodedImage) -> list[EncodedSet]:
        """Take one image; returns the sets that it closes, in order."""
        if image.camera not in self._rig.names:
            return []
        back = image.stamp_ns < self._before.get(image.camera, image.stamp_ns)
        (self._backwards.add if back else self._backwards.discard)(image.camera)
        self._before[image.camera] = image.stamp_ns
        if self._reference is None:
            self._held = [image]
            self._open()
            return []
        ahead = image.stamp_ns - self._reference
        if self._held and image.camera != self._held[0].camera:
            earlier = image.stamp_ns < self._held[0].stamp_ns - self._tolerance
            self._earlier[image.camera] = earlier or self._earlier.get(image.camera, False)
            if earlier and ahead > self._tolerance:
                self._note(self._held[0], self._reference)  # ahead of the next instant, too
        if ahead < -self._tolerance:
            return self._stray(image)
        self._strays = 0
        self._leave_out_all(self._elsewhere.values())
        self._elsewhere.clear()
        if ahead > self._tolerance:
            return self._look_ahead(image)
        if self._members:
            self._join(image)
        else:
            self._leave_out(image)  # its set was closed without it
        return []

    def close(self) -> EncodedSet | None:
        """End the open set and return it; None if there is none. If the next instant has begun,
        its set is open then."""
        done = self._end()
        if self.next_began:
            self._open()
        return done

    def finish(self) -> list[EncodedSet]:
        """End all sets: nothing comes any more that could contradict the images held."""
        apart = {camera for camera, _ in self._apart}
        if self._is_wrong() or any(image.camera in apart for image in self._held):
            self._let_go()
        closed = []
        while done := self._end():
            closed.append(done)
            if self._held:
                self._open()
        return closed

    @property
    def next_began(self) -> bool:
        """Whether the next instant has begun, on one camera's word."""
        return bool(self._held) and self._is_near(self._held[0])

    @property
    def open_ns(self) -> int | None:
        """Reference time of the open set, None if there is none."""
        return self._reference if self._members else None

    @property
    def missing(self) -> frozenset[str] | None:
        """Cameras to wait for: not in the open set, and heard from lately or not yet at all; None
        if no set is open."""
        if self._reference is None or not self._members:
            return None
        now = self._reference
        return frozenset(
            name
            for name in self._rig.names
            if name not in self._members and now - self._heard.get(name, now) <= LATE_NS
        )

    @property
    def next_index(self) -> int:
        """Index of the set that is open or will be next."""
        return self._index

    def _end(self) -> EncodedSet | None:
        if not self._members or self._reference is None:
            return None
        stamp = min(image.stamp_ns for image in self._members.values())
        late, absent = frozenset(self._alive() - self._members.keys()), self._absent()
        done = EncodedSet(self._index, stamp, self._members, late, absent)
        self._index += 1
        self._members = {}
        latest = self._reference + self._tolerance
        self._apart = {key: apart for key, apart in self._apart.items() if key[1] > latest}
        return done

    def _open(self) -> None:
        """Open the next set with the earliest of the images that are held."""
        held, self._held = self._held, []
        first = held[0]
        if self._reference is not None:
            self._step = min(first.stamp_ns - self._reference, LATE_NS)
        self._reference = first.stamp_ns
        for image in held:
            if image.stamp_ns - first.stamp_ns <= self._tolerance:
                self._join(image)
            else:
                self._held.append(image)

    def _join(self, image: EncodedImage) -> None:
        known = self._members.get(image.camera)
        if known is None or known.stamp_ns < image.stamp_ns:
            self._members[image.camera] = image
        self._heard[image.camera] = self._reference or 0

    def _is_near(self, image: EncodedImage) -> bool:
        ahead = image.stamp_ns - (self._reference or 0)
        return ahead <= JUMP_PERIODS * max(self._period, self._step)

    def _look_ahead(self, image: EncodedImage) -> list[EncodedSet]:
        holder = self._held[0].camera if self._held else ""
        if holder != image.camera and self._is_wrong():
            self._let_go()
        insort(self._held, image, key=lambda held: held.stamp_ns)
        closed, before = [], self._reference
        if not self._members and self.next_began:
            self._open()
        while self._time_went_on():
            if done := self._end():
                closed.append(done)
            self._open()
        if self._reference != before and any(self._earlier.values()) and not self.next_began:
            self._let_go()  # time went on, but not as far
        if not self._held or self._held[0].camera != holder:
            self._earlier.clear()
        return closed

    def _is_wrong(self) -> bool:
        """Whether the others say so of the camera whose images are held."""
        against = sum(self._earlier.values())
        return 2 * against > len(self._earlier) and against > 1  # one alone may itself be wrong

    def _let_go(self) -> None:
        wrong, self._held = self._held, []
        self._leave_out_all(wrong)

    def _time_went_on(self) -> bool:
        cameras = {image.camera for image in self._held}
        if len(cameras) != 1:
            return len(cameras) > 1
        # By count: its clock is what is in doubt.
        alone_ns = len(self._held) * 1e9 / self._rig[self._held[0].camera].rate_hz
        return self._alive() <= cameras or alone_ns > LATE_NS

    def _alive(self) -> set[str]:
        now = self._reference or 0
        return {name for name, when in self._heard.items() if now - when <= LATE_NS}

    def _absent(self) -> dict[str, Absence]:
        now = self._reference or 0
        latest = now + self._tolerance
        apart = {name: how for (name, then), how in self._apart.items() if then <= latest}
        return {
            name: Absence(
                now - self._heard[name] if name in self._heard else None,
                apart[name].offset_ns if name in apart else None,
                name in apart and apart[name].backwards,
            )
            for name in self._rig.names
            if name not in self._members
        }

    def _leave_out(self, image: EncodedImage) -> None:
        self._note(image, self._held[-1].stamp_ns if self.next_began else self._reference or 0)

    def _note(self, image: EncodedImage, now: int) -> None:
        self._heard[image.camera] = self._reference or 0
        backwards = image.camera in self._backwards
        self._apart[image.camera, now] = _Apart(image.stamp_ns - now, backwards)

    def _leave_out_all(self, images: Iterable[EncodedImage]) -> None:
        for image in images:
            self._leave_out(image)

    def _stray(self, image: EncodedImage) -> list[EncodedSet]:
        self._strays += 1
        agreed = next(iter(self._elsewhere.values()), image)
        if abs(image.stamp_ns - agreed.stamp_ns) > self._tolerance:
            self._leave_out_all(self._elsewhere.values())
            self._elsewhere.clear()
        self._elsewhere[image.camera] = image
        most = 2 * len(self._elsewhere) > len(self._alive() | self._elsewhere.keys())
        if not most and self._strays < len(self._rig):
            return []
        closed = self._end()
        self._apart.clear()  # of a time that is not coming for a while
        wrong, self._held = self._held, list(self._elsewhere.values())
        self._open()
        self._leave_out_all(wrong)
        self._strays = 0
        self._elsewhere.clear()
        return [closed] if closed else []


def join_frames(
    images: Iterable[EncodedImage], rig: Rig, tolerance_ns: int | None = None
) -> Iterator[EncodedSet]:
    """Sets of a stream of images as `FrameJoiner` makes them; the last ones end with the stream."""
    joiner = FrameJoiner(rig, tolerance_ns)
    for image in images:
        yield from joiner.add(image)
    yield from joiner.finish()
