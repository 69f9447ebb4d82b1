"""The calibration of a DGP scene, calibration/*.json, as records.

Format: Toyota Research Institute's Dataset Governance Policy, dgp/proto/*.proto of
https://github.com/TRI-ML/dgp, as JSON. Protobuf's JSON leaves out values that are zero, so
every number has zero as its default here.
"""

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from calib.errors import CalibError
from calib.lens import Lens
from calib.rotation import from_unit_quaternion, to_matrix


class Record(BaseModel):
    """Base of all: no number may be NaN or infinite."""

    model_config = ConfigDict(allow_inf_nan=False)


class Translation(Record):
    """Metres."""

    x: float = 0
    y: float = 0
    z: float = 0


class Rotation(Record):
    """Unit quaternion."""

    qw: float = 0
    qx: float = 0
    qy: float = 0
    qz: float = 0

    @model_validator(mode="after")
    def _is_rotation(self) -> "Rotation":
        from_unit_quaternion(self.qx, self.qy, self.qz, self.qw)
        return self


class Pose(Record):
    """Pose of a sensor or box in its parent frame."""

    translation: Translation = Translation()
    rotation: Rotation

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) parent_from_child."""
        t, q = self.translation, self.rotation
        return to_matrix((t.x, t.y, t.z), (q.qx, q.qy, q.qz, q.qw))


class Intrinsics(Record):
    """Pinhole with Brown-Conrady coefficients. Extra fields belong to other camera models."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    fx: float = 0
    fy: float = 0
    cx: float = 0
    cy: float = 0
    k1: float = 0
    k2: float = 0
    p1: float = 0
    p2: float = 0
    k3: float = 0
    k4: float = 0
    k5: float = 0
    k6: float = 0
    fov: float = 0


class Calibration(Record):
    """Sensors by position: name, intrinsics, pose in the frame of the first sensor."""

    names: list[str]
    intrinsics: list[Intrinsics]
    extrinsics: list[Pose]

    @model_validator(mode="after")
    def _is_parallel(self) -> "Calibration":
        counts = {len(self.names), len(self.intrinsics), len(self.extrinsics)}
        if len(counts) > 1:
            raise ValueError("names, intrinsics and extrinsics differ in number")
        return self


def to_lens(found: Intrinsics, width: int, height: int) -> Lens:
    """The lens of an image of that size.

    Raises CalibError for a parameter of another model, or values that no lens has.
    """
    unknown = [name for name, value in (found.model_extra or {}).items() if value]
    if unknown:
        raise CalibError(f"lens parameter '{unknown[0]}' is set; only Brown-Conrady is read")
    f = found
    distortion = (f.k1, f.k2, f.p1, f.p2, f.k3, f.k4, f.k5, f.k6)
    return Lens(
        *("pinhole", width, height, f.fx, f.fy, f.cx, f.cy),
        distortion if any(distortion) else (),
    )
