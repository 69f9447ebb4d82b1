"""Track: the same thing keeps its id from tick to tick and from camera to camera.

One Kalman filter of constant velocity for each thing (Kalman 1960). Camera by camera, what is seen
is matched one to one with the tracks; what belongs to none begins one. Over the ground where the
log tells how the vehicle moves, else relative to the vehicle. Nothing here depends on the machine's
time: equal logs give equal tracks.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deploy.loop.associate import (
    MAX_OVERLAP_M,
    SIDES_M,
    associate,
    inverse,
    match,
    merged,
    overlap,
)
from deploy.loop.ego_map import MapObject, Motion
from deploy.loop.locate import Sighting, map_object

# A thing not seen for so long is forgotten; a longer gap in time forgets everything.
FORGET_NS = 1_000_000_000
# Accelerations that change its velocity, m/s^2 (large, for the cameras' errors drift too), and
# speeds to expect of a new one, m/s.
ACCELERATION = {"vehicle": 4.0, "cyclist": 1.5, "pedestrian": 1.0}
SPEED = {"vehicle": 8.0, "cyclist": 5.0, "pedestrian": 1.5}
OWN_SPEED = 12.0  # of the vehicle itself, where the log does not tell
# A thing seen so often is matched before those that are new, for many of them are false, and it is
# reported whatever its score. One that is new is reported from this score on: of the new ones
# below it, two thirds stood for nothing.
PROVEN = 3
SURE = 0.45


@dataclass
class _Track:
    """`state`: x, y, vx, vy in metres and m/s, `covariance` (4, 4) of it; `thing` as last seen.
    `id`: 0 until it is reported."""

    thing: Sighting
    state: NDArray[np.float64]
    covariance: NDArray[np.float64]
    first_ns: int
    last_ns: int
    best_score: float
    times: int = 1  # seen
    id: int = 0

    def now(self) -> Sighting:
        """The thing where it should be now."""
        return replace(self.thing, position=self.state[:2], covariance=self.covariance[:2, :2])


class Tracker:
    """Follows the things of one log."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0
        self._now_ns = 0
        self._over_ground = False

    def update(
        self,
        cameras: Iterable[list[Sighting]],
        stamp_ns: int,
        world_from_ego: NDArray[np.float64] | None = None,
    ) -> tuple[MapObject, ...]:
        """What the cameras saw at `stamp_ns`, each thing once, with its track and at its filtered
        place, nearest first. `world_from_ego` (4, 4), where known, in any frame that stays the
        same."""
        over_ground = world_from_ego is not None
        elapsed = stamp_ns - self._now_ns
        if over_ground != self._over_ground or not 0 <= elapsed <= FORGET_NS:
            self._tracks.clear()
        self._now_ns, self._over_ground = stamp_ns, over_ground
        pose = np.eye(4) if world_from_ego is None else world_from_ego
        turn, origin = pose[:2, :2], pose[:2, 3]

        self._predict(elapsed / 1e9)
        self._tracks = [t for t in self._tracks if stamp_ns - t.last_ns <= FORGET_NS]
        others = self._follow([[_placed(s, turn, origin) for s in seen] for seen in cameras])
        self._tracks += [self._new(thing) for thing in associate(others)]
        self._join()
        objects = []
        for track in self._tracks:
            if track.last_ns < stamp_ns or not self._is_reported(track):
                continue
            velocity = turn.T @ track.state[2:]
            motion = Motion(
                track.id,
                (float(velocity[0]), float(velocity[1])),
                over_ground,
                (stamp_ns - track.first_ns) / 1e9,
            )
            here = replace(
                track.thing,
                position=turn.T @ (track.state[:2] - origin),
                covariance=turn.T @ track.thing.covariance @ turn,
            )
            objects.append(map_object(here, motion))
        return tuple(sorted(objects, key=lambda thing: math.hypot(thing.x, thing.y)))

    def _follow(self, cameras: list[list[Sighting]]) -> list[list[Sighting]]:
        """Take what is seen of the tracks into them, the proven ones first. Returns by camera what
        is seen of none."""
        seen_as: dict[int, Sighting] = {}
        others = []
        expected = [track.now() for track in self._tracks]
        proven = [i for i, track in enumerate(self._tracks) if track.times >= PROVEN]
        young = [i for i, track in enumerate(self._tracks) if track.times < PROVEN]
        for seen in cameras:
            for tracks in (proven, young):
                pairs = match([expected[i] for i in tracks], seen)
                for here, there in pairs.items():
                    i, thing = tracks[here], seen[there]
                    seen_as[i] = merged(seen_as[i], thing) if i in seen_as else thing
                seen = [s for j, s in enumerate(seen) if j not in pairs.values()]
            others.append(seen)
        for i, thing in seen_as.items():
            _correct(self._tracks[i], thing, self._now_ns)
        return others

    def _join(self) -> None:
        """Two tracks of one vehicle, of which one at least is seen, become the older one."""
        places = np.array([t.state[:2] for t in self._tracks]).reshape(-1, 2)
        apart = np.linalg.norm(places[:, None] - places, axis=-1)
        kept: list[int] = []
        for i, track in enumerate(self._tracks):  # in order of age
            near = [self._tracks[k] for k in kept if apart[i, k] <= MAX_OVERLAP_M]
            older = next((other for other in near if self._is_one(other, track)), None)
            if older is None:
                kept.append(i)
                continue
            if older.last_ns < track.last_ns:
                older.thing, older.last_ns = track.thing, track.last_ns
                older.state, older.covariance = track.state, track.covariance
            older.times = max(older.times, track.times)
            older.best_score = max(older.best_score, track.best_score)
            older.id = older.id or track.id
        self._tracks = [self._tracks[i] for i in kept]

    def _is_one(self, a: _Track, b: _Track) -> bool:
        return (
            a.thing.label == b.thing.label == "vehicle"
            and self._now_ns in (a.last_ns, b.last_ns)
            and overlap(a.now(), b.now())
        )

    def _is_reported(self, track: _Track) -> bool:
        if not track.id and (track.best_score >= SURE or track.times >= PROVEN):
            self._count += 1
            track.id = self._count
        return track.id > 0

    def _new(self, thing: Sighting) -> _Track:
        speed = SPEED.get(thing.label, 8.0)
        if not self._over_ground:
            speed = float(np.hypot(speed, OWN_SPEED))
        covariance = np.zeros((4, 4))
        covariance[:2, :2] = thing.covariance
        covariance[2:, 2:] = speed**2 * np.eye(2)
        state = np.array([*thing.position, 0.0, 0.0])
        return _Track(thing, state, covariance, self._now_ns, self._now_ns, thing.score)

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


def _placed(thing: Sighting, turn: NDArray[np.float64], origin: NDArray[np.float64]) -> Sighting:
    """The sighting in the frame of the tracks."""
    # As cameras hand a thing over, other sides of it come into view.
    sides = SIDES_M.get(thing.label, 0.5) ** 2 * np.eye(2)
    covariance = turn @ thing.covariance @ turn.T + sides
    return replace(thing, position=turn @ thing.position + origin, covariance=covariance)


def _correct(track: _Track, thing: Sighting, stamp_ns: int) -> None:
    """Take the new sighting into the track."""
    spread = track.covariance[:2, :2] + thing.covariance
    gain = track.covariance[:, :2] @ inverse(spread)
    track.state = track.state + gain @ (thing.position - track.state[:2])
    covariance = track.covariance - gain @ track.covariance[:2]
    track.covariance = (covariance + covariance.T) / 2
    track.thing, track.last_ns = thing, stamp_ns
    track.best_score = max(track.best_score, thing.score)
    track.times += 1
