"""Join: images of all cameras, in order of arrival, to sets of one instant by capture time.

A camera that does not deliver is marked and never waited for; the others go on.
"""

from collections.abc import Iterable, Iterator

from calib.rig import Rig
from deploy.log.reader import EncodedImage
from deploy.loop.frames import Absence, EncodedSet

# A camera without a frame for this instant is `late` while it was heard from in the last half
# second of the log, and `missing` after that.
LATE_NS = 500_000_000
# A stamp further ahead than this many periods, nominal or as last seen, comes from a clock that is
# out of sync, or the whole rig has a gap, which the other cameras then confirm.
JUMP_PERIODS = 2.5


def default_tolerance_ns(rig: Rig) -> int:
    """Half the period of the fastest camera, so that a frame belongs to one instant only."""
    return int(0.5e9 / max(camera.rate_hz for camera in rig))


class FrameJoiner:
    """Takes one image after the other; the first one past the open set closes it.

    A set holds the newest image of each camera within `tolerance_ns` of its reference, the stamp
    of the image that opened it. Images that come after their set was closed are left out, and so
    are those of cameras that the rig does not have. One clock that disagrees must not end the set
    of all the others: only when most of the cameras that deliver agree on another time, or none is
    left that does not, has time itself jumped.
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
        self._offsets: dict[str, int] = {}  # camera -> offset of an image left out since last set
        self._before: dict[str, int] = {}  # camera -> stamp of its last image
        self._backwards: set[str] = set()  # cameras whose last stamp was no step forward
        self._strays = 0
        self._elsewhere: dict[str, EncodedImage] = {}  # strays that agree on another time

    def add(self, image: EncodedImage) -> EncodedSet | None:
        """Take one image; returns the set that it closes, if any."""
        if image.camera not in self._rig.names:
            return None
        back = image.stamp_ns < self._before.get(image.camera, image.stamp_ns)
        (self._backwards.add if back else self._backwards.discard)(image.camera)
        self._before[image.camera] = image.stamp_ns
        if self._reference is None:
            self._open(image)
            return None
        ahead = image.stamp_ns - self._reference
        if ahead < -self._tolerance or ahead > JUMP_PERIODS * max(self._period, self._step):
            return self._stray(image)
        self._strays = 0
        self._give_up_elsewhere()
        closed = None
        if ahead > self._tolerance:
            closed = self.close()
            self._open(image)
        elif self._members:
            known = self._members.get(image.camera)
            if known is None or known.stamp_ns < image.stamp_ns:
                self._members[image.camera] = image
            self._heard[image.camera] = self._reference
        else:
            self._leave_out(image)  # its set was closed without it
        return closed

    def close(self) -> EncodedSet | None:
        """End the open set and return it; None if there is none."""
        if not self._members or self._reference is None:
            return None
        stamp = min(image.stamp_ns for image in self._members.values())
        late, absent = frozenset(self._late()), self._absent()
        done = EncodedSet(self._index, stamp, self._members, late, absent)
        self._index += 1
        self._members = {}
        self._offsets = {}
        return done

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

    def _open(self, image: EncodedImage) -> None:
        if self._reference is not None:
            self._step = min(image.stamp_ns - self._reference, LATE_NS)
        self._reference = image.stamp_ns
        self._members = {image.camera: image}
        self._heard[image.camera] = image.stamp_ns

    def _late(self) -> set[str]:
        now = self._reference or 0
        return {
            name
            for name, when in self._heard.items()
            if name not in self._members and now - when <= LATE_NS
        }

    def _absent(self) -> dict[str, Absence]:
        now = self._reference or 0
        return {
            name: Absence(
                now - self._heard[name] if name in self._heard else None,
                self._offsets.get(name),
                name in self._backwards,
            )
            for name in self._rig.names
            if name not in self._members
        }

    def _leave_out(self, image: EncodedImage) -> None:
        reference = self._reference or 0
        self._heard[image.camera] = reference
        self._offsets[image.camera] = image.stamp_ns - reference

    def _give_up_elsewhere(self) -> None:
        for image in self._elsewhere.values():
            self._leave_out(image)
        self._elsewhere.clear()

    def _stray(self, image: EncodedImage) -> EncodedSet | None:
        self._strays += 1
        agreed = next(iter(self._elsewhere.values()), image)
        if abs(image.stamp_ns - agreed.stamp_ns) > self._tolerance:
            self._give_up_elsewhere()
        self._elsewhere[image.camera] = image
        delivering = self._members.keys() | self._elsewhere.keys()
        most = 2 * len(self._elsewhere) > len(delivering) and bool(self._members)
        if not most and self._strays < len(self._rig):
            return None
        closed = self.close()
        first, *others = self._elsewhere.values()
        self._open(first)
        for other in others:
            self._members[other.camera] = other
            self._heard[other.camera] = first.stamp_ns
        self._strays = 0
        self._elsewhere.clear()
        return closed


def join_frames(
    images: Iterable[EncodedImage], rig: Rig, tolerance_ns: int | None = None
) -> Iterator[EncodedSet]:
    """Sets of a stream of images as `FrameJoiner` makes them; the last one ends with the stream."""
    joiner = FrameJoiner(rig, tolerance_ns)
    for image in images:
        if closed := joiner.add(image):
            yield closed
    if last := joiner.close():
        yield last
