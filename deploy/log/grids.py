"""Grids on the ground plane of the ego frame <-> Foxglove's Grid, one byte a layer and cell."""

from dataclasses import dataclass

import numpy as np
from foxglove_schemas_protobuf.Grid_pb2 import Grid
from foxglove_schemas_protobuf.PackedElementField_pb2 import PackedElementField
from foxglove_schemas_protobuf.Pose_pb2 import Pose
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector2_pb2 import Vector2
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3
from numpy.typing import NDArray

from deploy.log import channels
from deploy.log.stamps import to_timestamp

DRIVABLE_LAYER = "drivable"
UNKNOWN = 255
"""Value of the drivable layer, else a percentage, where nothing is known."""


@dataclass(frozen=True)
class GroundGrid:
    """Layers of uint8 (rows, columns) by name. Rows run along y from `y_min`, columns along x
    from `x_min`; `cell` is their side. Metres."""

    x_min: float
    y_min: float
    cell: float
    layers: dict[str, NDArray[np.uint8]]


def to_grid(grid: GroundGrid, stamp_ns: int) -> Grid:
    """The message of a grid; its layers lie side by side in each cell."""
    cells = np.stack(list(grid.layers.values()), axis=-1)
    _, columns, count = cells.shape
    return Grid(
        timestamp=to_timestamp(stamp_ns),
        frame_id=channels.EGO_FRAME,
        pose=Pose(
            position=Vector3(x=grid.x_min, y=grid.y_min, z=0),
            orientation=Quaternion(x=0, y=0, z=0, w=1),
        ),
        column_count=columns,
        cell_size=Vector2(x=grid.cell, y=grid.cell),
        row_stride=columns * count,
        cell_stride=count,
        fields=[
            PackedElementField(name=name, offset=i, type=PackedElementField.UINT8)
            for i, name in enumerate(grid.layers)
        ],
        data=cells.tobytes(),
    )


def from_grid(message: Grid) -> GroundGrid:
    """The grid of a message that `to_grid` made.

    Raises:
        ValueError: its data does not fill its rows, or a layer is no byte.
    """
    columns, stride = message.column_count, message.cell_stride
    packed = stride > 0 and columns > 0 and message.row_stride == columns * stride
    if not packed or len(message.data) % message.row_stride:
        raise ValueError(
            f"a grid of {columns} columns, strides {message.row_stride} and {stride}, "
            f"has {len(message.data)} bytes"
        )
    if any(f.type != PackedElementField.UINT8 or f.offset >= stride for f in message.fields):
        raise ValueError("a grid's layer is no byte of its cells")
    cells = np.frombuffer(message.data, np.uint8).reshape(-1, columns, stride)
    origin = message.pose.position
    layers = {field.name: cells[..., field.offset] for field in message.fields}
    return GroundGrid(origin.x, origin.y, message.cell_size.x, layers)
