"""The rig of a log, from the first calibration and transform of each camera."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration

from calib.errors import CalibError
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.log import channels
from deploy.log.frame_tree import FrameTree
from deploy.log.rig_messages import to_lens, to_pose

if TYPE_CHECKING:
    from deploy.log.reader import LogReader

_CALIBRATION = "foxglove.CameraCalibration"
_TRANSFORM = "foxglove.FrameTransform"
_TRANSFORMS = "foxglove.FrameTransforms"
_RATE_IMAGES = 10  # images that the rate of a camera without one is taken from
_DEFAULT_RATE_HZ = 10.0


def read_rig(log: LogReader) -> Rig:
    """The rig of `log`, in the order of its calibrations.

    Bucket and rate come from the metadata of our own logs; for other logs the bucket follows
    from the width and the rate from the first images.

    Raises:
        LogError: no calibration, one that is not a camera's, or a camera without a place.
    """
    calibrations, tree = _collect(log)
    if not calibrations:
        raise LogError(
            f"{log.path}: no {_CALIBRATION} message, so no rig; add calibration to the log"
        )
    cameras = [_camera(log, topic, found, tree) for topic, found in calibrations.items()]
    try:
        return Rig(_rig_name(log, list(calibrations)), tuple(cameras))
    except CalibError as error:
        raise LogError(f"{log.path}: {error}") from error


def _collect(log: LogReader) -> tuple[dict[str, CameraCalibration], FrameTree]:
    """First calibration of each topic and first transform of each frame; stops once complete."""
    wanted = log.topics_of(_CALIBRATION)
    moving = log.topics_of(_TRANSFORM) | log.topics_of(_TRANSFORMS)
    calibrations: dict[str, CameraCalibration] = {}
    tree = FrameTree()
    for message in log.messages(wanted | moving):
        if message.topic in wanted:
            calibrations.setdefault(message.topic, message.decode())
        else:
            decoded = message.decode()
            single = message.schema == _TRANSFORM
            for transform in [decoded] if single else decoded.transforms:
                if transform.child_frame_id in tree:
                    continue
                try:
                    pose = to_pose(transform)
                except ValueError as error:
                    raise LogError(
                        f"{log.path}: transform of frame '{transform.child_frame_id}': {error}"
                    ) from error
                tree.add(transform.parent_frame_id, transform.child_frame_id, pose)
        frames = [found.frame_id for found in calibrations.values()]
        placed = all(tree.ego_from(frame)[1] is not None for frame in frames)
        if placed and len(calibrations) == len(wanted):
            break
    return calibrations, tree


def _camera(log: LogReader, topic: str, found: CameraCalibration, tree: FrameTree) -> Camera:
    name = channels.camera_name(topic, found.frame_id)
    root, ego_from_camera = tree.ego_from(found.frame_id)
    if ego_from_camera is None:
        raise LogError(
            f"{log.path}: camera '{name}': its frame '{found.frame_id}' hangs on '{root}', not on"
            f" '{channels.EGO_FRAME}'; add a foxglove.FrameTransform"
        )
    metadata = {**log.metadata(channels.image_topic(name)), **log.metadata(topic)}
    try:
        rate = metadata.get(channels.META_RATE_HZ)
        return Camera(
            name,
            to_lens(found),
            ego_from_camera,
            float(rate) if rate else _measured_rate(log, name),
            metadata.get(channels.META_BUCKET) or channels.bucket_of_width(found.width),
        )
    except (CalibError, ValueError) as error:
        raise LogError(f"{log.path}: camera '{name}': {error}") from error


def _measured_rate(log: LogReader, name: str) -> float:
    stamps: list[int] = []
    for image in log.images() if log.image_topics else ():
        if image.camera == name:
            stamps.append(image.stamp_ns)
        if len(stamps) == _RATE_IMAGES:
            break
    gaps = [later - earlier for earlier, later in pairwise(sorted(stamps)) if later > earlier]
    return 1e9 / median(gaps) if gaps else _DEFAULT_RATE_HZ


def _rig_name(log: LogReader, topics: list[str]) -> str:
    return log.metadata(topics[0]).get(channels.META_RIG) or log.path.stem
