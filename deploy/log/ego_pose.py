"""How the vehicle moved, as the log tells it on /tf: the ego frame in a frame that stays."""

import numpy as np
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from numpy.typing import NDArray

from deploy.errors import LogError
from deploy.log import channels
from deploy.log.reader import LogReader
from deploy.log.rig_messages import to_pose

# An older pose says nothing about now.
MAX_AGE_NS = 100_000_000


class EgoPoses:
    """Poses of the vehicle in order of time, read along with the images."""

    def __init__(self, reader: LogReader, start_ns: int = 0) -> None:
        """`start_ns`: time of the first pose that will be asked for."""
        topics = {channels.TRANSFORMS} & reader.topics_of(FrameTransform.DESCRIPTOR.full_name)
        self._messages = reader.messages(topics, max(0, start_ns - MAX_AGE_NS))
        self._ahead = next(self._messages, None)
        self._stamp_ns = 0
        self._pose: NDArray[np.float64] | None = None

    def at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """(4, 4) world_from_ego, the newest at that time; None where the log has none within
        MAX_AGE_NS before it. Times must not fall from call to call.

        Raises:
            LogError: a pose is damaged.
        """
        while self._ahead is not None and self._ahead.stamp_ns <= stamp_ns:
            transform = self._ahead.decode()
            if transform.child_frame_id == channels.EGO_FRAME:
                try:
                    self._pose = to_pose(transform)
                except ValueError as error:
                    raise LogError(
                        f"{self._ahead.log}: {channels.TRANSFORMS} at {self._ahead.stamp_ns} ns: "
                        f"{error}"
                    ) from error
                self._stamp_ns = self._ahead.stamp_ns
            self._ahead = next(self._messages, None)
        return self._pose if stamp_ns - self._stamp_ns <= MAX_AGE_NS else None
