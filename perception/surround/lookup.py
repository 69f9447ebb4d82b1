"""Where each camera sees the points of the grid: calibration, as an input of the head.

Parameter-free bilinear lifting: each point over a cell is projected into every camera, and what
lies there is looked up (Harley et al. 2022, "Simple-BEV"). Few cameras see one cell, so a cell has
its own short list of them: the head does not look where nothing is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.letterbox import Letterbox
from calib.rig import Camera
from perception.spec import Bucket, ModelSpec
from perception.surround.spec import SurroundSpec

# A camera's weight is how many pixels of its scene map a cell is wide there, at most this.
MOST_PIXELS = 4.0


@dataclass(frozen=True)
class RigLookup:
    """The head's input `lookup` for one rig, float32 (looks, heights, rows, columns, 3). A cell has
    as many looks as the most cameras that see any cell; `cameras`: int64 (looks, rows, columns),
    whose look it is."""

    values: NDArray[np.float32]
    cameras: NDArray[np.int64]

    def without(self, absent: Sequence[int]) -> NDArray[np.float32]:
        """`values` as if the cameras at these places of the rig saw nothing."""
        if not absent:
            return self.values
        values = self.values.copy()
        values[..., 2] *= ~np.isin(self.cameras, absent)[:, None]
        return values


def rig_lookup(cameras: Sequence[Camera], model: ModelSpec, spec: SurroundSpec) -> RigLookup:
    """For scene maps that each lie in the top left corner of one as large as `canvas` says.

    Raises SpecError when a camera names a bucket that the model does not have.
    """
    points, size = spec.points(), canvas(cameras, model)
    each = np.stack([_camera_lookup(camera, points, size, model, spec) for camera in cameras])
    # Where the maps are stacked, y runs over all of them.
    places = np.arange(len(cameras)).reshape(-1, 1, 1, 1)
    each[..., 1] = (2 * places + each[..., 1] + 1) / len(cameras) - 1
    visible = (each[..., 2] > 0).any(axis=1)  # cameras, rows, columns
    looks = max(1, int(visible.sum(axis=0).max()))
    chosen = np.argsort(~visible, axis=0, kind="stable")[:looks]
    values = np.take_along_axis(each, chosen[:, None, :, :, None], axis=0)
    return RigLookup(values, chosen)


def canvas(cameras: Sequence[Camera], model: ModelSpec) -> Bucket:
    """Network pixels in which the picture of every camera has room.

    Raises SpecError when a camera names a bucket that the model does not have.
    """
    buckets = [model.bucket(camera.bucket) for camera in cameras]
    return Bucket(width=max(b.width for b in buckets), height=max(b.height for b in buckets))


def _camera_lookup(
    camera: Camera,
    points: NDArray[np.float64],
    size: Bucket,
    model: ModelSpec,
    spec: SurroundSpec,
) -> NDArray[np.float32]:
    own, stride = model.bucket(camera.bucket), model.output_stride
    box = Letterbox.fit(camera.lens.width, camera.lens.height, own.width, own.height)
    pixels, visible = camera.project(points)
    # Between the centres of the map's outermost pixels: what lies beside it on the canvas is no
    # part of the picture.
    edge = (stride - 1) / 2
    inside = np.clip(box.forward(pixels), edge, [own.width - 1 - edge, own.height - 1 - edge])
    shares = 2 * (inside + 0.5) / (size.width, size.height) - 1
    distance = np.linalg.norm(points - camera.ego_from_camera[:3, 3], axis=-1)
    # Of the lens's centre: close enough for a weight.
    pixels_per_metre = camera.lens.fx * box.scale[0] / stride / np.maximum(distance, spec.cell)
    weight = np.where(visible, np.minimum(pixels_per_metre * spec.cell, MOST_PIXELS), 0)
    found = np.concatenate([shares, weight[..., None]], axis=-1)
    return np.where(visible[..., None], found, 0).astype(np.float32)
