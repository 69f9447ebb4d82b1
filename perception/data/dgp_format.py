"""Files of a DGP scene: its data, class lists, 2D boxes and how well they were seen.

Format: Toyota Research Institute's Dataset Governance Policy, dgp/proto/*.proto of
https://github.com/TRI-ML/dgp, as JSON. Protobuf's JSON leaves out values that are zero, so
every number has zero as its default here.
"""

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import Field, field_validator

from calib.formats.dgp_records import Record

# dgp.proto.AnnotationType, as JSON keys
BOUNDING_BOX_2D = "0"
BOUNDING_BOX_3D = "1"


class Identity(Record):
    """`name`: of the sensor; a sample has none. `timestamp`: RFC 3339."""

    name: str = ""
    timestamp: str

    @field_validator("timestamp")
    @classmethod
    def _is_time(cls, text: str) -> str:
        Timestamp().FromJsonString(text)
        return text

    @property
    def stamp_ns(self) -> int:
        """Integer nanoseconds since 1970."""
        stamp = Timestamp()
        stamp.FromJsonString(self.timestamp)
        return stamp.ToNanoseconds()


class Image(Record):
    """`annotations`: file of each annotation type."""

    filename: str
    width: int = 0
    height: int = 0
    annotations: dict[str, str] = Field(default_factory=dict)


class PointCloud(Record):
    """`point_format`: meaning of each column."""

    filename: str
    point_format: list[str] = Field(default_factory=list)
    annotations: dict[str, str] = Field(default_factory=dict)


class DatumValue(Record):
    """One of these; other kinds of datum have neither."""

    image: Image | None = None
    point_cloud: PointCloud | None = None


class Datum(Record):
    """What one sensor measured once."""

    id: Identity
    key: str
    datum: DatumValue


class Sample(Record):
    """The data of one instant."""

    id: Identity
    datum_keys: list[str]
    calibration_key: str


class Scene(Record):
    """`ontologies`: key of the class list of each annotation type."""

    name: str = ""
    samples: list[Sample]
    data: list[Datum]
    ontologies: dict[str, str] = Field(default_factory=dict)


class OntologyItem(Record):
    """One class."""

    id: int = 0
    name: str


class Ontology(Record):
    """The class list."""

    items: list[OntologyItem]


class Box2dGeometry(Record):
    """Pixels from the image's border: upper left corner, width, height."""

    x: float = 0
    y: float = 0
    w: float = 0
    h: float = 0


class Box2dAnnotation(Record):
    """One object."""

    class_id: int = 0
    instance_id: int = 0  # unique in the scene
    iscrowd: bool = False
    box: Box2dGeometry


class Box2dAnnotations(Record):
    """One file of 2D boxes."""

    annotations: list[Box2dAnnotation] = Field(default_factory=list)


class LidarCount(Record):
    """Of one 3D box: how many points of the lidar are inside."""

    instance_id: int = 0
    num_points: int = 0


class LidarCounts(Record):
    """One file of 3D boxes, less the boxes themselves."""

    annotations: list[LidarCount] = Field(default_factory=list)
