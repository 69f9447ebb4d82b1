"""What the pictures of a log have in common: matches between cameras and over time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from calib.check.evidence import Evidence, Matches, Motion
from calib.check.features import Features, find_features, match
from calib.encoded_image import decode
from calib.rig import Rig
from deploy.check.moments import Moment
from deploy.loop.frames import EncodedSet

_Key = tuple[str, int]
"""Camera and instant in nanoseconds."""


@dataclass(frozen=True)
class LogEvidence:
    """`image_sizes` (width, height) by camera, of those that have pictures."""

    evidence: Evidence
    image_sizes: dict[str, tuple[int, int]]


def log_evidence(
    moments: Sequence[Moment], rig: Rig, report: Callable[[int, int], None]
) -> LogEvidence:
    """`report` gets the pictures looked at and their number."""
    images = _images(moments)
    features: dict[_Key, Features] = {}
    sizes: dict[str, tuple[int, int]] = {}
    with ThreadPoolExecutor() as pool:  # OpenCV lets other threads run
        found = pool.map(_look, images.values())
        for done, (key, result) in enumerate(zip(images, found, strict=True), 1):
            report(done, len(images))
            if result is not None:
                sizes.setdefault(key[0], result[1])
                if sizes[key[0]] == result[1]:
                    features[key] = result[0]
    matches: list[Matches] = []
    for number, moment in enumerate(moments):
        now = moment.now.stamp_ns
        for a, b in combinations(rig.names, 2):
            matches += _matches(features, (a, now), (b, now), number, None)
        for name in rig.names:
            if moment.later and not _frozen(moment.now, moment.later, name):
                matches += _matches(
                    features, (name, now), (name, moment.later.stamp_ns), number, number
                )
    motions = [Motion(moment.seconds, moment.later_from_now) for moment in moments]
    return LogEvidence(Evidence(rig.names, matches, motions), sizes)


def _images(moments: Sequence[Moment]) -> dict[_Key, bytes]:
    sets = [frames for moment in moments for frames in (moment.now, moment.later) if frames]
    return {
        (name, frames.stamp_ns): image.data
        for frames in sets
        for name, image in frames.images.items()
    }


def _look(data: bytes) -> tuple[Features, tuple[int, int]] | None:
    """Features and size of an encoded image; None of one that can't be read."""
    grey = decode(data, cv2.IMREAD_GRAYSCALE)
    if grey is None:
        return None
    return find_features(np.asarray(grey, np.uint8)), (grey.shape[1], grey.shape[0])


def _frozen(now: EncodedSet, later: EncodedSet, name: str) -> bool:
    """A camera that stands still beside a moving car would seem to look at the far distance."""
    pair = now.images.get(name), later.images.get(name)
    return pair[0] is not None and pair[1] is not None and pair[0].data == pair[1].data


def _matches(
    features: dict[_Key, Features], a: _Key, b: _Key, moment: int, motion: int | None
) -> list[Matches]:
    if a not in features or b not in features:
        return []
    rows = match(features[a], features[b])
    a_pixels, b_pixels = features[a].pixels[rows[:, 0]], features[b].pixels[rows[:, 1]]
    return [Matches(a[0], b[0], moment, motion, a_pixels, b_pixels)]
