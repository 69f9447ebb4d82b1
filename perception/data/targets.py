"""Training targets of the detection head: objects as points.

Zhou, Wang, Kraehenbuehl 2019, "Objects as Points": each object is a peak at its centre in the
heatmap of its class, and its box is regressed there. As in Tian et al. 2019, "FCOS", a box is
its four edge distances, so that it need not be symmetric about the cell. As in Liu et al. 2020,
"Training-Time-Friendly Network", the peak has the box's proportions and every cell under it
learns the box, which takes several times fewer steps than learning it at the centre alone.

Cell (i, j) of the grid covers rows 4i..4i+3 and columns 4j..4j+3 of the network's input at
stride 4. Its centre is the input pixel (x, y) = (4j + 1.5, 4i + 1.5), pixel centres at integers.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perception.data.sample import Objects

_SIGMA_PER_SIDE = 0.54 / 6
"""Standard deviation of a peak along an axis, in parts of the box's side."""
_MIN_SIGMA = 0.6
"""Cells: even the smallest object trains the cells beside its centre, where its peak may be
found as well."""
_MAX_GROUND_OFFSET = 256.0
"""Pixels: a ground point further off lies far outside the picture, and one such would outweigh
all others in the loss."""
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """Grids of (h, w) cells for one image, float32."""

    heatmap: Array  # (n_classes, h, w): 1 at object centres, Gaussian around them
    regression: Array  # (6, h, w) pixels: left, top, right, bottom edge distance, ground x, y
    box_weight: Array  # (h, w): Gaussian around centres, each object's cells sum to 1
    ground_weight: Array  # (h, w): box_weight where the ground point is known
    heat_weight: Array  # (h, w): 0 under ignored boxes, else 1


def encode(
    objects: Objects, *, height: int, width: int, n_classes: int, stride: int = 4
) -> Targets:
    """Targets for an input of `width` x `height` pixels.

    At a cell with centre (x, y) the regression holds (x - x0, y - y0, x1 - x, y1 - y) of the box
    and (gx - x, gy - y) of the ground point. Beside the centre of a small box a distance may be
    negative.

    Where objects meet, a centre beats other cells, and then the box of smaller area wins.
    Ignored objects are no target; they switch the heatmap's loss off, except on the peaks of
    other objects.
    """
    h, w = height // stride, width // stride
    heat_weight = np.ones((h, w), np.float32)
    _, first, last = _cells(objects.boxes[objects.ignore], h, w, stride)
    for (j0, i0), (j1, i1) in zip(first, last, strict=True):
        heat_weight[i0 : i1 + 1, j0 : j1 + 1] = 0

    kept = np.flatnonzero(~objects.ignore)
    largest_first = kept[np.argsort(-_areas(objects.boxes[kept]), kind="stable")]
    boxes = objects.boxes[largest_first]
    classes = objects.classes[largest_first]
    ground_points = objects.ground_points[largest_first]

    # A Gaussian is separable: one row and one column for each object.
    centres, _, _ = _cells(boxes, h, w, stride)
    sigma = np.maximum(_SIGMA_PER_SIDE * (boxes[:, 2:] - boxes[:, :2]) / stride, _MIN_SIGMA)
    gauss_x = _gaussian(np.arange(w) - centres[:, :1], sigma[:, :1])  # (n, w)
    gauss_y = _gaussian(np.arange(h) - centres[:, 1:], sigma[:, 1:])  # (n, h)
    peaks = gauss_y[:, :, None] * gauss_x[:, None, :]  # (n, h, w)
    heatmap = np.zeros((n_classes, h, w), np.float32)
    for label in range(n_classes):
        heatmap[label] = peaks[classes == label].max(axis=0, initial=0)
    heat_weight[heatmap.any(axis=0)] = 1

    owners = np.full((h, w), -1)
    for n, peak in enumerate(peaks):  # the last write wins: large, then small boxes
        owners[peak > 0] = n
    owners[centres[:, 1], centres[:, 0]] = np.arange(len(boxes))
    y, x = np.nonzero(owners >= 0)
    owner = owners[y, x]

    middle = stride * np.stack([x, y], axis=1) + (stride - 1) / 2
    ground = ground_points[owner] - middle
    known = (np.abs(ground) <= _MAX_GROUND_OFFSET).all(axis=1)  # False for NaN too
    regression = np.zeros((6, h, w), np.float32)
    regression[0:2, y, x] = (middle - boxes[owner, :2]).T
    regression[2:4, y, x] = (boxes[owner, 2:] - middle).T
    regression[4:6, y, x] = np.where(known[:, None], ground, 0).T
    weight = peaks[owner, y, x]
    box_weight = np.zeros((h, w), np.float32)
    box_weight[y, x] = weight / np.bincount(owner, weight)[owner]
    ground_weight = np.zeros((h, w), np.float32)
    ground_weight[y, x] = box_weight[y, x] * known
    return Targets(heatmap, regression, box_weight, ground_weight, heat_weight)


def _areas(boxes: Array) -> Array:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _cells(
    boxes: Array, h: int, w: int, stride: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cells (x, y) of each box's centre, of its first and of its last corner, each (n, 2)."""
    edges = (boxes.reshape(-1, 2, 2) + 0.5) / stride  # 0 at the border of the first cell
    centre = np.floor(edges.mean(axis=1))
    first, last = np.floor(edges[:, 0]), np.ceil(edges[:, 1]) - 1
    limit = np.array([w, h]) - 1
    centre, first, last = (np.clip(c, 0, limit).astype(np.int64) for c in (centre, first, last))
    return centre, first, last


def _gaussian(distance: npt.NDArray[np.int64], sigma: Array) -> Array:
    """exp(-d^2 / 2 sigma^2), 0 beyond three sigma."""
    bell = np.exp(-0.5 * np.square(distance / sigma))
    return np.where(np.abs(distance) <= 3 * sigma, bell, 0).astype(np.float32)
