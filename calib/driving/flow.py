"""What one camera saw of the vehicle moving a little: points in two of its frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FlowPair:
    """Points found again in a second frame.

    `before`, `after`: (N, 2) pixels in the two frames. `ego_motion`: (4, 4) ego0_from_ego1, the
    vehicle's second place in its first frame, metres; None where nobody measured it.
    `stamp_s`: when the first frame was taken.
    """

    stamp_s: float
    before: Array
    after: Array
    ego_motion: Array | None
