"""Files of a DGP scene: calibration and 3D boxes. The rest is in perception/data/dgp_format.py.

Format: Toyota Research Institute's Dataset Governance Policy, dgp/proto/*.proto of
https://github.com/TRI-ML/dgp, as JSON. Protobuf's JSON leaves out values that are zero, so
every number has zero as its default here.
"""

from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploy.errors import LogError
from deploy.log.rotation import from_quaternion, to_matrix
from perception.data.dgp_format import Record


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
        from_quaternion(self.qx, self.qy, self.qz, self.qw)
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


class BoxGeometry(Record):
    """Metres; origin of the pose at the centre, x along the length, z up."""

    pose: Pose
    width: float
    length: float
    height: float


class BoxAnnotation(Record):
    """One object, in the frame of the sensor that the file belongs to."""

    class_id: int = 0
    instance_id: int = 0  # unique in the scene
    num_points: int = 0  # of the lidar, inside the box
    box: BoxGeometry


class BoxAnnotations(Record):
    """One file of 3D boxes."""

    annotations: list[BoxAnnotation] = Field(default_factory=list)


Model = TypeVar("Model", bound=BaseModel)


def read_bytes(path: Path) -> bytes:
    """Content of a file that the scene names. Raises LogError if it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: can't be read ({error.strerror}); restore the scene") from error


def load(path: Path, model: type[Model]) -> Model:
    """Read and check one JSON file.

    Raises:
        LogError: the file is missing, not JSON, or not in the format.
    """
    try:
        return model.model_validate_json(read_bytes(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise LogError(
            f"{path}: not DGP {model.__name__}: {where}: {first['msg']}; restore the scene"
        ) from error
