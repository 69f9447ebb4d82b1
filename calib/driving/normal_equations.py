"""Robust least squares over all pairs of a drive: a few numbers of the camera, four of each pair.

Gauss-Newton with Levenberg's damping and Geman's and McClure's loss, which has outliers count for
nothing. What belongs to one pair is eliminated from the normal equations (the Schur complement, as
in Triggs et al. 2000, "Bundle adjustment: a modern synthesis"), so that four unknowns stay however
long the drive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from calib.driving.observations import Indices, Observations, State
from calib.driving.residuals import epipolar, ground

Array = NDArray[np.float64]
_ITERATIONS = 30
_CONVERGED = 3e-6
"""Radians, and parts of the height."""


@dataclass(frozen=True)
class Priors:
    """Standard deviations: of a pair's measured turn in radians and of its travel in parts; and
    whether the height is looked for (it is not where the travel isn't known)."""

    turn: float
    pace: float
    height_free: bool


_Residuals = Callable[[Observations, State], tuple[Array, Array, Array]]
_Kind = tuple[_Residuals, Observations, float]


@dataclass(frozen=True)
class Solution:
    """`information` (4, 4) of rotation and log height after elimination of the pairs; `scores`
    (K, 4): each pair's part of the gradient; `pair_spread`: standard deviation of the pairs' turns
    about what was measured, radians."""

    state: State
    information: Array
    scores: Array
    pair_spread: float


def solve(
    points: Observations,
    on_road: Observations,
    start: State,
    priors: Priors,
    scale: float,
    road_scale: float = 1.0,
    given: Array | None = None,
) -> Solution:
    """Fit the state to what all `points` and the points `on_road` show.

    `scale`, `road_scale`: what good residuals of both kinds usually are, pixels. `given`: rotation
    (3, 3) near which the camera stays where points don't show otherwise.
    """
    state, damping = start, 1e-3
    kinds = ((epipolar, points, scale), (ground, on_road, road_scale))
    system = _System(kinds, state, priors, given)
    for _ in range(_ITERATIONS):
        step, moves = system.step(damping)
        there = moved(state, step, moves)
        tried = _System(kinds, there, priors, given)
        if tried.cost < system.cost:
            state, system, damping = there, tried, damping * 0.1
        else:
            damping *= 10
        if np.abs(step).max() < _CONVERGED or damping > 1e6:
            break
    return system.solution()


def moved(state: State, step: Array, moves: Array) -> State:
    return State(
        Rotation.from_rotvec(step[:3]).as_matrix() @ state.rotation,
        state.height * float(np.exp(np.clip(step[3], -0.3, 0.3))),
        Rotation.from_rotvec(moves[:, :3]).as_matrix() @ state.turns,
        state.pace + np.clip(moves[:, 3], -0.5, 0.5),
    )


class _System:
    """Normal equations at one state."""

    def __init__(
        self, kinds: Sequence[_Kind], state: State, priors: Priors, given: Array | None
    ) -> None:
        self.state = state
        points = kinds[0][1]
        count = points.pairs
        self.a = np.zeros((4, 4))
        self.gradient = np.zeros((count, 4))  # by the camera, of each pair
        self.held = np.zeros(4)
        self.b = np.zeros((count, 4, 4))
        self.c = np.zeros((count, 4, 4))
        self.d = np.zeros((count, 4))
        self.cost = 0.0
        for residuals, some, scale in kinds:
            if len(some.pair):
                self._add(some.pair, scale, *residuals(some, state))
        # What was measured of the pairs' own motion.
        off = Rotation.from_matrix(state.turns @ points.turns.transpose(0, 2, 1)).as_rotvec()
        self.off = off
        weights = np.array([1 / priors.turn**2] * 3 + [1 / priors.pace**2])
        deviation = np.concatenate([off, state.pace[:, None]], axis=1)
        self.c += np.diag(weights)
        self.d += weights * deviation
        self.cost += float((weights * deviation**2).sum()) / 2
        if given is not None:
            turn = Rotation.from_matrix(state.rotation @ given.T).as_rotvec()
            self.a[:3, :3] += np.eye(3) / _HELD**2
            self.held[:3] = turn / _HELD**2
            self.cost += float((turn**2).sum()) / _HELD**2 / 2
        if not priors.height_free:
            self.a[3, :] = self.a[:, 3] = 0
            self.a[3, 3] = 1
            self.b[:, 3, :] = 0
            self.gradient[:, 3] = 0

    def _add(
        self, pair: Indices, scale: float, values: Array, by_camera: Array, by_pair: Array
    ) -> None:
        good = np.isfinite(values)
        values = np.where(good, values, 1e3) / scale
        by_camera = np.where(good[:, None], by_camera, 0) / scale
        by_pair = np.where(good[:, None], by_pair, 0) / scale
        square = (values / _OUTLYING) ** 2
        self.cost += float(_OUTLYING**2 / 2 * (square / (1 + square)).sum())
        weight = (1 / (1 + square) ** 2)[:, None]
        both = np.concatenate([by_camera, by_pair, values[:, None]], axis=1)
        weighted = weight * both
        ends = np.searchsorted(pair, np.arange(len(self.d) + 1))
        sums = np.array([weighted[i:j].T @ both[i:j] for i, j in pairwise(ends.tolist())])
        slopes = sums[:, :8, 8]
        self.a += sums[:, :4, :4].sum(0)
        self.b += sums[:, :4, 4:8]
        self.c += sums[:, 4:8, 4:8]
        self.gradient += slopes[:, :4]
        self.d += slopes[:, 4:]

    def step(self, damping: float) -> tuple[Array, Array]:
        """Moves of the camera (4,) and of each pair (K, 4)."""
        scaled = np.einsum("kii->ki", self.c)
        c = self.c + damping * scaled[:, :, None] * np.eye(4)
        solved = np.linalg.solve(c, self.b.transpose(0, 2, 1))  # (K, 4, 4): C^-1 B'
        offset = np.linalg.solve(c, self.d[:, :, None])[:, :, 0]
        diagonal = np.diagonal(self.a)
        left = self.a + damping * np.diag(diagonal + _FLAT * diagonal.max())
        left = left - (self.b @ solved).sum(0)
        right = -self.gradient.sum(0) - self.held + np.einsum("kij,kj->i", self.b, offset)
        move = np.linalg.solve(left, right)
        move *= min(1.0, _LONGEST / max(float(np.abs(move).max()), 1e-12))
        return move, -offset - solved @ move

    def solution(self) -> Solution:
        inverse = np.linalg.inv(self.c)
        inner = self.b @ inverse
        information = self.a - (inner @ self.b.transpose(0, 2, 1)).sum(0)
        scores = self.gradient - np.einsum("kij,kj->ki", inner, self.d)
        variance = np.einsum("kii->ki", inverse)[:, :3]
        spread = float(np.sqrt((self.off**2 + variance).mean()))
        return Solution(self.state, information, scores, spread)


_OUTLYING = 3.6
"""Standard deviations around which a point's weight fades away."""
_FLAT = 1e-2
"""Share of the best seen unknown's damping that all get: one may not be seen at all."""
_HELD = np.radians(3)
"""How far from its given rotation a camera usually is."""
_LONGEST = 0.1
"""Radians, or parts of the height, of one step at most."""
