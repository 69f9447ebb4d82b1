"""The truth of a log, as maps are scored on it."""

import numpy as np
from numpy.typing import NDArray

from deploy.log.boxes import Box
from deploy.log.grids import DRIVABLE_LAYER, GroundGrid

# Found or not, a vehicle that every camera sees less than half of does not count.
MAX_OCCLUSION = 0.5


def drivable_at(truth: GroundGrid, points: NDArray[np.float64]) -> NDArray[np.int8]:
    """1 where ego points (..., 2) are drivable, 0 where not, -1 outside the grid."""
    layer = truth.layers[DRIVABLE_LAYER]
    columns = np.floor((points[..., 0] - truth.x_min) / truth.cell).astype(int)
    rows = np.floor((points[..., 1] - truth.y_min) / truth.cell).astype(int)
    inside = (rows >= 0) & (rows < layer.shape[0]) & (columns >= 0) & (columns < layer.shape[1])
    values = layer[np.where(inside, rows, 0), np.where(inside, columns, 0)] == 100
    return np.where(inside, values, -1).astype(np.int8)


def enough_seen(box: Box) -> bool:
    """Whether some camera sees enough of it; real logs don't say, then it counts."""
    hidden = [float(v) for key, v in box.metadata.items() if key.startswith("occlusion/")]
    return not hidden or min(hidden) <= MAX_OCCLUSION
