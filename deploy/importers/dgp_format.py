"""Files of a DGP scene: 3D boxes. Its calibration is in calib/formats/dgp_records.py, the rest in
perception/data/dgp_format.py.

Format: Toyota Research Institute's Dataset Governance Policy, dgp/proto/*.proto of
https://github.com/TRI-ML/dgp, as JSON. Protobuf's JSON leaves out values that are zero, so
every number has zero as its default here.
"""

from pydantic import Field

from calib.formats.dgp_records import Pose, Record


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
