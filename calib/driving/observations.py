"""Points that a driving camera followed, as rays, and what is assumed of camera and vehicle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.driving.flow import FlowPair
from calib.lens import Lens

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
_STILL = 0.5
"""Pixels: points that move less are dirt on the glass, the vehicle itself, or too far away."""
_ONWARD = np.array([1.0, 0.0, 0.0])


@dataclass(frozen=True)
class State:
    """`rotation` (3, 3): ego_from_camera; `height`: metres of the camera above the road.

    Of each pair: `turns` (K, 3, 3), ego0_from_ego1 as corrected, and `pace` (K,), the natural
    logarithm of how much further it went than `Observations.travel` says.
    """

    rotation: Array
    height: float
    turns: Array
    pace: Array


@dataclass(frozen=True)
class Observations:
    """All points of all pairs.

    `pair` (N,): which pair a point belongs to; `before`, `after` (N, 3): unit rays in the
    camera's frame; `sigma` (N,): radians of one pixel there. `turns` (K, 3, 3), `travel` (K, 3):
    ego0_from_ego1. `place` (3,): the camera's position in the ego frame, for its lever arm.
    """

    pair: Indices
    before: Array
    after: Array
    sigma: Array
    turns: Array
    travel: Array
    place: Array

    @property
    def pairs(self) -> int:
        return len(self.turns)

    def only(self, kept: NDArray[np.bool_]) -> "Observations":
        """The same pairs with fewer points."""
        return replace(
            self,
            pair=self.pair[kept],
            before=self.before[kept],
            after=self.after[kept],
            sigma=self.sigma[kept],
        )


@dataclass(frozen=True)
class Seen:
    """Rays (N, 3) of both frames in the axes of ego0, and where the camera went (N, 3)."""

    before: Array
    after: Array
    baseline: Array


def seen(points: Observations, state: State) -> Seen:
    turns = state.turns[points.pair]
    before = points.before @ state.rotation.T
    after = np.einsum("nij,nj->ni", turns, points.after @ state.rotation.T)
    lever = points.turns @ points.place - points.place
    baseline = lever + np.exp(state.pace)[:, None] * points.travel
    return Seen(before, after, baseline[points.pair])


def observe(camera: Camera, pairs: Sequence[FlowPair]) -> Observations:
    """Rays of all pairs. Without a measured motion a pair goes a metre straight on."""
    index: list[Indices] = []
    before: list[Array] = [np.empty((0, 2))]
    after: list[Array] = [np.empty((0, 2))]
    for number, pair in enumerate(pairs):
        moved = np.linalg.norm(pair.after - pair.before, axis=1) > _STILL
        index.append(np.full(int(moved.sum()), number, np.intp))
        before.append(pair.before[moved])
        after.append(pair.after[moved])
    pixels = np.concatenate(before)
    first, second = camera.lens.unproject(pixels), camera.lens.unproject(np.concatenate(after))
    sigma = _radians_per_pixel(camera.lens, pixels, first)
    motions = [np.eye(4) if p.ego_motion is None else p.ego_motion for p in pairs]
    stacked = np.array(motions).reshape(-1, 4, 4)
    travel = stacked[:, :3, 3].copy()
    travel[[p.ego_motion is None for p in pairs]] = _ONWARD
    points = Observations(
        np.concatenate([np.empty(0, np.intp), *index]),
        first,
        second,
        sigma,
        stacked[:, :3, :3],
        travel,
        camera.ego_from_camera[:3, 3],
    )
    return points.only(np.isfinite(first + second).all(1) & np.isfinite(sigma))


def _radians_per_pixel(lens: Lens, pixels: Array, rays: Array) -> Array:
    """(N,), the mean over both directions."""
    steps = [np.linalg.norm(lens.unproject(pixels + step) - rays, axis=1) for step in np.eye(2)]
    return np.sqrt(steps[0] * steps[1])
