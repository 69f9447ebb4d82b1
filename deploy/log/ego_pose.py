"""How the vehicle moved, as the log tells it on /tf: the ego frame in a frame that stays."""

from bisect import bisect_left
from collections.abc import Iterator

import cv2
import numpy as np
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from numpy.typing import NDArray

from deploy.errors import LogError
from deploy.log import channels
from deploy.log.reader import LogReader
from deploy.log.rig_messages import to_pose

# An older pose says nothing about now.
MAX_AGE_NS = 100_000_000
# Between poses farther apart the vehicle may have done anything.
MAX_GAP_NS = 250_000_000


class EgoTrack:
    """All poses of a log, for any time between them.

    Raises:
        LogError: a pose is damaged.
    """

    def __init__(self, reader: LogReader) -> None:
        poses = dict(_poses(reader))
        self._stamps = sorted(poses)
        self._poses = [poses[stamp] for stamp in self._stamps]

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """(4, 4) world_from_ego, steady between the poses before and after; None where one of
        them is missing, or both are farther apart than MAX_GAP_NS."""
        after = bisect_left(self._stamps, stamp_ns)
        if after < len(self._stamps) and self._stamps[after] == stamp_ns:
            return np.array(self._poses[after])
        if not 0 < after < len(self._stamps):
            return None
        start, end = self._stamps[after - 1 : after + 1]
        if end - start > MAX_GAP_NS:
            return None
        part = (stamp_ns - start) / (end - start)
        first, last = self._poses[after - 1 : after + 1]
        turn, _ = cv2.Rodrigues(first[:3, :3].T @ last[:3, :3])
        pose = np.eye(4)
        pose[:3, :3] = first[:3, :3] @ cv2.Rodrigues(part * turn)[0]
        pose[:3, 3] = (1 - part) * first[:3, 3] + part * last[:3, 3]
        return pose


def _poses(reader: LogReader, start_ns: int = 0) -> Iterator[tuple[int, NDArray[np.float64]]]:
    topics = {channels.TRANSFORMS} & reader.topics_of(FrameTransform.DESCRIPTOR.full_name)
    for message in reader.messages(topics, start_ns):
        transform = message.decode()
        if transform.child_frame_id == channels.EGO_FRAME:
            try:
                yield message.stamp_ns, to_pose(transform)
            except ValueError as error:
                raise LogError(
                    f"{message.log}: {channels.TRANSFORMS} at {message.stamp_ns} ns: {error}"
                ) from error


class EgoPoses:
    """Poses of the vehicle in order of time, read along with the images."""

    def __init__(self, reader: LogReader, start_ns: int = 0) -> None:
        """`start_ns`: time of the first pose that will be asked for."""
        self._ahead_of = _poses(reader, max(0, start_ns - MAX_AGE_NS))
        self._ahead = next(self._ahead_of, None)
        self._stamp_ns = 0
        self._pose: NDArray[np.float64] | None = None

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """(4, 4) world_from_ego, the newest at that time; None where the log has none within
        MAX_AGE_NS before it. Times must not fall from call to call.

        Raises:
            LogError: a pose is damaged.
        """
        while self._ahead is not None and self._ahead[0] <= stamp_ns:
            self._stamp_ns, self._pose = self._ahead
            self._ahead = next(self._ahead_of, None)
        return self._pose if stamp_ns - self._stamp_ns <= MAX_AGE_NS else None
