"""Files of a DGP scene: 3D boxes. Its calibration is in calib/formats/dgp_records.py, the rest in
perception/data/dgp_format.py.

Format: Toyota Research Institute's Dataset Governance Policy, dgp/proto/*.proto of
https://github.com/TRI-ML/dgp, as JSON. Protobuf's JSON leaves out values that are zero, so
every number has zero as its default here.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from calib.formats.dgp_records import Pose, Record
from deploy.errors import LogError


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
