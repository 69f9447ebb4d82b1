"""A camera's mounting from the vehicle driving: which way it looks, and how high it is.

The way of static points over the image shows the vehicle's direction of travel in the camera's
frame, hence two of its angles, wherever it looks (Longuet-Higgins 1981, "A computer algorithm for
reconstructing a scene from two projections"). Points of the road show the road's plane (Faugeras
and Lustman 1988, "Motion and structure from motion in a piecewise planar environment"), hence the
third angle and, where the travel is known in metres, the height.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from calib.camera import Camera
from calib.driving.flow import FlowPair
from calib.driving.normal_equations import Priors, Solution, solve
from calib.driving.observations import Observations, State, observe
from calib.driving.residuals import epipolar, ground
from calib.driving.road import find_road, guess_pace, on_road
from calib.pose import angles

Array = NDArray[np.float64]
MIN_PAIRS, MIN_SECONDS = 20, 8.0
"""Fewer show one stretch of street, where a pavement or a car beside may pass for the road."""
_MIN_POINTS, _MIN_ROAD_POINTS = 500, 200
_MEASURED = Priors(turn=2e-3, pace=1e-4, height_free=True)
"""Where the log has the vehicle's pose. Cars pitch by about so much between two frames, which
their odometry may not tell; how much it is in this drive is then taken from the drive."""
_UNMEASURED = Priors(turn=0.02, pace=3.0, height_free=False)
_CALMEST = 2e-4
"""Radians of unmeasured turn between frames that are allowed for at least."""
_STRAIGHT = 2e-3
"""Radians that the vehicle turns at most between two frames to count as going straight."""
_ROUNDS = 4
_ROUGHEST = 3.0
"""How much farther off points of the road may usually be than others."""
_STEEPEST, _SLOPE = np.radians(20), np.radians(1.5)
"""By how much the first guess of the camera's turn about its way may be wrong; by how much the
road may slope across it."""
_FLOOR = np.array([np.radians(0.2), np.radians(0.04), np.radians(0.05), 0.008])
"""What no drive betters, of the turn about the ego frame's x, y and z and of the height in parts
of it: roads are not flat, and what is wrong with points in one frame is so in the next."""
_ROADLESS_FLOOR = np.array([np.radians(2), *_FLOOR[1:]])
"""The same without the road: a vehicle's turning in curves shows little of the first."""
_SIDE_FLOOR = np.array([np.radians(0.55), *_FLOOR[1:3], 0.04])
"""The same for a camera that doesn't see its own lane: beside it are pavements and traffic."""
_UNMEASURED_FLOOR = np.array([0, 0, np.radians(0.25), 0])
"""Beside these without poses: nearly straight is not straight, and a bend turns all in one way."""
_KERB_M, _LANE_M, _LANE_SHARE = (0.05, 0.25), 1.75, 0.2
"""How much higher a pavement lies; how far from its middle a vehicle has road, and the share of
the points that must be there."""
_MOST_OFF_PX = 2.0
"""Pixels, one standard deviation, above which the points can't be explained by any mounting."""
_BLOCKS = 25
"""Parts of the drive that are taken for independent of each other."""
MOST_UNSURE_DEG, MOST_UNSURE_M = (0.5, 0.5, 1.0), 0.1
"""Standard deviations of yaw, pitch, roll and height above which a drive does not show them."""


@dataclass(frozen=True, eq=False)
class Mounting:
    """What a drive says of one camera.

    `ego_from_camera` (4, 4): its x and y, and without `sigma_height_m` its height, as given.
    `turn_deg` (3,): yaw, pitch and roll (docs/frames.md) less the given ones, `sigma_deg` (3,)
    their standard deviations; `raised_m`, `sigma_height_m`: the same of the height, None where no
    pose told the travel in metres. `pairs`, `points`, `road_points`: what it was taken from;
    `rms_px`: how far rays of good points miss each other. `doubt` says why it can't be believed,
    None where it can. Angles without any knowledge are NaN; without `road_points` they are what
    the direction of travel says, which is two of three.
    """

    ego_from_camera: Array
    turn_deg: Array
    sigma_deg: Array
    raised_m: float | None
    sigma_height_m: float | None
    pairs: int
    points: int
    road_points: int
    rms_px: float
    doubt: str | None


def estimate_mounting(camera: Camera, pairs: Sequence[FlowPair]) -> Mounting:
    """Where `camera` really looks and how high it is, its given mounting being the first guess:
    right to about 5 degrees, with its x and y taken as they are.

    Where pairs have their `ego_motion`, those without are left out. Where too few have it, the
    vehicle's own x axis is taken for its way where it goes straight, and the height stays as given.
    """
    moving = [pair for pair in pairs if pair.ego_motion is not None]
    measured = len(moving) >= MIN_PAIRS
    priors = _MEASURED if measured else _UNMEASURED
    pairs = moving if measured else [replace(pair, ego_motion=None) for pair in pairs]
    points = observe(camera, pairs)
    pose = camera.ego_from_camera
    state = State(pose[:3, :3], float(pose[2, 3]), points.turns, np.zeros(len(pairs)))
    doubt = _too_little(points)
    stamps = [pair.stamp_s for pair in pairs] or [0.0]
    lasted = max(stamps) - min(stamps)
    if doubt is None and lasted < MIN_SECONDS:
        doubt = f"{lasted:.0f} seconds of driving are too few, {MIN_SECONDS:.0f} are needed"
    if doubt is None and state.height < 0.1:
        doubt = f"its height is given as {state.height:.2f} m; give one above the road"
    if doubt is not None:
        return _nothing(camera, points, doubt)
    fit, priors = _along_travel(points, state, priors)
    if not measured:
        points, state = _straight(points, fit.state)
        doubt = _too_little(points)
        if doubt is not None:
            return _nothing(camera, points, doubt)
        fit, priors = _along_travel(points, state, priors)
    return _with_road(camera, points, fit, priors)


def _too_little(points: Observations) -> str | None:
    pairs = len(np.unique(points.pair))
    if pairs < MIN_PAIRS:
        return f"{pairs} stretches of driving can be used, {MIN_PAIRS} are needed"
    if len(points.pair) < _MIN_POINTS:
        return f"{len(points.pair)} points could be followed, {_MIN_POINTS} are needed"
    return None


def _along_travel(points: Observations, state: State, priors: Priors) -> tuple[Solution, Priors]:
    """By the rays alone: the fit, and what this drive's pairs turn unmeasured. In curves the
    vehicle's own turning shows which way is up, if less sharply than the road; on a straight
    nothing does, and the turn about its way stays as given."""
    none = points.only(np.zeros(len(points.pair), bool))
    given, scale = state.rotation, np.inf
    for _ in range(_ROUNDS):
        scale = min(scale, _spread(epipolar(points, state)[0]))
        unmetric = replace(priors, height_free=False)
        fit = solve(points, none, state, unmetric, scale, given=given)
        state, priors = fit.state, _calmed(priors, fit)
    return fit, priors


def _calmed(priors: Priors, fit: Solution) -> Priors:
    """With the unmeasured turns as wide as the drive shows (expectation maximisation)."""
    if not priors.height_free:
        return priors
    return replace(priors, turn=float(np.clip(fit.pair_spread, _CALMEST, priors.turn)))


def _straight(points: Observations, state: State) -> tuple[Observations, State]:
    """Only the pairs between which the vehicle went straight on."""
    turn = np.abs(Rotation.from_matrix(state.turns).as_rotvec()[:, 2])
    kept = np.flatnonzero(turn < _STRAIGHT)
    points = points.only(np.isin(points.pair, kept))
    return (
        replace(
            points,
            pair=np.searchsorted(kept, points.pair),
            turns=points.turns[kept],
            travel=points.travel[kept],
        ),
        replace(state, turns=state.turns[kept], pace=state.pace[kept]),
    )


def _with_road(camera: Camera, points: Observations, travel: Solution, priors: Priors) -> Mounting:
    state = travel.state
    scale = _spread(epipolar(points, state)[0])
    if scale > _MOST_OFF_PX:
        doubt = f"points miss their way by {scale:.1f} px; is this its lens, and its pictures?"
        return _nothing(camera, points, doubt)
    measured = priors.height_free
    roadless = _mounting(camera, points, 0, travel, scale, False, measured, _ROADLESS_FLOOR)
    if not measured:
        state = guess_pace(points, state, scale)
    roll_sigma = float(np.sqrt(_covariance(travel)[0, 0]))
    seen = find_road(points, state, scale, min(_STEEPEST, 4 * roll_sigma + _SLOPE))
    if seen is None:
        return replace(roadless, doubt="no road stands out in what it saw")
    state, kerb = seen
    for _ in range(_ROUNDS):
        road = points.only(on_road(points, state, scale, kerb))
        if len(road.pair) < _MIN_ROAD_POINTS:
            return replace(roadless, doubt=f"only {len(road.pair)} points of the road are seen")
        road_scale = min(_spread(ground(road, state)[0]), _ROUGHEST * scale)
        fit = solve(points, road, state, priors, scale, road_scale)
        state, priors = fit.state, _calmed(priors, fit)
        scale = _spread(epipolar(points, state)[0])
    in_lane = _lane_share(road, state) >= _LANE_SHARE
    floor = _FLOOR if in_lane else _SIDE_FLOOR
    found = _mounting(camera, points, len(road.pair), fit, scale, measured, measured, floor)
    low, high = _KERB_M
    if found.raised_m is not None and not in_lane and low < -found.raised_m < high:
        doubt = (
            f"what it sees lies {-100 * found.raised_m:.0f} cm higher than its file says, and "
            "little of it in the vehicle's own lane: a pavement?"
        )
        return replace(found, doubt=found.doubt or doubt)
    return found


def _lane_share(road: Observations, state: State) -> float:
    """Share of the road's points in the vehicle's own lane, which is no pavement."""
    rays = road.before @ state.rotation.T
    across = road.place[1] - rays[:, 1] * state.height / rays[:, 2]
    return float((np.abs(across) < _LANE_M).mean())


def _spread(values: Array) -> float:
    """Standard deviation of the good ones, by the nearest third, for many may be bad in the same
    way; a hundredth of a pixel at least."""
    return max(2.32 * float(np.nanpercentile(np.abs(values), 33.3)), 0.01)


def _mounting(
    camera: Camera,
    points: Observations,
    road_points: int,
    fit: Solution,
    scale: float,
    metric: bool,
    measured: bool,
    floor: Array,
) -> Mounting:
    given = camera.ego_from_camera
    pose = given.copy()
    pose[:3, :3] = fit.state.rotation
    if metric:
        pose[2, 3] = fit.state.height
    if not measured:
        floor = np.hypot(floor, _UNMEASURED_FLOOR)
    covariance = _covariance(fit) + np.diag(floor**2)
    sigma = np.degrees(np.sqrt(np.diagonal(_by_angles(pose, covariance[:3, :3]))))
    height = float(np.sqrt(covariance[3, 3]) * pose[2, 3]) if metric else None
    turn = np.degrees(angles(pose) - angles(given))
    doubt = None
    for name, value, most in zip(("yaw", "pitch", "roll"), sigma, MOST_UNSURE_DEG, strict=True):
        if not value <= most:
            doubt = f"{name} is open by {value:.1f} degree; drive longer, with more to see"
    if height is not None and not height <= MOST_UNSURE_M:
        doubt = f"its height is open by {100 * height:.0f} cm; drive longer, with more to see"
    return Mounting(
        pose,
        (turn + 180) % 360 - 180,
        sigma,
        float(pose[2, 3] - given[2, 3]) if metric else None,
        height,
        points.pairs,
        len(points.pair),
        road_points,
        scale,
        doubt,
    )


def _covariance(fit: Solution) -> Array:
    """(4, 4): wider than the residuals' scatter alone says, where parts of the drive disagree by
    more (the sandwich estimator over clusters, Liang and Zeger 1986); never narrower."""
    inverse = np.linalg.pinv(fit.information, hermitian=True)
    parts = np.array_split(fit.scores, min(_BLOCKS, len(fit.scores)))
    sums = np.array([part.sum(0) for part in parts])
    sums -= sums.mean(0)
    between = inverse @ (sums.T @ sums * len(sums) / (len(sums) - 1)) @ inverse
    diagonal = np.maximum(np.diagonal(inverse), 1e-30)
    wider = np.sqrt(np.maximum(1, np.diagonal(between) / diagonal))
    return inverse * wider[:, None] * wider


def _by_angles(pose: Array, covariance: Array) -> Array:
    """(3, 3) of yaw, pitch and roll, from that of a turn in the ego frame's axes."""
    step, columns = 1e-6, []
    for axis in np.eye(3):
        turned = pose.copy()
        turned[:3, :3] = Rotation.from_rotvec(step * axis).as_matrix() @ pose[:3, :3]
        columns.append((angles(turned) - angles(pose)) / step)
    by_turn = np.stack(columns, axis=1)
    return by_turn @ covariance @ by_turn.T


def _nothing(camera: Camera, points: Observations, doubt: str) -> Mounting:
    unknown = np.full(3, np.nan)
    return Mounting(
        camera.ego_from_camera,
        unknown,
        unknown,
        None,
        None,
        points.pairs,
        len(points.pair),
        0,
        np.nan,
        doubt,
    )
