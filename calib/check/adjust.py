"""How each camera would have to be turned for the pictures to agree, and how surely.

All cameras and all motions at once: a small bundle adjustment of rotations, without points, by
reweighted least squares with Cauchy's loss, because some matches are wrong and some points move.
Positions are taken as given: a few centimetres hardly show.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.check.evidence import Evidence, Motion, Rays

Array = NDArray[np.float64]
Rows = NDArray[np.int64] | slice
_PRIOR = np.radians(2.0)
"""By how much a camera may be turned without surprise: what no picture shows stays as it is."""
_TURN_KNOWN, _TURN_OPEN = np.radians(0.1), np.radians(5.0)
"""By how much the vehicle's turn between two instants is off, with and without the log's pose."""
_SPEED = 10.0
"""m/s, where the log does not tell."""
_SEVERAL = 3
_ITERATIONS = 20
_STEP = 1e-6


@dataclass(frozen=True)
class Adjustment:
    """`turns` (cameras, 3): rotation vectors in the ego frame, radians, by which each camera must
    be turned; `covariances` (cameras, 3, 3) of them; `moves` (motions + 1, 4, 4), the last
    the identity."""

    turns: Array
    covariances: Array
    moves: Array


def moves_of(motions: Sequence[Motion], turns: Array) -> Array:
    """(motions + 1, 4, 4) after_from_before, the last the identity. `turns` (motions, 3) are
    rotation vectors on top of the log's pose, or of straight on where it has none."""
    moves = np.tile(np.eye(4), (len(motions) + 1, 1, 1))
    for move, motion, turn in zip(moves, motions, turns, strict=False):
        if motion.after_from_before is not None:
            move[:] = motion.after_from_before
            move[:3, :3] = cv2.Rodrigues(turn)[0] @ move[:3, :3]
        else:  # along an arc, half of the turn before and half after
            half = cv2.Rodrigues(turn / 2)[0]
            move[:3, :3] = half @ half
            move[:3, 3] = half @ [-_SPEED * motion.seconds, 0, 0]
    return moves


def adjust(evidence: Evidence, cameras: Sequence[Camera], fixed: bool = False) -> Adjustment:
    """`cameras` in the order of `evidence.names`. With `fixed` the motions alone are found."""
    rays = evidence.rays(cameras)
    poses = np.array([camera.ego_from_camera for camera in cameras])
    n, motions = len(cameras), evidence.motions
    spread = [_TURN_OPEN if m.after_from_before is None else _TURN_KNOWN for m in motions]
    prior = np.repeat([*[1e-9 if fixed else _PRIOR] * n, *spread], 3)

    def errors(x: Array, rows: Rows = slice(None)) -> Array:
        turns = x.reshape(-1, 3)
        moved = poses.copy()
        moved[:, :3, :3] = np.array([cv2.Rodrigues(t)[0] for t in turns[:n]]) @ poses[:, :3, :3]
        some = rays.taken(rows)
        return some.errors(moved, moves_of(motions, turns[n:])) / some.sigma[:, None]

    x: Array = np.zeros(len(prior))
    damping = 1e-3
    value: Array = errors(x)
    cost = _cost(value, x / prior)
    normal: Array = np.eye(len(x))
    for _ in range(_ITERATIONS):
        weight = 1 / (1 + (value**2).sum(axis=1))
        normal, gradient = np.diag(prior**-2), x / prior**2
        slopes = np.zeros((*value.shape, len(x)))
        for column in range(3 * n if fixed else 0, len(x)):
            rows = _touched(rays, column // 3, n)
            step = np.zeros(len(x))
            step[column] = _STEP
            slopes[rows, :, column] = (errors(x + step, rows) - value[rows]) / _STEP
        flat = slopes.reshape(-1, len(x))
        weighted = np.repeat(weight, value.shape[1])[:, None] * flat
        normal = normal + weighted.T @ flat
        gradient = gradient + weighted.T @ value.ravel()
        better = False
        while not better and damping < 1e6:
            step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)), gradient)
            moved = errors(x + step)
            new = _cost(moved, (x + step) / prior)
            better = new < cost
            damping *= 0.2 if better else 10
        if not better:
            break
        gain, cost = cost - new, new
        x, value = x + step, moved
        if gain < 1e-5 * cost:
            break
    moves = moves_of(motions, x.reshape(-1, 3)[n:])
    inverse = _among_cameras(np.asarray(np.linalg.inv(normal), np.float64), n)
    blocks = np.array([inverse[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] for i in range(n)])
    turns = x.reshape(-1, 3)[:n].copy()
    if n >= _SEVERAL:  # what all share is no mistake of one: see _among_cameras
        turns[:, 0] -= np.median(turns[:, 0])
    return Adjustment(turns, blocks, moves)


def _among_cameras(covariance: Array, n: int) -> Array:
    """Without what all cameras share: a turn of the whole rig about the way it drives does not
    show in any match, and is no mistake of one camera. One or two cameras have no others to go
    by."""
    if n < _SEVERAL:
        return covariance
    common = np.zeros(len(covariance))
    common[: 3 * n : 3] = 1 / np.sqrt(n)
    keep = np.eye(len(covariance)) - np.outer(common, common)
    return keep @ covariance @ keep


def _touched(rays: Rays, number: int, cameras: int) -> NDArray[np.int64]:
    """Rows that depend on camera `number`, or beyond the cameras on a motion."""
    if number >= cameras:
        return np.flatnonzero(rays.motion == number - cameras)
    return np.flatnonzero((rays.a == number) | (rays.b == number))


def _cost(value: Array, priors: Array) -> float:
    return float(np.log1p((value**2).sum(axis=1)).sum() + (priors**2).sum())
