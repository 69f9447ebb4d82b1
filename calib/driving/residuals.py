"""What followed points say against a state: rays that miss each other, and a road out of place."""

import numpy as np
from numpy.typing import NDArray

from calib.driving.observations import Observations, State, seen

Array = NDArray[np.float64]


def epipolar(points: Observations, state: State) -> tuple[Array, Array, Array]:
    """How far the rays of each point miss each other, in pixels: 0 where both lie in one plane
    with the camera's way (Sampson's distance on the sphere).

    Returns values (N,) and derivatives (N, 4) by the camera (rotation vector in ego axes,
    logarithm of its height) and (N, 4) by its pair (rotation vector in ego0's axes, pace).
    """
    rays = seen(points, state)
    first, second, way = rays.before, rays.after, rays.baseline
    plane0, plane1 = _cross(way, first), _cross(second, way)
    length = np.sqrt((plane0**2).sum(1) + (plane1**2).sum(1)) + 1e-12
    miss = (second * plane0).sum(1) / length
    # The length's own derivative too: without it, noise turns the answer (Chojnacki et al. 2000).
    part = (miss / length)[:, None]
    by_first = plane1 - part * _cross(plane0, way)
    by_second = plane0 - part * _cross(way, plane1)
    by_way = _cross(first, second) - part * (_cross(first, plane0) + _cross(plane1, second))
    norm = length * points.sigma
    turn_second = _by_turn(second, by_second)
    by_camera = np.zeros((len(miss), 4))
    turned = np.einsum("nij,ni->nj", state.turns[points.pair], turn_second)
    by_camera[:, :3] = (turned + _by_turn(first, by_first)) / norm[:, None]
    by_pair = np.zeros((len(miss), 4))
    by_pair[:, :3] = turn_second / norm[:, None]
    by_pair[:, 3] = (_by_pace(points, state) * by_way).sum(1) / norm
    return miss / points.sigma, by_camera, by_pair


def ground(points: Observations, state: State) -> tuple[Array, Array, Array]:
    """How far along its way over the image each point is from where a point of the road would be,
    in pixels; values and derivatives as for `epipolar`, but with their denominator held fixed: what
    that leaves out shrinks with the value. NaN for rays that don't point down."""
    rays = seen(points, state)
    first, second, way = rays.before, rays.after, rays.baseline
    with np.errstate(all="ignore"):
        scale = np.where(first[:, 2] < -1e-3, -state.height / first[:, 2], np.nan)
        place = first * scale[:, None]
        onward = place - way
        near0, near1 = np.linalg.norm(place, axis=1), np.linalg.norm(onward, axis=1)
        across = _cross(way, first)
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        # An error of the first ray moves the point on the road by more the flatter it looks.
        norm = near1 * points.sigma * np.sqrt(1 + (near0 / near1) ** 4)
        values = (across * _cross(onward, second)).sum(1) / norm
        by_onward = _cross(second, across)
        by_second = _cross(across, onward)
        # place = -height first / first_z
        by_first = scale[:, None] * by_onward
        by_first[:, 2] -= (by_onward * place).sum(1) / first[:, 2]
        turn_second = _by_turn(second, by_second)
        turned = np.einsum("nij,ni->nj", state.turns[points.pair], turn_second)
        by_camera = np.zeros((len(values), 4))
        by_camera[:, :3] = (turned + _by_turn(first, by_first)) / norm[:, None]
        by_camera[:, 3] = (by_onward * place).sum(1) / norm
        by_pair = np.zeros((len(values), 4))
        by_pair[:, :3] = turn_second / norm[:, None]
        by_pair[:, 3] = -(by_onward * _by_pace(points, state)).sum(1) / norm
    return values, by_camera, by_pair


def _by_turn(ray: Array, gradient: Array) -> Array:
    """Of gradient . (w x ray), by w."""
    return _cross(ray, gradient)


def _cross(a: Array, b: Array) -> Array:
    return np.asarray(np.cross(a, b), np.float64)


def _by_pace(points: Observations, state: State) -> Array:
    return (np.exp(state.pace)[:, None] * points.travel)[points.pair]
