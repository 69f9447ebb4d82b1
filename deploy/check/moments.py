"""Moments of a log at which a rig is checked: all cameras at one instant, and again a little
later."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.pose import invert
from calib.rig import Rig
from deploy.errors import LogError
from deploy.log.ego_pose import EgoPoses
from deploy.log.reader import LogReader
from deploy.loop.frames import EncodedSet
from deploy.loop.join import join_frames

_GAP_NS = 90_000_000
"""At least so long the vehicle moves between the two instants of a moment."""


@dataclass(frozen=True)
class Moment:
    """`later` comes after `now`; `later_from_now` (4, 4) in ego coordinates, None where the log
    does not tell how the vehicle moved."""

    now: EncodedSet
    later: EncodedSet | None
    later_from_now: NDArray[np.float64] | None

    @property
    def seconds(self) -> float:
        """From now to later."""
        return (self.later.stamp_ns - self.now.stamp_ns) / 1e9 if self.later else 0.0


def find_moments(reader: LogReader, rig: Rig, count: int, seconds: float) -> list[Moment]:
    """`count` moments, or as many as there are, spread evenly over the first `seconds`.

    Raises:
        LogError: the log has no image of any camera of `rig`, or is damaged.
    """
    stamps = [frames.stamp_ns for frames in _sets(reader, rig, None, seconds)]
    if not stamps:
        raise LogError(
            f"{reader.path}: has no image of {', '.join(rig.names)}; "
            "give the rig whose cameras are in the log"
        )
    last = max(0, int(np.searchsorted(stamps, stamps[-1] - _GAP_NS, side="right")) - 1)
    starts = np.unique(np.linspace(0, last, count).round().astype(int))
    ends = np.searchsorted(stamps, np.array(stamps)[starts] + _GAP_NS)
    wanted = {int(i) for i in (*starts, *ends) if i < len(stamps)}
    poses = EgoPoses(reader)
    kept: dict[int, EncodedSet] = {}
    ego: dict[int, NDArray[np.float64] | None] = {}
    for i, frames in enumerate(_sets(reader, rig, wanted, seconds)):
        if i in wanted:
            kept[i], ego[i] = frames, poses.at(frames.stamp_ns)
    return [_moment(kept, ego, int(i), int(j)) for i, j in zip(starts, ends, strict=True)]


def _sets(
    reader: LogReader, rig: Rig, wanted: set[int] | None, seconds: float
) -> Iterator[EncodedSet]:
    """Of the first `seconds`, no further than the last one wanted."""
    first: int | None = None
    for i, frames in enumerate(join_frames(reader.images(), rig)):
        first = frames.stamp_ns if first is None else first
        if frames.stamp_ns > first + seconds * 1e9 or (wanted is not None and i > max(wanted)):
            return
        yield frames


def _moment(
    sets: dict[int, EncodedSet], ego: dict[int, NDArray[np.float64] | None], now: int, later: int
) -> Moment:
    if later not in sets:
        return Moment(sets[now], None, None)
    before, after = ego[now], ego[later]
    moved = None if before is None or after is None else invert(after) @ before
    return Moment(sets[now], sets[later], moved)
