"""The verdict on a rig: which of its cameras the pictures confirm, which they contradict, and how.

In three steps: what the numbers alone give away (plausible.py); the usual mistakes, undone one
after the other as long as that makes clearly more matches agree (alternatives.py); and with what
is left, by how much each camera would have to be turned (adjust.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.check.adjust import Adjustment, adjust
from calib.check.alternatives import (
    TURNED,
    Alternative,
    agreement,
    alternatives,
    gain,
    looking_elsewhere,
)
from calib.check.evidence import Evidence
from calib.check.finding import Finding, Level
from calib.check.model import other_model_fits
from calib.check.plausible import implausible
from calib.check.units import read_as_radians

Array = NDArray[np.float64]
TURN_BAD = 1.0
"""Degrees of yaw or pitch by which a camera is certainly wrong; right ones stayed below 0.65."""
_ROLL_BAD = 2.0
_SYSTEMATIC = 0.2
"""Degrees that right cameras seem to be off, however many matches there are: cameras that are not
quite in step, rolling shutters, moving traffic."""
_SURE = 3.0
"""Standard deviations that a turn must have to count."""
_OPEN = 0.5
"""Degrees of standard deviation from which on the pictures do not show a camera's direction."""
_APART = 1.5
"""Degrees between two cameras that contradict each other, where neither can be told wrong."""
_LEAST_GAIN, _LEAST_SHARE = 15.0, 0.02
"""Matches, and their share of the camera's that agree, by which undoing a mistake must pay."""
_NAMED = 0.85
"""A mistake with a name is preferred to one that gains more, if it gains this share of it."""
_LARGE_TURN = 4.0
"""Degrees from which a turn is searched for among all, not by small steps."""
_PROMISING = 2
_LEAST_COMMON = 15


@dataclass(frozen=True)
class CameraVerdict:
    """`off`: yaw, pitch and roll in degrees by which the camera as given is wrong, signs as in a
    rig file, with standard deviations `sigma`; NaN where another mistake was found. `agreeing` of
    `matches` with other cameras and `moving_agreeing` of `moving` with itself later, under the
    calibration given. `partners`: matches by camera that are genuine as far as is known."""

    level: Level
    findings: tuple[Finding, ...]
    off: tuple[float, float, float]
    sigma: tuple[float, float, float]
    agreeing: int
    matches: int
    moving_agreeing: int
    moving: int
    partners: dict[str, int]


@dataclass(frozen=True)
class Verdict:
    """`cameras` by name. `agrees` (N,): which matches agree with the rig as given; `genuine` (N,):
    with the rig put right, as far as that is known. `noise`: median error of those in degrees."""

    level: Level
    cameras: dict[str, CameraVerdict]
    agrees: NDArray[np.bool_]
    genuine: NDArray[np.bool_]
    noise: float


def judge(
    evidence: Evidence,
    cameras: Sequence[Camera],
    image_sizes: Mapping[str, tuple[int, int]],
) -> Verdict:
    """`cameras` in the order of `evidence.names`; `image_sizes` (width, height) of their pictures
    by name, absent where there are none."""
    findings: list[list[Finding]] = [
        list(implausible(camera, image_sizes.get(camera.name))) for camera in cameras
    ]
    given = agreement(_errors(evidence, cameras, adjust(evidence, cameras, fixed=True).moves)) > 0
    corrected = list(cameras)
    mistakes: list[Alternative] = []
    found, adjusted = _mistake(evidence, corrected)
    while found is not None and _is_new(found, mistakes):
        mistakes.append(found)
        corrected = [found.cameras.get(i, camera) for i, camera in enumerate(corrected)]
        found, adjusted = _mistake(evidence, corrected)
    turned_cameras = _turned(corrected, adjusted)
    for mistake in mistakes:
        for i in mistake.cameras:
            text = _said(mistake, i, cameras, turned_cameras[i])
            findings[i].append(Finding(Level.BAD, text))
    errors = _errors(evidence, turned_cameras, adjusted.moves)
    agrees = agreement(errors) > 0
    off = -np.array(
        [_yaw_pitch_roll(c, t) for c, t in zip(corrected, adjusted.turns, strict=True)]
    ).reshape(-1, 3)
    random = np.array([_sigmas(adjusted, i, c) for i, c in enumerate(corrected)])
    sigmas = np.hypot(random, _SYSTEMATIC)
    for i in range(len(cameras)):
        if corrected[i] is cameras[i]:
            findings[i] += _of_turn(off[i], sigmas[i])
        else:  # what is left beside the mistake says nothing of the camera as given
            off[i] = np.nan
    _contradictions(evidence, agrees, corrected, adjusted, findings)
    by_name = {}
    for i, camera in enumerate(cameras):
        across, moving = evidence.of(i) & ~evidence.moving, evidence.of(i) & evidence.moving
        confirmed = bool(
            (sigmas[i, :2] < _OPEN).all()
            and all(f.level < Level.BAD for f in findings[i])
            and (given & evidence.of(i)).sum() >= 2 * _LEAST_COMMON
        )
        # What only looks odd is noted where the pictures confirm it.
        said = [replace(f, level=Level.NOTE) if confirmed else f for f in findings[i]]
        if not confirmed and all(f.level == Level.NOTE for f in said):
            said.append(_unverified(camera.name in image_sizes))
        partners = {
            other.name: int((agrees & across & evidence.of(j)).sum())
            for j, other in enumerate(cameras)
            if j != i
        }
        by_name[camera.name] = CameraVerdict(
            max((f.level for f in said), default=Level.NOTE),
            tuple(sorted(said, key=lambda f: -f.level)),
            tuple(off[i].tolist()),
            tuple(sigmas[i].tolist()),
            int((given & across).sum()),
            int(across.sum()),
            int((given & moving).sum()),
            int(moving.sum()),
            {name: count for name, count in partners.items() if count},
        )
    level = max(v.level for v in by_name.values())
    return Verdict(level, by_name, given, agrees, _median_angle(errors[agrees]))


def _errors(evidence: Evidence, cameras: Sequence[Camera], moves: Array) -> Array:
    poses = np.array([camera.ego_from_camera for camera in cameras])
    return evidence.rays(cameras).errors(poses, moves)


def _is_new(found: Alternative, before: Sequence[Alternative]) -> bool:
    """One mistake a camera, or else the search could go round in circles; three cameras that
    changed places are put right by two swaps."""
    if len(found.cameras) == 2:
        return all(found.cameras.keys() != one.cameras.keys() for one in before)
    return all(not found.cameras.keys() & one.cameras.keys() for one in before)


def _mistake(
    evidence: Evidence, cameras: Sequence[Camera]
) -> tuple[Alternative | None, Adjustment]:
    """The mistake whose undoing pays most, if one pays, and how the cameras as given are turned.

    What undoing pays is counted after the cameras are turned anew: else a turn of the neighbours
    hides a mistake, or looks like one.
    """
    adjusted = adjust(evidence, cameras)
    base = _turned(cameras, adjusted, _LARGE_TURN)
    worth = _worth(evidence, cameras, adjusted)
    tried = []
    for one in _promising(evidence, cameras, base, adjusted.moves):
        changed = [one.cameras.get(i, camera) for i, camera in enumerate(cameras)]
        gained = _worth(evidence, changed, adjust(evidence, changed)) - worth
        tried.append(replace(one, gain=gained))
    paying = [one for one in tried if one.gain > _LEAST_GAIN]
    if not paying:
        return other_model_fits(evidence, cameras, base, adjusted.moves), adjusted
    best = max(paying, key=lambda one: one.gain)
    if best.fault == TURNED:
        alike = [p for p in paying if p.cameras.keys() == best.cameras.keys()]
        near = [p for p in alike if p.gain > _NAMED * best.gain]
        best = max(near, key=lambda one: (one.fault != TURNED, one.gain))
    return best, adjusted


def _promising(
    evidence: Evidence, cameras: Sequence[Camera], base: Sequence[Camera], moves: Array
) -> list[Alternative]:
    """The few mistakes whose undoing lets most matches agree, beside the cameras as given and
    beside the same turned as they fit best, `base`."""
    chosen: dict[tuple[object, ...], Alternative] = {}
    elsewhere = [
        found
        for i, camera in enumerate(cameras)
        if (found := looking_elsewhere(evidence, base, moves, i))
        and _angle(found.cameras[i], camera) > _LARGE_TURN
    ]
    for beside in (cameras, base):
        now = agreement(_errors(evidence, beside, moves))
        scored = [
            replace(one, gain=gain(evidence, beside, moves, now, one))
            for one in (*alternatives(cameras, base), *elsewhere)
        ]
        paying = [one for one in scored if _pays(one, evidence, now)]
        for one in sorted(paying, key=lambda one: -one.gain)[:_PROMISING]:
            key = (one.fault, *one.cameras.items())
            chosen[key] = one
    return list(chosen.values())


def _worth(evidence: Evidence, cameras: Sequence[Camera], adjusted: Adjustment) -> float:
    """Matches that agree, less what cameras cost that must be turned for it."""
    turned = _turned(cameras, adjusted, _LARGE_TURN)
    agreeing = agreement(_errors(evidence, turned, adjusted.moves)).sum()
    wrong = np.degrees(np.linalg.norm(adjusted.turns, axis=1)) > TURN_BAD
    return float(agreeing - _LEAST_GAIN * wrong.sum())


def _pays(one: Alternative, evidence: Evidence, now: Array) -> bool:
    rows = np.any([evidence.of(i) for i in one.cameras], axis=0)
    return one.gain > max(_LEAST_GAIN, _LEAST_SHARE * float(now[rows].sum()))


def _said(found: Alternative, i: int, cameras: Sequence[Camera], right: Camera) -> str:
    """`cameras` as given; `right`: camera `i` as it must be."""
    if len(found.cameras) == 2:
        (other,) = (j for j in found.cameras if j != i)
        return f"swapped with {cameras[other].name}: its pictures fit the other's calibration"
    if found.fault != TURNED:
        return f"{found.fault}; put right, {found.gain:.0f} more matches agree"
    camera = cameras[i]
    text = f"it looks {_angle(right, camera):.0f} degrees away from where it is said to"
    if read_as_radians(camera.ego_from_camera[:3, :3], right.ego_from_camera[:3, :3]):
        return f"{text}: its angles look like degrees that were read as radians"
    return text


def _angle(a: Camera, b: Camera) -> float:
    """Degrees."""
    turn = a.ego_from_camera[:3, :3].T @ b.ego_from_camera[:3, :3]
    return float(np.degrees(np.linalg.norm(cv2.Rodrigues(turn)[0])))


def _turned(cameras: Sequence[Camera], adjusted: Adjustment, most: float = np.inf) -> list[Camera]:
    """Those that need more than `most` degrees stay: so large a turn is a mistake to be found."""
    turned = []
    for camera, turn in zip(cameras, adjusted.turns, strict=True):
        if np.degrees(np.linalg.norm(turn)) > most:
            turned.append(camera)
            continue
        pose = camera.ego_from_camera.copy()
        pose[:3, :3] = cv2.Rodrigues(turn)[0] @ pose[:3, :3]
        turned.append(replace(camera, ego_from_camera=pose))
    return turned


def _axes(camera: Camera) -> Array:
    """(3, 3): the axes in the ego frame about which small yaw, pitch and roll turn it."""
    forward = camera.ego_from_camera[:3, 2]
    up = np.array([0.0, 0.0, 1.0])
    side = np.cross(forward, up)
    length = np.linalg.norm(side)
    right = side / length if length > 1e-6 else camera.ego_from_camera[:3, 0]
    return np.stack([up, right, forward])


def _yaw_pitch_roll(camera: Camera, turn: Array) -> Array:
    return np.degrees(_axes(camera) @ turn)


def _sigmas(adjusted: Adjustment, i: int, camera: Camera) -> Array:
    axes = _axes(camera)
    return np.degrees(np.sqrt(np.diag(axes @ adjusted.covariances[i] @ axes.T)))


def _median_angle(errors: Array) -> float:
    """Degrees, NaN of none."""
    angles = np.degrees(np.linalg.norm(errors[:, :3], axis=1))
    return float(np.median(angles)) if len(angles) else float("nan")


def _of_turn(off: Array, sigma: Array) -> list[Finding]:
    said = []
    for name, angle, deviation, limit in zip(
        ("yaw", "pitch", "roll"), off, sigma, (TURN_BAD, TURN_BAD, _ROLL_BAD), strict=True
    ):
        if abs(angle) > max(limit, _SURE * deviation):
            said.append(
                Finding(
                    Level.BAD,
                    f"its {name} is off by {angle:+.1f} ± {deviation:.1f} degrees",
                )
            )
    return said


def _contradictions(
    evidence: Evidence,
    agrees: NDArray[np.bool_],
    cameras: Sequence[Camera],
    adjusted: Adjustment,
    findings: list[list[Finding]],
) -> None:
    """Cameras that must be turned against each other, though neither by so much that it is
    certainly the wrong one."""
    for i, j in combinations(range(len(cameras)), 2):
        common = (agrees & evidence.of(i) & evidence.of(j)).sum()
        apart = float(np.degrees(np.linalg.norm(adjusted.turns[i] - adjusted.turns[j])))
        innocent = all(f.level < Level.BAD for k in (i, j) for f in findings[k])
        if common >= _LEAST_COMMON and apart > _APART and innocent:
            for k, other in ((i, j), (j, i)):
                text = (
                    f"it contradicts {cameras[other].name} by {apart:.1f} degrees; "
                    "the pictures do not show which of the two is wrong"
                )
                findings[k].append(Finding(Level.BAD, text))


def _unverified(has_pictures: bool) -> Finding:
    if not has_pictures:
        return Finding(Level.DOUBTFUL, "not verified: the log has no pictures of it")
    return Finding(
        Level.DOUBTFUL,
        "not verified: its pictures show too little in common with others and with themselves "
        "later; take a log of driving straight on past buildings or trees",
    )
