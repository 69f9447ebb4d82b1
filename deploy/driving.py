"""A log of driving, as what each camera saw of it: the input of `calib.driving`."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from calib.driving.flow import FlowPair
from calib.driving.tracker import PairTracker
from calib.rig import Rig
from deploy.log.ego_pose import EgoTrack
from deploy.log.reader import LogReader
from deploy.loop.frames import decode_image

_PAIRS = 200
"""Of one camera, spread over the log: more add time and little else."""


@dataclass(frozen=True)
class Drive:
    """`pairs` of each camera of a rig; `unusable`: why images of a camera could not be used;
    `has_poses`: whether the log tells how the vehicle moved."""

    pairs: dict[str, list[FlowPair]]
    unusable: dict[str, str]
    has_poses: bool


def follow_drive(
    reader: LogReader, rig: Rig, progress: Callable[[int], None] = lambda images: None
) -> Drive:
    """Read the log once. `progress` is told the images gone through.

    Raises LogError when the log has no images, or is damaged.
    """
    track = EgoTrack(reader)
    every_s = reader.duration_s / _PAIRS
    trackers = {camera.name: PairTracker(camera, every_s=every_s) for camera in rig}
    pairs: dict[str, list[FlowPair]] = {camera.name: [] for camera in rig}
    unusable: dict[str, str] = {}
    has_poses = False
    for number, encoded in enumerate(reader.images(), 1):
        progress(number)
        tracker = trackers.get(encoded.camera)
        if tracker is None:
            continue
        pose, stamp_s = track.at(encoded.stamp_ns), encoded.stamp_ns / 1e9
        has_poses |= pose is not None
        if not tracker.wants(stamp_s, pose):
            continue
        image, note = decode_image(encoded, rig[encoded.camera])
        if image is None:
            unusable[encoded.camera] = note
            continue
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        pair = tracker.add(stamp_s, grey, pose)
        if pair is not None:
            pairs[encoded.camera].append(pair)
    return Drive(pairs, unusable, has_poses)
