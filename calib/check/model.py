"""Pinhole or fisheye: which of the two a camera's coefficients belong to, where matches tell only
by their finer errors, as with a long lens, or where a turn hides part of the difference."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from calib.camera import Camera
from calib.check.alternatives import Alternative, agreement, model_fault, other_model
from calib.check.evidence import Evidence

Array = NDArray[np.float64]
_FINE = np.radians(0.05)
_PRIOR = np.radians(2.0)
_LIKELIER, _LIKELIER_EACH = 30.0, 0.03
"""Log likelihood ratio, in all and a match, from which on the other model is the right one."""


def other_model_fits(
    evidence: Evidence, given: Sequence[Camera], turned: Sequence[Camera], moves: Array
) -> Alternative | None:
    """The camera that the other model suits best, if it suits one clearly better than the model
    given: by the ratio of Cauchy likelihoods, both cameras turned as they fit best."""
    best, found = 0.0, None
    for i, camera in enumerate(given):
        lens = other_model(camera.lens)
        rows = evidence.of(i)
        now = evidence.rays(turned, rows).errors(_poses(turned), moves)
        then = _at_best(evidence, turned, moves, i, replace(camera, lens=lens))
        near = (agreement(now) > 0) | (agreement(then) > 0)
        ratio = float((_surprise(now[near]) - _surprise(then[near])).sum())
        if ratio > max(best, _LIKELIER, _LIKELIER_EACH * near.sum()):
            gained = float((agreement(then) - agreement(now)).sum())
            best = ratio
            found = Alternative(model_fault(lens), {i: replace(camera, lens=lens)}, gained)
    return found


def _poses(cameras: Sequence[Camera]) -> Array:
    return np.array([camera.ego_from_camera for camera in cameras])


def _surprise(errors: Array) -> Array:
    square = np.nan_to_num((errors[:, :3] ** 2).sum(axis=1), nan=1.0)
    return np.asarray(np.log1p(square / _FINE**2), np.float64)


def _at_best(
    evidence: Evidence, cameras: Sequence[Camera], moves: Array, i: int, camera: Camera
) -> Array:
    """Errors of camera `i`'s matches when it is `camera`, turned so that they are least."""
    changed = [camera if j == i else other for j, other in enumerate(cameras)]
    rays, poses = evidence.rays(changed, evidence.of(i)), _poses(changed)

    def errors(turn: Array) -> Array:
        moved = poses.copy()
        moved[i, :3, :3] = cv2.Rodrigues(turn)[0] @ poses[i, :3, :3]
        return rays.errors(moved, moves)

    def residuals(turn: Array) -> Array:
        values = np.nan_to_num(errors(turn)[:, :3], nan=1.0) / rays.sigma[:, None]
        return np.concatenate([values.ravel(), turn / _PRIOR])

    found = least_squares(residuals, np.zeros(3), loss="cauchy", x_scale=1e-3, max_nfev=30)
    return errors(found.x)
