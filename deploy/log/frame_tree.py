"""Frames that hang on one another, as transform messages tell them piece by piece."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from deploy.log import channels

# What ROS's REP 105 calls the vehicle's own frame.
BASE_LINK = "base_link"


class FrameTree:
    """Frames and their parents. The first transform of a frame stays: cameras don't move on a
    vehicle. `roots`: the frames that count as ego."""

    def __init__(self, roots: Collection[str] = (channels.EGO_FRAME, BASE_LINK)) -> None:
        self._roots = roots
        self._parents: dict[str, tuple[str, NDArray[np.float64]]] = {}

    def add(self, parent: str, child: str, parent_from_child: NDArray[np.float64]) -> None:
        """Take in one transform (4, 4), metres."""
        self._parents.setdefault(child, (parent, parent_from_child))

    def __contains__(self, child: str) -> bool:
        return child in self._parents

    def ego_from(self, frame: str) -> tuple[str, NDArray[np.float64] | None]:
        """The frame that `frame` hangs on in the end, and ego_from_frame if that is the ego."""
        pose = np.eye(4)
        seen = set()
        while frame not in self._roots:
            if frame not in self._parents or frame in seen:
                return frame, None
            seen.add(frame)
            frame, parent_from_frame = self._parents[frame]
            pose = parent_from_frame @ pose
        return frame, pose
