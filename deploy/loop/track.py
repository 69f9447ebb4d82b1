"""Track: the same thing keeps its id from tick to tick and from camera to camera.

One Kalman filter of constant velocity for each thing (Kalman 1960), matched one to one with what
is seen, by distance in sigmas. Over the ground where the log tells how the vehicle moves, else
relative to the vehicle. Nothing here depends on the machine's time: equal logs give equal tracks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deploy.loop.associate import SIDES_M, inverse, match
from deploy.loop.ego_map import MapObject, Motion
from deploy.loop.locate import Sighting, map_object

# A thing not seen for so long is forgotten; a longer gap in time forgets everything.
FORGET_NS = 1_000_000_000
# Accelerations that change its velocity, m/s^2 (large, for the cameras' errors drift too), and
# speeds to expect of a new one, m/s.
ACCELERATION = {"vehicle": 4.0, "cyclist": 1.5, "pedestrian": 1.0}
SPEED = {"vehicle": 8.0, "cyclist": 5.0, "pedestrian": 1.5}
OWN_SPEED = 12.0  # of the vehicle itself, where the log does not tell
# A thing seen so often is matched before those that are new: many of them are false.
PROVEN = 3


@dataclass
class _Track:
    """`state`: x, y, vx, vy in metres and m/s, `covariance` (4, 4) of it; `thing` as last seen."""

    id: int
    thing: Sighting
    state: NDArray[np.float64]
    covariance: NDArray[np.float64]
    first_ns: int
    last_ns: int
    times: int = 1  # seen


class Tracker:
    """Follows the things of one log."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0
        self._now_ns = 0
        self._over_ground = False

    def update(
        self,
        seen: Sequence[Sighting],
        stamp_ns: int,
        world_from_ego: NDArray[np.float64] | None = None,
    ) -> tuple[MapObject, ...]:
        """What was seen at `stamp_ns`, in its order, each with its track and at its filtered
        place. `world_from_ego` (4, 4), where known, in any frame that stays the same."""
        over_ground = world_from_ego is not None
        elapsed = stamp_ns - self._now_ns
        if over_ground != self._over_ground or not 0 <= elapsed <= FORGET_NS:
            self._tracks.clear()
        self._now_ns, self._over_ground = stamp_ns, over_ground
        pose = np.eye(4) if world_from_ego is None else world_from_ego
        turn, origin = pose[:2, :2], pose[:2, 3]

        self._predict(elapsed / 1e9)
        self._tracks = [t for t in self._tracks if stamp_ns - t.last_ns <= FORGET_NS]
        placed = [
            replace(
                s,
                position=turn @ s.position + origin,
                # As cameras hand a thing over, other sides of it come into view.
                covariance=turn @ s.covariance @ turn.T
                + SIDES_M.get(s.label, 0.5) ** 2 * np.eye(2),
            )
            for s in seen
        ]
        partner = self._partners(placed)
        objects = []
        for index, (here, there) in enumerate(zip(seen, placed, strict=True)):
            if index in partner:
                track = partner[index]
                _correct(track, there)
                track.last_ns = stamp_ns
            else:
                track = self._new(there, stamp_ns)
            position = turn.T @ (track.state[:2] - origin)
            velocity = turn.T @ track.state[2:]
            motion = Motion(
                track.id,
                (float(velocity[0]), float(velocity[1])),
                over_ground,
                (stamp_ns - track.first_ns) / 1e9,
            )
            objects.append(map_object(replace(here, position=position), motion))
        return tuple(objects)

    def _partners(self, seen: list[Sighting]) -> dict[int, _Track]:
        """Track by index into `seen`: the proven ones choose first."""
        partner: dict[int, _Track] = {}
        for proven in (True, False):
            tracks = [t for t in self._tracks if (t.times >= PROVEN) == proven]
            known = [
                replace(t.thing, position=t.state[:2], covariance=t.covariance[:2, :2])
                for t in tracks
            ]
            free = [index for index in range(len(seen)) if index not in partner]
            for here, there in match(known, [seen[index] for index in free]).items():
                partner[free[there]] = tracks[here]
        return partner

    def _new(self, thing: Sighting, stamp_ns: int) -> _Track:
        self._count += 1
        speed = SPEED.get(thing.label, 8.0)
        if not self._over_ground:
            speed = float(np.hypot(speed, OWN_SPEED))
        covariance = np.zeros((4, 4))
        covariance[:2, :2] = thing.covariance
        covariance[2:, 2:] = speed**2 * np.eye(2)
        state = np.array([*thing.position, 0.0, 0.0])
        track = _Track(self._count, thing, state, covariance, stamp_ns, stamp_ns)
        self._tracks.append(track)
        return track

    def _predict(self, seconds: float) -> None:
        """All tracks `seconds` on."""
        step = np.eye(4)
        step[:2, 2:] = seconds * np.eye(2)
        jolt = np.concatenate([0.5 * seconds**2 * np.eye(2), seconds * np.eye(2)])
        noise = jolt @ jolt.T
        if not self._tracks:
            return
        states = np.array([t.state for t in self._tracks]) @ step.T
        jolts = np.array([ACCELERATION.get(t.thing.label, 2.0) ** 2 for t in self._tracks])
        covariances = step @ np.array([t.covariance for t in self._tracks]) @ step.T
        covariances += jolts[:, None, None] * noise
        for track, state, covariance in zip(self._tracks, states, covariances, strict=True):
            track.state, track.covariance = state, covariance


def _correct(track: _Track, thing: Sighting) -> None:
    """Take the new sighting into the track."""
    spread = track.covariance[:2, :2] + thing.covariance
    gain = track.covariance[:, :2] @ inverse(spread)
    track.state = track.state + gain @ (thing.position - track.state[:2])
    covariance = track.covariance - gain @ track.covariance[:2]
    track.covariance = (covariance + covariance.T) / 2
    track.thing = thing
    track.times += 1
