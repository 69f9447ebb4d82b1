"""Which part of a log is played, how often and from where on; seen from behind, one stream."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calib.rig import Rig
from deploy.errors import LogError
from deploy.log.ego_pose import EgoPoses
from deploy.log.reader import EncodedImage, LogReader
from deploy.loop.controls import Controls
from deploy.loop.join import default_tolerance_ns


@dataclass(frozen=True)
class Part:
    """What to play. Seconds from the first image of the log; the end is left out. `times`: how
    often, 0 for until it is stopped. `cameras`: names, None for all."""

    start_s: float = 0.0
    end_s: float | None = None
    times: int = 1
    cameras: tuple[str, ...] | None = None


class Playback:
    """The images of a part of a log, and where the vehicle was.

    Time always goes on: after a jump or at the start of the next round, stamps follow on the last
    ones. A part that is played through once keeps the log's own.

    Raises LogError for a log without images or a part without time, RigError for a camera that
    the log does not have.
    """

    def __init__(self, reader: LogReader, part: Part, controls: Controls | None = None) -> None:
        self._reader, self._part, self._controls = reader, part, controls
        if part.end_s is not None and part.end_s <= part.start_s:
            raise LogError(
                f"{reader.path}: the part from {part.start_s:g} s ends at {part.end_s:g} s;"
                " let it end later"
            )
        rig = reader.rig
        chosen = rig.names if part.cameras is None else part.cameras
        self.rig = rig if part.cameras is None else Rig(rig.name, tuple(rig[n] for n in chosen))
        self._instant = default_tolerance_ns(self.rig)
        reader.images()  # there are some, or it raises now
        first = next(reader.messages(reader.image_topics), None)
        zero_ns = first.stamp_ns if first else 0
        self._start_ns = zero_ns + round(part.start_s * 1e9)
        self._end_ns = None if part.end_s is None else zero_ns + round(part.end_s * 1e9)
        self._stretches: deque[tuple[int, int]] = deque()  # played from, played less log time
        self._latest_ns: int | None = None  # what the last of them is less log time
        self._shift_ns = 0
        self._poses: EgoPoses | None = None

    def images(self) -> Iterator[EncodedImage]:
        """The images in order of time, until the part is through as often as asked, or the
        controls end it. Controls are minded between two instants, so that none is torn."""
        played_ns: int | None = None
        position_ns = self._start_ns
        rounds, found = 0, False
        while self._part.times == 0 or rounds < self._part.times:
            jumped = False
            shift_ns: int | None = None if played_ns is not None else 0
            instant_ns: int | None = None
            for image in self._reader.images(position_ns, self._end_ns):
                found = found or image.camera in self.rig.names
                within = instant_ns is not None and image.stamp_ns - instant_ns <= self._instant
                instant_ns = instant_ns if within else image.stamp_ns
                controls = None if within else self._controls
                if controls and controls.ended:
                    return
                if controls and (seconds := controls.take_seek()):
                    position_ns = max(self._start_ns, image.stamp_ns + round(seconds * 1e9))
                    jumped = True
                    break
                if image.camera not in self.rig.names:
                    continue
                if shift_ns is None:  # the first one after a jump
                    assert played_ns is not None
                    shift_ns = played_ns + self._period_ns - image.stamp_ns
                stamp_ns = image.stamp_ns + shift_ns
                if self._latest_ns != shift_ns:
                    self._latest_ns = shift_ns
                    self._stretches.append((stamp_ns, shift_ns))
                played_ns = max(stamp_ns, played_ns or 0)
                yield replace(image, stamp_ns=stamp_ns) if shift_ns else image
            if not found:
                raise LogError(
                    f"{self._reader.path}: no image of {', '.join(self.rig.names)} in this part; "
                    "choose another --start, --end or --cameras"
                )
            if not jumped:
                rounds += 1
                position_ns = self._start_ns

    def world_from_ego(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """Where the vehicle was at a time that has been played, as EgoPoses.at says it."""
        while self._stretches and self._stretches[0][0] <= stamp_ns:
            begins_ns, self._shift_ns = self._stretches.popleft()
            self._poses = EgoPoses(self._reader, begins_ns - self._shift_ns)
        return self._poses.at(stamp_ns - self._shift_ns) if self._poses else None

    @property
    def _period_ns(self) -> int:
        return round(1e9 / max(camera.rate_hz for camera in self.rig))
