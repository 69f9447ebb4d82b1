"""Boxes of objects in the ego frame <-> Foxglove's SceneUpdate, on /truth/objects and the like."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from foxglove_schemas_protobuf.Color_pb2 import Color
from foxglove_schemas_protobuf.CubePrimitive_pb2 import CubePrimitive
from foxglove_schemas_protobuf.KeyValuePair_pb2 import KeyValuePair
from foxglove_schemas_protobuf.Pose_pb2 import Pose
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.SceneEntity_pb2 import SceneEntity
from foxglove_schemas_protobuf.SceneEntityDeletion_pb2 import SceneEntityDeletion
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3

from calib.rotation import to_matrix, to_quaternion
from deploy.log import channels
from deploy.log.stamps import to_timestamp

META_CLASS = "class"

_COLOURS = {
    "vehicle": (0.16, 0.55, 1.0),
    "pedestrian": (1.0, 0.25, 0.35),
    "cyclist": (1.0, 0.7, 0.1),
}
_OTHER_COLOUR = (0.7, 0.7, 0.7)
# Corners of a box of size 1: bottom four, then top four, each going round.
_CORNERS = np.array(
    [
        (x, y, z)
        for z in (-0.5, 0.5)
        for x, y in ((0.5, 0.5), (0.5, -0.5), (-0.5, -0.5), (-0.5, 0.5))
    ]
)


@dataclass(frozen=True)
class Box:
    """One object. `ego_from_box`: (4, 4), origin at the centre, x along the length, z up.

    `size`: length, width, height in metres. `metadata`: more about it, shown by viewers.
    """

    id: str
    object_class: str
    ego_from_box: np.ndarray
    size: tuple[float, float, float]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def corners(self) -> np.ndarray:
        """(8, 3) in the ego frame, metres: bottom four, then top four, each going round."""
        rotation, centre = self.ego_from_box[:3, :3], self.ego_from_box[:3, 3]
        return (_CORNERS * self.size) @ rotation.T + centre


def to_scene_update(boxes: Iterable[Box], stamp_ns: int) -> SceneUpdate:
    """All boxes of one instant; they replace those of the instant before."""
    stamp = to_timestamp(stamp_ns)
    everything = SceneEntityDeletion(timestamp=stamp, type=SceneEntityDeletion.ALL)
    entities = [
        SceneEntity(
            timestamp=stamp,
            frame_id=channels.EGO_FRAME,
            id=box.id,
            frame_locked=True,
            metadata=[
                KeyValuePair(key=key, value=value)
                for key, value in {META_CLASS: box.object_class, **box.metadata}.items()
            ],
            cubes=[_cube(box)],
        )
        for box in boxes
    ]
    return SceneUpdate(deletions=[everything], entities=entities)


def from_scene_update(update: SceneUpdate) -> list[Box]:
    """The boxes of an update: one for each cube of each entity in it."""
    boxes = []
    for entity in update.entities:
        metadata = {pair.key: pair.value for pair in entity.metadata}
        object_class = metadata.pop(META_CLASS, "")
        for cube in entity.cubes:
            p, q = cube.pose.position, cube.pose.orientation
            pose = to_matrix((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
            size = (cube.size.x, cube.size.y, cube.size.z)
            boxes.append(Box(entity.id, object_class, pose, size, metadata))
    return boxes


def _cube(box: Box) -> CubePrimitive:
    px, py, pz = box.ego_from_box[:3, 3].tolist()
    x, y, z, w = to_quaternion(box.ego_from_box[:3, :3])
    r, g, b = _COLOURS.get(box.object_class, _OTHER_COLOUR)
    length, width, height = box.size
    return CubePrimitive(
        pose=Pose(position=Vector3(x=px, y=py, z=pz), orientation=Quaternion(x=x, y=y, z=z, w=w)),
        size=Vector3(x=length, y=width, z=height),
        color=Color(r=r, g=g, b=b, a=0.5),
    )
