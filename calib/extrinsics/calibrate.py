"""From sightings of boards to a rig that can be believed: which sightings, which cameras."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.errors import BoardError
from calib.extrinsics.bundle import Adjusted, adjust
from calib.extrinsics.initial import Poses, first_poses
from calib.extrinsics.sightings import Sighting, Sightings
from calib.extrinsics.targets import Target

Array = NDArray[np.float64]
MIN_SIGHTINGS = 3
"""Boards that a camera must have seen in agreement with others before it is believed."""
_OUTLIER, _FAR = 4.0, 1.0
"""A sighting is left out when its error is so many times the median, and so many pixels."""
_MAX_OUTLIERS = 0.25
"""Share of sightings: where more disagree, nobody can say which are right."""
_UNSURE_ANGLE, _UNSURE_PLACE = np.radians(0.2), 0.02
"""Standard deviations, radians and metres, above which the boards do not show a pose."""
_OFF_TAPE = 4.0
"""Standard deviations by which a measured corner may be off."""


@dataclass(frozen=True)
class Mounted:
    """One camera. `ego_from_camera` (4, 4), None where no board joins it to the vehicle.
    `deviations` (6,): standard deviations of the turn about its own x, y, z in radians and of its
    position in the ego frame in metres. `doubt` says why it is not verified."""

    ego_from_camera: Array | None
    deviations: Array | None
    boards: int
    rms_px: float | None
    doubt: str | None


@dataclass(frozen=True)
class RigCalibration:
    """`cameras` by name; `outliers`: sightings left out, with their error in pixels; `off_tape`:
    how far, in metres, measured boards lie from where the pictures put them."""

    cameras: dict[str, Mounted]
    rms_px: float
    sightings_used: int
    outliers: dict[str, float]
    off_tape: dict[str, float]
    warnings: tuple[str, ...]


def calibrate_rig(found: Sightings, targets: Mapping[str, Target]) -> RigCalibration:
    """Raises BoardError when no camera saw a measured board, when the sightings or the measured
    boards contradict each other."""
    if not found.sightings:
        raise BoardError("no picture shows the board; is --board the one that was printed?")
    seen = {s.instant for s in found.sightings}
    if not seen & set(targets):
        raise BoardError(
            f"no camera saw a measured board ({', '.join(targets)}); name its pictures as in the "
            "file of targets, or write its name there as that of the pictures"
        )
    used = list(found.sightings)
    poses = first_poses(found.lenses, used, targets)
    used = [s for s in used if s.camera in poses.cameras and s.instant in poses.boards]
    candidates = len(used)
    outliers: dict[str, float] = {}
    while True:
        poses = _of(poses, used)
        result = adjust(found.lenses, used, targets, poses)
        rms = np.array([np.sqrt((r**2).sum(axis=1).mean()) for r in result.residuals])
        limit = max(_FAR, _OUTLIER * float(np.median(rms)))
        # The worst first: it bends its neighbours.
        bad = np.flatnonzero(rms > max(limit, 0.5 * rms.max()))
        if not len(bad):
            break
        outliers |= {used[i].name: float(rms[i]) for i in bad}
        if len(outliers) > _MAX_OUTLIERS * candidates:
            raise BoardError(_open(outliers, candidates))
        used = [s for i, s in enumerate(used) if i not in set(bad)]
        poses = first_poses(found.lenses, used, targets)
        used = [s for s in used if s.camera in poses.cameras and s.instant in poses.boards]
        if not used:  # what was left out held all others to the vehicle
            raise BoardError(_open(outliers, candidates))
    off_tape = {n: float(np.linalg.norm(r, axis=1).max()) for n, r in result.off_tape.items()}
    _check_tape(result, targets)
    cameras = {
        name: _mounted(name, result, used, rms, found.sightings) for name in sorted(found.lenses)
    }
    warnings = tuple(
        f"{name}: measured, and no picture shows it" for name in targets if name not in seen
    )
    total = np.concatenate([(r**2).sum(axis=1) for r in result.residuals])
    return RigCalibration(
        cameras, float(np.sqrt(total.mean())), len(used), outliers, off_tape, warnings
    )


def _of(poses: Poses, used: Sequence[Sighting]) -> Poses:
    """Those of `poses` that some sighting holds."""
    cameras, boards = {s.camera for s in used}, {s.instant for s in used}
    return Poses(
        {n: p for n, p in poses.cameras.items() if n in cameras},
        {n: p for n, p in poses.boards.items() if n in boards},
    )


def _open(outliers: Mapping[str, float], candidates: int) -> str:
    worst = sorted(outliers, key=lambda name: -outliers[name])[:4]
    cameras = Counter(name.split("/")[0] for name in outliers)
    camera, count = cameras.most_common(1)[0]
    return (
        f"the rig does not close: {len(outliers)} of {candidates} sightings contradict the others, "
        f"worst {', '.join(f'{n} ({outliers[n]:.0f} px)' for n in worst)}; {count} of them are of "
        f"camera '{camera}': check that its lens file and pictures are its own and not mirrored, "
        "and that no board moved between pictures of one name"
    )


def _check_tape(result: Adjusted, targets: Mapping[str, Target]) -> None:
    for name, off in result.off_tape.items():
        distance = np.linalg.norm(off, axis=1).max()
        if distance > max(_OFF_TAPE * targets[name].sigma * np.sqrt(3), 1e-3):
            raise BoardError(
                f"the rig does not close: '{name}' lies {distance:.3f} m from where it was "
                "measured, by the pictures and the other measured boards; measure them again"
            )


def _mounted(
    name: str,
    result: Adjusted,
    used: Sequence[Sighting],
    rms: Array,
    sightings: Sequence[Sighting],
) -> Mounted:
    if name not in result.poses.cameras:
        boards = sum(s.camera == name for s in sightings)
        why = f"{boards} boards seen, none in agreement with what joins it to the vehicle"
        if not boards:
            why = "no picture of it shows the board"
        return Mounted(None, None, 0, None, why)
    own = np.array([s.camera == name for s in used])
    boards = int(own.sum())
    deviations = np.sqrt(np.maximum(np.diagonal(result.covariances[name]), 0))
    angle, place = float(deviations[:3].max()), float(deviations[3:].max())
    doubt: str | None = None
    if boards < MIN_SIGHTINGS:
        doubt = f"{boards} boards only, {MIN_SIGHTINGS} are needed to confirm each other"
    elif angle > _UNSURE_ANGLE or place > _UNSURE_PLACE:
        doubt = (
            f"its pose is open by {np.degrees(angle):.2f} degree and {100 * place:.1f} cm; "
            "show it the board nearer and at other angles"
        )
    mean = float(np.sqrt((rms[own] ** 2).mean()))
    return Mounted(result.poses.cameras[name], deviations, boards, mean, doubt)
