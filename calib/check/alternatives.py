"""What else a camera's numbers may mean: the usual mistakes undone one at a time, each judged by
how many more matches agree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.check.evidence import Evidence
from calib.check.units import angles
from calib.lens import Lens
from calib.pose import ego_from_camera, invert

Array = NDArray[np.float64]
AGREES = np.radians(0.75)
"""From this error on a match does not agree at all."""
_SCALES = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 4 / 5, 5 / 4, 4 / 3, 3 / 2, 2, 3, 4)
"""Between the usual sizes of images."""
_FOCAL = (0.05, 0.10, 0.15)
"""Shares by which a focal length may be too long or too short."""
TURNED = "turned"
"""The fault without a name."""
_TRIES = 800
_SAMPLE = 200


@dataclass(frozen=True)
class Alternative:
    """`cameras` by number in place of those given. `gain`: matches that agree more."""

    fault: str
    cameras: dict[int, Camera]
    gain: float = 0.0


def agreement(errors: Array) -> Array:
    """(N,) 1 for a perfect match, 0 from AGREES on, of errors (N, 4)."""
    square = np.nan_to_num((errors[:, :3] ** 2).sum(axis=1), nan=np.inf)
    return np.maximum(0, 1 - square / AGREES**2)


def alternatives(cameras: Sequence[Camera], turned: Sequence[Camera]) -> Iterator[Alternative]:
    """The usual mistakes of `cameras`, undone, without a look at any picture. Other lenses are
    tried on the cameras as they are and as `turned`, for the turn may be right or due to the lens.
    """
    for i, camera in enumerate(cameras):
        given = camera.ego_from_camera
        yield _one("its transform is in the wrong direction", i, camera, invert(given))
        yield _one(
            "its angles are radians and were read as degrees",
            i,
            camera,
            _posed(given, np.degrees(angles(given[:3, :3]))),
        )
        for lens, fault in _other_lenses(camera.lens):
            for posed in (camera, turned[i]):
                yield Alternative(fault, {i: replace(posed, lens=lens)})
        for j in range(i + 1, len(cameras)):
            other = cameras[j]
            yield Alternative(
                "swapped",
                {i: replace(other, name=camera.name), j: replace(camera, name=other.name)},
            )


def _one(fault: str, i: int, camera: Camera, pose: Array) -> Alternative:
    return Alternative(fault, {i: replace(camera, ego_from_camera=pose)})


def _posed(pose: Array, angles: Array) -> Array:
    return ego_from_camera(pose[:3, 3], *angles)


def _other_lenses(lens: Lens) -> Iterator[tuple[Lens, str]]:
    other = other_model(lens)
    yield other, model_fault(other)
    for scale in _SCALES:
        resized = lens.resized(round(lens.width * scale), round(lens.height * scale))
        yield (
            replace(resized, width=lens.width, height=lens.height),
            f"its lens is of images {1 / scale:.3g} times the size",
        )
    for share in _FOCAL:
        for factor, word in ((1 + share, "long"), (1 - share, "short")):
            yield (
                replace(lens, fx=lens.fx / factor, fy=lens.fy / factor),
                f"its focal length is about {share:.0%} too {word}",
            )


def model_fault(right: Lens) -> str:
    """What is said of a lens whose model is that of `right`."""
    given = "pinhole" if right.model == "fisheye" else "fisheye"
    return f"its lens is a {right.model}, given as a {given}"


def other_model(lens: Lens) -> Lens:
    """A fisheye's coefficients as a pinhole's, or the reverse, as far as there are so many."""
    coefficients = (*lens.distortion, 0.0, 0.0, 0.0, 0.0)[:4]
    if lens.model == "pinhole":
        return replace(lens, model="fisheye", distortion=coefficients)
    return replace(lens, model="pinhole", distortion=coefficients)


def looking_elsewhere(
    evidence: Evidence, cameras: Sequence[Camera], moves: Array, i: int
) -> Alternative | None:
    """Camera `i` turned so that most of what it shows agrees with the other cameras; None where
    they have nothing in common. Random samples of two matches (Fischler & Bolles 1981)."""
    rows = evidence.of(i) & ~evidence.moving
    rays = evidence.rays(cameras, rows)
    poses = np.array([camera.ego_from_camera for camera in cameras])
    own = np.where((rays.a == i)[:, None], rays.from_a, rays.from_b)
    other = np.where(rays.a == i, rays.b, rays.a)
    there = np.where((rays.a == i)[:, None], rays.from_b, rays.from_a)
    there = np.einsum("nij,nj->ni", poses[other, :3, :3], there)
    group = evidence.group[rows]
    known = np.isfinite(own).all(axis=1) & np.isfinite(there).all(axis=1)
    rng = np.random.default_rng(0)
    first = rng.choice(np.flatnonzero(known), _TRIES) if known.sum() > 1 else np.zeros(0, int)
    if not len(first):
        return None
    # A second one of the same pair of pictures.
    members = {g: np.flatnonzero(known & (group == g)) for g in np.unique(group)}
    second = np.array([rng.choice(members[group[f]]) for f in first])
    angle_own = np.arccos(np.clip((own[first] * own[second]).sum(axis=1), -1, 1))
    angle_there = np.arccos(np.clip((there[first] * there[second]).sum(axis=1), -1, 1))
    fit = (angle_own > np.radians(3)) & (np.abs(angle_own - angle_there) < np.radians(1))
    rotations = _frames(there[first[fit]], there[second[fit]]) @ _frames(
        own[first[fit]], own[second[fit]]
    ).transpose(0, 2, 1)
    some = rng.permutation(np.flatnonzero(known))[:_SAMPLE]
    sample = rays.taken(some)
    best, pose = 0.0, None
    for rotation in rotations:
        trial = poses.copy()
        trial[i, :3, :3] = rotation
        score = float(agreement(sample.errors(trial, moves)).sum())
        if score > best:
            best, pose = score, trial[i]
    return None if pose is None else _one(TURNED, i, cameras[i], pose)


def _frames(u: Array, v: Array) -> Array:
    """Rotations (N, 3, 3) whose first column is u and whose second is towards v."""
    z = np.cross(u, v)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return np.stack([u, np.cross(z, u), z], axis=-1)


def gain(
    evidence: Evidence, cameras: Sequence[Camera], moves: Array, now: Array, other: Alternative
) -> float:
    """How many more matches agree with `other`; `now` (N,) is the agreement without it."""
    rows = np.any([evidence.of(i) for i in other.cameras], axis=0)
    changed = [other.cameras.get(i, camera) for i, camera in enumerate(cameras)]
    rays = evidence.rays(changed, rows)
    poses = np.array([camera.ego_from_camera for camera in changed])
    return float((agreement(rays.errors(poses, moves)) - now[rows]).sum())
