"""Camera: one lens, mounted somewhere on the vehicle."""

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib.errors import RigError
from calib.lens import Lens
from calib.pose import invert

ROTATION_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera: its lens and where it is.

    `ego_from_camera`: (4, 4) float64, read-only, camera optical frame to ego frame, metres.
    `rate_hz`: frames per second. `bucket`: the network input size that it feeds, by name.

    Raises RigError for a name that cannot be a log topic or a pose that is not rigid.
    """

    name: str
    lens: Lens
    ego_from_camera: NDArray[np.float64]
    rate_hz: float
    bucket: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            raise RigError(f"name is {self.name!r}; use letters, digits, _ and -")
        if not 0 < self.rate_hz < math.inf:
            raise RigError(f"rate_hz is {self.rate_hz}; give a number above 0")
        if not self.bucket:
            raise RigError("bucket is empty; name a network input size, such as large or small")
        pose = np.array(self.ego_from_camera, np.float64)  # a copy: nobody else may change it
        check_rigid(pose, "ego_from_camera")
        pose.flags.writeable = False
        object.__setattr__(self, "ego_from_camera", pose)
        object.__setattr__(self, "rate_hz", float(self.rate_hz))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Camera) and (
            (self.name, self.lens, self.rate_hz, self.bucket)
            == (other.name, other.lens, other.rate_hz, other.bucket)
            and np.array_equal(self.ego_from_camera, other.ego_from_camera)
        )

    def __hash__(self) -> int:
        return hash((self.name, self.lens, self.rate_hz, self.bucket))

    @cached_property
    def camera_from_ego(self) -> NDArray[np.float64]:
        """(4, 4), the inverse of `ego_from_camera`, read-only."""
        inverse = invert(self.ego_from_camera)
        inverse.flags.writeable = False
        return inverse

    def project(self, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """`Lens.project` of ego-frame points (..., 3) in metres."""
        pose = self.camera_from_ego
        return self.lens.project(np.asarray(points, np.float64) @ pose[:3, :3].T + pose[:3, 3])

    def unproject(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Unit rays (..., 3) in the ego frame of pixels (..., 2). They start at the camera,
        `ego_from_camera[:3, 3]`. NaN where the lens has no inverse."""
        return self.lens.unproject(pixels) @ self.ego_from_camera[:3, :3].T


def check_rigid(pose: NDArray[np.float64], name: str) -> None:
    """Raises RigError, calling the matrix `name`, unless `pose` is a rigid 4x4 transform."""
    if pose.shape != (4, 4):
        raise RigError(f"{name} has shape {pose.shape}; give 4 rows of 4 numbers")
    if not np.isfinite(pose).all():
        row, column = np.argwhere(~np.isfinite(pose))[0]
        raise RigError(f"{name}[{row}][{column}] is {pose[row, column]}; give a finite number")
    if not np.array_equal(pose[3], [0, 0, 0, 1]):
        raise RigError(f"{name}'s last row is {pose[3].tolist()}; give [0, 0, 0, 1]")
    rotation = pose[:3, :3]
    error = np.abs(rotation.T @ rotation - np.eye(3)).max()
    determinant = np.linalg.det(rotation)
    if error > ROTATION_TOLERANCE or determinant < 0:
        raise RigError(
            f"{name} is not a rotation (off by {error:.2g}, determinant "
            f"{determinant:.3g}); give orthonormal right-handed axes"
        )
