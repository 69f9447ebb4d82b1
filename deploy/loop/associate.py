"""Associate: one object for each thing, whoever saw it."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from deploy.loop.locate import Sighting

# Two places are one within so many sigmas of their difference: 96 % in two dimensions.
MAX_SIGMAS = 2.5
# Apart from noise, two cameras see different sides of one thing; metres by class.
SIDES_M = {"vehicle": 0.6, "cyclist": 0.3, "pedestrian": 0.2}
# However unsure both are, further apart they are two.
MAX_APART_M = {"vehicle": 6.0, "cyclist": 3.0, "pedestrian": 3.0}
# Two vehicles would overlap if they stood within this ellipse and so many sigmas of each other:
# half axes in metres along our heading, as most traffic goes, and across it.
BODY_M = (3.2, 1.6)
OVERLAP_SIGMAS, MAX_OVERLAP_M = 1.8, 5.0
# So many sigmas nearer where a camera's box lies as its box before: much of an error in distance
# goes away between neighbours, for they share it, and boxes tell them apart.
BOX_SIGMAS = 2.0
_NEVER = 1e6
_NO_BOX = (0.0, 0.0, 0.0, 0.0)


def associate(cameras: Iterable[list[Sighting]]) -> list[Sighting]:
    """The things that several cameras saw, nearest first, each weighted by certainty.

    Camera by camera, what it saw is matched one to one with what is known (Kuhn 1955), by distance
    in sigmas: a camera reports different things. Where it reports one vehicle twice all the same,
    the better score stays.
    """
    known: list[Sighting] = []
    for seen in cameras:
        pairs = match(known, seen)
        new = [s for i, s in enumerate(seen) if i not in pairs.values()]
        known = [merged(k, seen[pairs[i]]) if i in pairs else k for i, k in enumerate(known)]
        known += new
    apart = _without_overlaps(known)
    return sorted(apart, key=lambda s: math.hypot(*s.position))


def match(known: list[Sighting], seen: list[Sighting]) -> dict[int, int]:
    """Index into `seen` by index into `known`: the pairs of one class of least distance in
    sigmas, all together; pairs too far apart are none.

    A box that covers the one in which the same camera saw the known thing before counts as nearer:
    distance is the least certain of what a picture tells, its place in the picture the most.
    """
    if not known or not seen:
        return {}
    apart = np.array([k.position for k in known])[:, None] - np.array([s.position for s in seen])
    sides = np.array([SIDES_M.get(k.label, 0.5) for k in known])[:, None, None, None] ** 2
    covariance = (
        np.array([k.covariance for k in known])[:, None]
        + np.array([s.covariance for s in seen])[None]
        + sides * np.eye(2)
    )
    sigmas = mahalanobis(apart, covariance) - BOX_SIGMAS * _covered(known, seen)
    limit = np.array([MAX_APART_M.get(k.label, 3.0) for k in known])[:, None]
    labels = np.array([k.label for k in known])[:, None] == np.array([s.label for s in seen])
    near = labels & (sigmas <= MAX_SIGMAS) & (np.linalg.norm(apart, axis=-1) <= limit)
    rows, columns = linear_sum_assignment(np.where(near, sigmas, _NEVER))
    good = near[rows, columns]
    return dict(zip(rows[good].tolist(), columns[good].tolist(), strict=True))


def _covered(known: list[Sighting], seen: list[Sighting]) -> NDArray[np.float64]:
    """Intersection over union (known, seen) of the boxes of one camera, the best of the cameras
    that both have; 0 where they have none."""
    best = np.zeros((len(known), len(seen)))
    for camera in sorted({camera for s in seen for camera in s.boxes}):
        mine = np.array([k.boxes.get(camera, _NO_BOX) for k in known])[:, None]
        theirs = np.array([s.boxes.get(camera, _NO_BOX) for s in seen])[None]
        last, first = np.minimum(mine, theirs)[..., 2:], np.maximum(mine, theirs)[..., :2]
        both = np.maximum(last - first, 0).prod(axis=-1)
        either = _area(mine) + _area(theirs) - both
        best = np.maximum(best, both / np.maximum(either, 1e-9))
    return best


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def mahalanobis(
    offset: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Length of offsets (..., 2) in sigmas of covariances (..., 2, 2)."""
    a, b, d = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    x, y = offset[..., 0], offset[..., 1]
    squared = (d * x * x - 2 * b * x * y + a * y * y) / (a * d - b * b)
    return np.sqrt(np.maximum(squared, 0))


def inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a (2, 2); a tenth of the time of NumPy's, and the loop needs a hundred a tick."""
    (a, b), (c, d) = matrix.tolist()
    return np.array([[d, -b], [-c, a]]) / (a * d - b * c)


def merged(a: Sighting, b: Sighting) -> Sighting:
    """One thing of two sightings of it, each weighted by certainty."""
    mine, theirs = inverse(a.covariance), inverse(b.covariance)
    covariance = inverse(mine + theirs)
    better, other = (a, b) if a.sigma <= b.sigma else (b, a)
    return replace(
        a,
        score=max(a.score, b.score),
        position=covariance @ (mine @ a.position + theirs @ b.position),
        covariance=covariance,
        height=other.height if better.height is None else better.height,
        boxes={**a.boxes, **b.boxes},
    )


def _without_overlaps(sightings: list[Sighting]) -> list[Sighting]:
    """The sightings without the vehicles that stand in one of a better score."""
    kept = [s for s in sightings if s.label != "vehicle"]
    vehicles: list[Sighting] = []
    for candidate in sorted(sightings, key=lambda s: -s.score):
        if candidate.label == "vehicle" and not any(overlap(v, candidate) for v in vehicles):
            vehicles.append(candidate)
    return kept + vehicles


def overlap(a: Sighting, b: Sighting) -> bool:
    """Whether two vehicles would stand in each other."""
    offset = b.position - a.position
    if math.hypot(*offset) > MAX_OVERLAP_M:  # most are: no need for sigmas
        return False
    covariance = OVERLAP_SIGMAS**2 * (a.covariance + b.covariance) + np.diag(np.square(BODY_M))
    return bool(mahalanobis(offset, covariance) < 1)
