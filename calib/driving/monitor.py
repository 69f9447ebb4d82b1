"""A camera's mounting watched while driving: the check of `calibrate drift`, as a stream."""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.driving.drift import Drift, judge
from calib.driving.estimate import estimate_mounting
from calib.driving.flow import FlowPair
from calib.driving.tracker import PairTracker


class MountingMonitor:
    """Says of one camera, again and again, whether it still looks where its file says.

    Feed it frames in order of time with `add`; it looks at a pair of them every `every_s` seconds,
    reduced to `width` pixels at most. `verdict` judges the last `window` pairs, which takes longer
    than a frame has: call it now and then from a thread of its own.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        every_s: float = 0.5,
        window: int = 60,
        points: int = 150,
        width: int = 640,
    ) -> None:
        scale = min(1.0, width / camera.lens.width)
        size = (round(camera.lens.width * scale), round(camera.lens.height * scale))
        lens = camera.lens.resized(*size)
        self._size = size
        self._camera = Camera(
            camera.name, lens, camera.ego_from_camera, camera.rate_hz, camera.bucket
        )
        self._tracker = PairTracker(self._camera, points, every_s)
        self._pairs: deque[FlowPair] = deque(maxlen=window)

    def add(
        self,
        stamp_s: float,
        image: NDArray[np.uint8],
        world_from_ego: NDArray[np.float64] | None,
    ) -> None:
        """A frame (height, width, 3) BGR of the camera's full size, taken at `stamp_s`, and the
        (4, 4) pose of the vehicle then, None where it isn't known. Most frames cost nothing."""
        if not self._tracker.wants(stamp_s, world_from_ego):
            return
        small = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        pair = self._tracker.add(stamp_s, np.asarray(grey, np.uint8), world_from_ego)
        if pair is not None:
            self._pairs.append(pair)

    def verdict(self) -> Drift:
        """`ok`, `moved` with what by how much, or `unknown` with what is missing. Safe to call
        from another thread while frames are added."""
        return judge(estimate_mounting(self._camera, tuple(self._pairs)))
