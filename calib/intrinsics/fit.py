"""Fit one lens and the pose of every board to the corners that were found.

Zhang 2000, "A flexible new technique for camera calibration", by bundle adjustment: Levenberg's
and Marquardt's method on the reprojection error with Huber's loss, each board's pose eliminated
by its Schur complement (Triggs et al. 2000), so that time grows with the boards and not with
their cube.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.fisheye import KannalaBrandt
from calib.pinhole import BrownConrady

Array = NDArray[np.float64]
_HUBER = 1.0
"""Pixels from which a residual counts linearly."""
_ITERATIONS = 100


@dataclass(frozen=True)
class View:
    """One board in one image: `points` (N, 3) in metres on the board, `pixels` (N, 2)."""

    name: str
    points: Array
    pixels: Array


@dataclass(frozen=True)
class Model:
    """A kind of lens and how many of its distortion coefficients are fitted."""

    kind: Literal["pinhole", "fisheye"]
    coefficients: int

    def project(self, lens: Array, pose: Array, points: Array) -> tuple[Array, Array]:
        """Pixels (N, 2) and their derivatives (2N, parameters + 6) by lens, then pose.

        `lens`: fx fy cx cy and the coefficients. `pose`: rotation vector and translation of the
        board in the camera's frame.
        """
        if self.kind == "fisheye":
            return _project_fisheye(lens, pose, points)
        fx, fy, cx, cy, *distortion = lens
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        pixels, d = cv2.projectPoints(points, pose[:3], pose[3:], matrix, np.array(distortion))
        derivatives = np.asarray(d, np.float64)
        by_lens = derivatives[:, 6 : 10 + self.coefficients]
        both = np.hstack([by_lens, derivatives[:, :6]])
        return np.asarray(pixels, np.float64).reshape(-1, 2), both

    def start(self, focal: float, width: int, height: int) -> Array:
        """An undistorted lens of `focal` pixels."""
        centre = ((width - 1) / 2, (height - 1) / 2)
        return np.array([focal, focal, *centre, *[0.0] * self.coefficients])

    def pose(self, lens: Array, view: View) -> Array:
        """Pose (6,) of a board from its corners alone: Collins & Bartoli 2014 on the plane that
        faces the board, so that it may stand beside the camera too."""
        distort = KannalaBrandt if self.kind == "fisheye" else BrownConrady
        rays = distort(tuple(lens[4:])).unproject((view.pixels - lens[2:4]) / lens[:2])
        seen = np.isfinite(rays).all(axis=1)
        if seen.sum() >= 4:
            towards = _towards(rays[seen].mean(axis=0))
            facing = rays[seen] @ towards.T
            if (facing[:, 2] > 0.1).all():
                found, rotation, translation = cv2.solvePnP(
                    view.points[seen],
                    facing[:, :2] / facing[:, 2:],
                    np.eye(3),
                    None,
                    flags=cv2.SOLVEPNP_IPPE,
                )
                if found:
                    turned = cv2.Rodrigues(towards.T @ cv2.Rodrigues(rotation)[0])[0]
                    moved = towards.T @ translation
                    return np.concatenate([turned.ravel(), moved.ravel()])
        return np.array([0, 0, 0, 0, 0, 1.0])


def _towards(direction: Array) -> Array:
    """A rotation (3, 3) that brings `direction` onto z."""
    z = direction / np.linalg.norm(direction)
    x = np.cross([0.0, 1.0, 0.0], z)
    if np.linalg.norm(x) < 1e-6:
        x = np.array([1.0, 0.0, 0.0])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _project_fisheye(lens: Array, pose: Array, points: Array) -> tuple[Array, Array]:
    """As `Model.project`. Not OpenCV's, which ends at 90 degrees off the axis."""
    rotation, by_rotation = cv2.Rodrigues(pose[:3])
    seen = points @ rotation.T + pose[3:]  # camera frame
    x, y, z = seen.T
    r = np.maximum(np.hypot(x, y), 1e-9)
    angle = np.arctan2(r, z)
    powers = angle[:, None] ** np.array([3, 5, 7, 9])
    radius = angle + powers @ lens[4:]
    slope = 1 + (powers / angle[:, None] * [3, 5, 7, 9]) @ lens[4:]
    scale, squared = radius / r, r * r + z * z
    # Plane point = scale * (x, y); scale depends on r and z.
    scale_by_r, scale_by_z = (slope * z / squared - scale) / r, -slope / squared
    xy = seen[:, :2]
    by_seen = scale[:, None, None] * np.eye(2, 3)
    by_seen[:, :, :2] += xy[:, :, None] * xy[:, None, :] * (scale_by_r / r)[:, None, None]
    by_seen[:, :, 2] += xy * scale_by_z[:, None]
    # Row j of OpenCV's (3, 9) is the rotation matrix by the vector's j-th entry.
    by_vector = np.einsum(
        "jab,nb->naj", np.asarray(by_rotation, np.float64).reshape(3, 3, 3), points
    )
    focal = lens[:2]
    d = np.zeros((len(points), 2, len(lens) + 6))
    plane = xy * scale[:, None]
    d[:, 0, 0], d[:, 1, 1] = plane[:, 0], plane[:, 1]
    d[:, 0, 2] = d[:, 1, 3] = 1
    d[:, :, 4:-6] = (focal * xy / r[:, None])[:, :, None] * powers[:, None, :]
    d[:, :, -6:-3] = focal[:, None] * (by_seen @ by_vector)
    d[:, :, -3:] = focal[:, None] * by_seen
    return plane * focal + lens[2:4], d.reshape(-1, len(lens) + 6)


@dataclass(frozen=True)
class Fit:
    """A lens (fx fy cx cy and coefficients) with its covariance, the board poses (views, 6) and
    the residuals of every view (N, 2) in pixels, found minus projected."""

    model: Model
    lens: Array
    covariance: Array
    poses: Array
    residuals: tuple[Array, ...]

    @property
    def rms(self) -> float:
        """Root of the mean squared distance between found and projected corners, pixels: what
        cv2.calibrateCamera returns."""
        squares = np.concatenate([(r**2).sum(axis=1) for r in self.residuals])
        return float(np.sqrt(squares.mean()))

    @property
    def rms_of_views(self) -> Array:
        return np.array([np.sqrt((r**2).sum(axis=1).mean()) for r in self.residuals])


def fit(model: Model, views: Sequence[View], width: int, height: int) -> Fit | None:
    """The best fit of several starts, None where nothing converges."""
    # From a narrow to a wide field of view; a fisheye's scale is pixels per radian.
    shares = (0.25, 0.35, 0.5, 0.8) if model.kind == "fisheye" else (0.4, 0.6, 0.9, 1.4, 2.4, 4.0)
    starts = [model.start(share * width, width, height) for share in shares]
    some = views[:: max(1, len(views) // 20)]  # enough to tell a good start
    tries = [refine(model, lens, some, iterations=15) for lens in starts]
    good = [result for result in tries if result is not None]
    if not good:
        return None
    best = min(good, key=lambda result: _cost(result.residuals))
    return refine(model, best.lens, views)


def refine(
    model: Model,
    lens: Array,
    views: Sequence[View],
    poses: Array | None = None,
    iterations: int = _ITERATIONS,
    fixed_lens: bool = False,
) -> Fit | None:
    """Levenberg-Marquardt from `lens` and `poses` (found anew where None); None where it runs
    off. With `fixed_lens` the poses alone move."""
    lens = lens.copy()
    poses = np.array([model.pose(lens, v) for v in views]) if poses is None else poses.copy()
    linear = _linearise(model, lens, poses, views)
    damping = 1e-3
    if not np.isfinite(linear.cost):
        return None
    for _ in range(iterations):
        step = linear.step(damping, fixed_lens)
        if step is None:
            return None
        new_lens, new_poses = lens + step[0], poses + step[1]
        new = _linearise(model, new_lens, new_poses, views) if (new_lens[:2] > 0).all() else None
        if new is not None and new.cost < linear.cost:
            gain = linear.cost - new.cost
            lens, poses, linear, damping = new_lens, new_poses, new, max(damping / 5, 1e-9)
            if gain < 1e-9 * linear.cost:
                break
        else:
            damping *= 5
            if damping > 1e8:
                break
    return Fit(model, lens, linear.covariance(), poses, linear.residuals)


def _cost(residuals: Sequence[Array]) -> float:
    """Huber's loss, summed over corners."""
    distance = np.concatenate([np.linalg.norm(r, axis=1) for r in residuals])
    near = np.minimum(distance, _HUBER)
    return float((near * (distance - 0.5 * near)).sum())


@dataclass(frozen=True)
class _Linear:
    """Normal equations at one point: lens block, lens-pose blocks, pose blocks, gradients."""

    cost: float
    residuals: tuple[Array, ...]
    a: Array  # (p, p)
    b: Array  # (views, p, 6)
    c: Array  # (views, 6, 6)
    g: Array  # (p,)
    h: Array  # (views, 6)

    def step(self, damping: float, fixed_lens: bool) -> tuple[Array, Array] | None:
        a, c = _damped(self.a, damping), _damped(self.c, damping)
        try:
            if fixed_lens:
                poses = np.linalg.solve(c, self.h[..., None])[..., 0]
                return np.zeros_like(self.g), np.asarray(poses, np.float64)
            c_b = np.linalg.solve(c, self.b.transpose(0, 2, 1))  # (views, 6, p)
            c_h = np.linalg.solve(c, self.h[..., None])[..., 0]  # (views, 6)
            schur = a - np.einsum("vps,vsq->pq", self.b, c_b)
            lens = np.linalg.solve(schur, self.g - np.einsum("vps,vs->p", self.b, c_h))
        except np.linalg.LinAlgError:
            return None
        moved = c_h - np.einsum("vsp,p->vs", c_b, lens)
        return np.asarray(lens, np.float64), np.asarray(moved, np.float64)

    def covariance(self) -> Array:
        """Of the lens, from the scatter of the residuals; infinite where nothing holds it."""
        try:
            c_b = np.linalg.solve(_damped(self.c, 1e-12), self.b.transpose(0, 2, 1))
            inverse = np.linalg.inv(self.a - np.einsum("vps,vsq->pq", self.b, c_b))
        except np.linalg.LinAlgError:
            return np.full_like(self.a, np.inf)
        count = 2 * sum(len(r) for r in self.residuals)
        free = max(count - len(self.a) - 6 * len(self.c), 1)
        return inverse * (2 * self.cost / free)


def _damped(blocks: Array, damping: float) -> Array:
    """Marquardt's: in proportion to the diagonal, so that units do not matter."""
    diagonal = np.diagonal(blocks, axis1=-2, axis2=-1)
    return blocks + np.eye(blocks.shape[-1]) * (damping * diagonal + 1e-12)[..., None, :]


def _linearise(model: Model, lens: Array, poses: Array, views: Sequence[View]) -> _Linear:
    p, n = len(lens), len(views)
    a, g = np.zeros((p, p)), np.zeros(p)
    b, c, h = np.zeros((n, p, 6)), np.zeros((n, 6, 6)), np.zeros((n, 6))
    residuals = []
    for i, view in enumerate(views):
        projected, d = model.project(lens, poses[i], view.points)
        residual = view.pixels - projected
        residuals.append(residual)
        distance = np.linalg.norm(residual, axis=1)
        weight = np.repeat(_HUBER / np.maximum(distance, _HUBER), 2)
        weighted = d * weight[:, None]
        product, gradient = weighted.T @ d, weighted.T @ residual.ravel()
        a += product[:p, :p]
        b[i], c[i] = product[:p, p:], product[p:, p:]
        g += gradient[:p]
        h[i] = gradient[p:]
    cost = _cost(residuals)
    return _Linear(cost if np.isfinite(a).all() else np.inf, tuple(residuals), a, b, c, g, h)
