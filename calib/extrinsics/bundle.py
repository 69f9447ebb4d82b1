"""Bundle adjustment: all cameras and all boards at once, to all corners and the tape.

Triggs et al. 2000, "Bundle adjustment: a modern synthesis": Huber's loss, a sparse Jacobian in
closed form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu

from calib.errors import BoardError
from calib.extrinsics.initial import Poses
from calib.extrinsics.sightings import Sighting
from calib.extrinsics.targets import Target
from calib.intrinsics.fit import Model
from calib.lens import Lens
from calib.pose import invert

Array = NDArray[np.float64]
CORNER = 0.2
"""Pixels by which a found corner is usually off: how corners weigh against the tape."""
_HUBER = 3.0
"""Standard deviations from which a residual counts linearly."""
_ITERATIONS = 50


@dataclass(frozen=True)
class Adjusted:
    """Poses; the residuals (N, 2) of each sighting in pixels and (3, 3) of each measured board in
    metres; and each camera's covariance (6, 6): rotation vector about the camera's own axes in
    radians, then position in the ego frame's in metres."""

    poses: Poses
    residuals: tuple[Array, ...]
    off_tape: dict[str, Array]
    covariances: dict[str, Array]


class Problem:
    """Residuals, in standard deviations, of small moves `x` from `start`.

    Six numbers a camera, then six a board. A camera's pose camera_from_ego and a board's
    ego_from_board both turn by a rotation vector first, then shift: R = exp(w) R0, t = t0 + v.
    """

    def __init__(
        self,
        lenses: Mapping[str, Lens],
        sightings: Sequence[Sighting],
        targets: Mapping[str, Target],
        start: Poses,
    ):
        self.sightings = sightings
        self.targets = {name: t for name, t in targets.items() if name in start.boards}
        self.cameras = list(start.cameras)
        self.boards = list(start.boards)
        self.start = [invert(p) for p in start.cameras.values()] + list(start.boards.values())
        self.index = {("camera", name): i for i, name in enumerate(self.cameras)}
        self.index |= {("board", n): i + len(self.cameras) for i, n in enumerate(self.boards)}
        self.models = {
            name: (
                Model(lens.model, len(lens.distortion)),
                np.array([lens.fx, lens.fy, lens.cx, lens.cy, *lens.distortion]),
            )
            for name, lens in lenses.items()
        }
        self.size = 6 * len(self.start)

    def moved(self, x: Array, index: int) -> tuple[Array, Array, Array]:
        """Rotation (3, 3), translation (3,) and the rotation's derivative (3, 3, 3) by w."""
        w, v = x[6 * index : 6 * index + 3], x[6 * index + 3 : 6 * index + 6]
        turn, by_w = cv2.Rodrigues(w)
        first = self.start[index]
        derivative = np.asarray(by_w, np.float64).reshape(3, 3, 3) @ first[:3, :3]
        return turn @ first[:3, :3], first[:3, 3] + v, derivative

    def residuals(self, x: Array) -> Array:
        """(R,): x and y of every corner, then the measured corners."""
        return self._both(x)[0]

    def jacobian(self, x: Array) -> csr_matrix:
        """(R, size), sparse: a corner depends on one camera and one board."""
        return self._both(x)[1]

    def _both(self, x: Array) -> tuple[Array, csr_matrix]:
        values: list[Array] = []
        blocks: list[tuple[int, int, Array]] = []  # first row, first column, block
        row = 0
        for s in self.sightings:
            c, b = self.index["camera", s.camera], self.index["board", s.instant]
            rc, tc, dc = self.moved(x, c)
            rb, tb, db = self.moved(x, b)
            ego = s.points @ rb.T + tb
            model, lens = self.models[s.camera]
            pixels, derivatives = model.project(lens, np.zeros(6), ego @ rc.T + tc)
            by_seen = derivatives[:, -3:].reshape(-1, 2, 3) / CORNER
            values.append((pixels - s.pixels).ravel() / CORNER)
            by_camera = np.concatenate(
                [by_seen @ np.einsum("jab,nb->naj", dc, ego), by_seen], axis=2
            )
            by_ego = by_seen @ rc
            by_board = np.concatenate(
                [by_ego @ np.einsum("jab,nb->naj", db, s.points), by_ego], axis=2
            )
            blocks.append((row, 6 * c, by_camera.reshape(-1, 6)))
            blocks.append((row, 6 * b, by_board.reshape(-1, 6)))
            row += 2 * len(s.points)
        for name, target in self.targets.items():
            b = self.index["board", name]
            rb, tb, db = self.moved(x, b)
            values.append(((target.points @ rb.T + tb - target.corners) / target.sigma).ravel())
            by_turn = np.einsum("jab,nb->naj", db, target.points)
            by_shift = np.broadcast_to(np.eye(3), by_turn.shape)
            block = np.concatenate([by_turn, by_shift], axis=2).reshape(-1, 6) / target.sigma
            blocks.append((row, 6 * b, block))
            row += 9
        rows = [np.repeat(np.arange(first, first + len(d)), 6) for first, _, d in blocks]
        columns = [np.tile(np.arange(first, first + 6), len(d)) for _, first, d in blocks]
        entries = np.concatenate([d.ravel() for _, _, d in blocks])
        where = (np.concatenate(rows), np.concatenate(columns))
        return np.concatenate(values), coo_matrix((entries, where), (row, self.size)).tocsr()


def adjust(
    lenses: Mapping[str, Lens],
    sightings: Sequence[Sighting],
    targets: Mapping[str, Target],
    start: Poses,
) -> Adjusted:
    """Every sighting's camera and board must be in `start`, and every pose of `start` in some
    sighting. Raises BoardError when they leave a pose open."""
    problem = Problem(lenses, sightings, targets, start)
    try:
        x = _solved(problem)
        covariances = _covariances(problem, x)
    except RuntimeError as error:  # the normal equations are singular
        raise BoardError(
            "the boards leave a pose open; show more of each board, tilted and from near"
        ) from error
    values = problem.residuals(x)
    poses = []
    for i in range(len(problem.start)):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3], _ = problem.moved(x, i)
        poses.append(pose)
    count = len(problem.cameras)
    found = Poses(
        {n: invert(p) for n, p in zip(problem.cameras, poses[:count], strict=True)},
        dict(zip(problem.boards, poses[count:], strict=True)),
    )
    ends = np.cumsum([2 * len(s.points) for s in sightings])
    per_sighting = np.split(values[: ends[-1]] * CORNER, ends[:-1])
    tape = values[ends[-1] :].reshape(-1, 3, 3)
    return Adjusted(
        found,
        tuple(r.reshape(-1, 2) for r in per_sighting),
        {n: r * t.sigma for (n, t), r in zip(problem.targets.items(), tape, strict=True)},
        covariances,
    )


def _solved(problem: Problem) -> Array:
    """Levenberg's and Marquardt's method on reweighted squares, the normal equations factorised:
    they are small and sparse. (scipy's trust region solves them by iteration and stops where the
    cameras are still off by tenths of a degree.)"""
    x, damping = np.zeros(problem.size), 1e-4
    values = problem.residuals(x)
    for _ in range(_ITERATIONS):
        weight = _weights(values) ** 2
        j = problem.jacobian(x)
        normal = (j.T @ j.multiply(weight[:, None])).tocsc()
        gradient = j.T @ (weight * values)
        cost, better = _cost(values), False
        while not better and damping < 1e8:
            step = splu((normal + diags(damping * normal.diagonal())).tocsc()).solve(-gradient)
            moved = problem.residuals(x + step)
            better = _cost(moved) < cost
            damping *= 0.1 if better else 10
        if not better:
            break
        x, values = x + step, moved
        if cost - _cost(values) < 1e-9 * cost:
            break
    return x


def _cost(values: Array) -> float:
    """Huber's."""
    size = np.abs(values)
    return float(np.where(size < _HUBER, size**2 / 2, _HUBER * (size - _HUBER / 2)).sum())


def _weights(values: Array) -> Array:
    """Their squares weigh the squares of `values` as Huber's loss does."""
    return np.sqrt(np.minimum(1, _HUBER / np.maximum(np.abs(values), 1e-12)))


def _covariances(problem: Problem, x: Array) -> dict[str, Array]:
    """From the normal equations; wider where the residuals are than was assumed of them, never
    narrower: corners of one picture share errors that do not average out."""
    values = problem.residuals(x)
    weight = _weights(values)
    j = problem.jacobian(x).multiply(weight[:, None]).tocsc()
    solve = splu((j.T @ j).tocsc())
    free = max(len(values) - problem.size, 1)
    scale = max(1.0, float(((weight * values) ** 2).sum()) / free)
    covariances = {}
    for i, name in enumerate(problem.cameras):
        unit = np.zeros((problem.size, 6))
        unit[6 * i : 6 * i + 6] = np.eye(6)
        covariance = solve.solve(unit)[6 * i : 6 * i + 6] * scale
        # From a move of camera_from_ego to one of the camera: position p = -R' t.
        rotation, t, _ = problem.moved(x, i)
        cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
        by_move = np.zeros((6, 6))
        by_move[:3, :3] = -np.eye(3)
        by_move[3:, :3] = -rotation.T @ cross
        by_move[3:, 3:] = -rotation.T
        covariances[name] = by_move @ covariance @ by_move.T
    return covariances
