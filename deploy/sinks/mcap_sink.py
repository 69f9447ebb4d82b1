"""perception.mcap: results beside the images they came from, so that Foxglove opens it as it is."""

import math
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from foxglove_schemas_protobuf.Color_pb2 import Color
from foxglove_schemas_protobuf.Grid_pb2 import Grid
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from foxglove_schemas_protobuf.PackedElementField_pb2 import PackedElementField
from foxglove_schemas_protobuf.Point2_pb2 import Point2
from foxglove_schemas_protobuf.PointsAnnotation_pb2 import PointsAnnotation
from foxglove_schemas_protobuf.Pose_pb2 import Pose
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from foxglove_schemas_protobuf.TextAnnotation_pb2 import TextAnnotation
from foxglove_schemas_protobuf.TextPrimitive_pb2 import TextPrimitive
from foxglove_schemas_protobuf.Vector2_pb2 import Vector2
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3
from google.protobuf.timestamp_pb2 import Timestamp

from calib.rig import Rig
from deploy.health.diagnostics import SCHEMA as DIAGNOSTICS_SCHEMA
from deploy.health.diagnostics import diagnostics
from deploy.log import channels
from deploy.log.boxes import Box, to_scene_update
from deploy.log.stamps import to_timestamp
from deploy.log.writer import LogWriter
from deploy.loop.decode import CameraResult
from deploy.loop.ego_map import EgoMap, MapObject
from deploy.loop.pipeline import TickResult
from deploy.sinks.palette import DRIVABLE, GROUND, Rgb, object_colour
from deploy.sinks.surround_grid import surround_grid

HEALTH_SCHEMA = "octoview.Health"
TIMING_SCHEMA = "octoview.Timing"

# One byte per field and cell; Foxglove paints red, green, blue, alpha as they are.
GRID_FIELDS = ("red", "green", "blue", "alpha", "drivable", "confidence")
GRID_ALPHA = 160
# About eight ticks of the hw2 rig: the log's index, in memory until it ends, has an entry a chunk.
CHUNK_BYTES = 8 * 2**20


class McapSink:
    """Writes images, calibration, annotations, objects, grid and health of every tick.

    Wall times are in the log only where a tick has them, which in lockstep none has: equal logs
    give equal bytes. Without `images` the results stand alone. `in_place` as LogWriter has it.
    """

    def __init__(
        self, path: Path, rig: Rig, *, images: bool = True, in_place: bool = False
    ) -> None:
        self._writer = LogWriter(path, CHUNK_BYTES, in_place=in_place)
        self._images = images
        self._rig = rig
        self._empty = True

    def __enter__(self) -> "McapSink":
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, traceback)

    def flush(self) -> int:
        """See LogWriter.flush."""
        return self._writer.flush()

    def fileno(self) -> int:
        """See LogWriter.fileno."""
        return self._writer.fileno()

    def write(self, result: TickResult) -> None:
        """Append one tick."""
        stamp = result.frames.stamp_ns
        if self._empty:
            self._writer.rig(self._rig, stamp)
            self._empty = False
        for name, frame in result.frames.frames.items():
            # Corrupt and frozen images are passed on too: they are what the camera delivered.
            if self._images and frame.encoded is not None:
                image = frame.encoded
                self._writer.image(name, image.stamp_ns, image.data, image.format, image.sequence)
        for name, seen in result.cameras.items():
            own_stamp = result.frames.frames[name].stamp_ns or stamp
            annotations = image_annotations(seen, to_timestamp(own_stamp))
            self._writer.message(channels.annotations_topic(name), annotations, own_stamp)
        self._writer.message(channels.OBJECTS, scene_update(result.ego, stamp), stamp)
        self._writer.message(channels.DRIVABLE, drivable_grid(result), stamp)
        if result.surround is not None:
            self._writer.message(channels.SURROUND, surround_grid(result.surround, stamp), stamp)
        self._writer.json(channels.HEALTH, HEALTH_SCHEMA, health(result), stamp)
        self._writer.json(channels.DIAGNOSTICS, DIAGNOSTICS_SCHEMA, diagnostics(result), stamp)
        if result.stages_ms is not None:
            content = {"tick": result.frames.index, "milliseconds": dict(result.stages_ms)}
            self._writer.json(channels.TIMING, TIMING_SCHEMA, content, stamp)


def health(result: TickResult) -> dict[str, object]:
    """State of every camera in this tick, as JSON."""
    cameras = {}
    for name, frame in result.frames.frames.items():
        offset = None if frame.stamp_ns is None else frame.stamp_ns - result.frames.stamp_ns
        camera = {"status": frame.status, "offset_ns": offset, "note": frame.note}
        if name in result.health:
            camera |= {"state": result.health[name].state, "note": result.health[name].note}
        if name in result.failed:
            camera["network"] = result.failed[name]
        if frame.encoded is not None and frame.encoded.received_ns is not None:
            camera["received_ns"] = frame.encoded.received_ns
        cameras[name] = camera
    content: dict[str, object] = {
        "tick": result.frames.index,
        "cameras": cameras,
        "previous_frame_missing": sorted(result.repeated),
    }
    if result.system is not None:
        content["system"] = {
            part.name: {"level": part.level, "message": part.message, **part.values}
            for part in result.system.parts
        }
    return content


def image_annotations(result: CameraResult, stamp: Timestamp) -> ImageAnnotations:
    """Boxes with labels, ground points and outlines of the drivable area, in image pixels."""
    annotations = ImageAnnotations(timestamp=stamp)
    for outline in drivable_outlines(result):
        annotations.points.append(
            PointsAnnotation(
                timestamp=stamp,
                type=PointsAnnotation.LINE_LOOP,
                points=[Point2(x=x, y=y) for x, y in outline.tolist()],
                outline_color=_colour(DRIVABLE),
                fill_color=_colour(DRIVABLE, 0.25),
                thickness=2,
            )
        )
    for detection in result.objects:
        colour = _colour(object_colour(detection.label))
        x0, y0, x1, y1 = detection.box
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        annotations.points.append(
            PointsAnnotation(
                timestamp=stamp,
                type=PointsAnnotation.LINE_LOOP,
                points=[Point2(x=x, y=y) for x, y in corners],
                outline_color=colour,
                thickness=2,
            )
        )
        annotations.points.append(
            PointsAnnotation(
                timestamp=stamp,
                type=PointsAnnotation.POINTS,
                points=[Point2(x=detection.ground_point[0], y=detection.ground_point[1])],
                outline_color=colour,
                thickness=6,
            )
        )
        annotations.texts.append(
            TextAnnotation(
                timestamp=stamp,
                position=Point2(x=x0, y=y0),
                text=f"{detection.label} {detection.score:.2f}",
                font_size=18,
                text_color=Color(r=0, g=0, b=0, a=1),
                background_color=colour,
            )
        )
    return annotations


def drivable_outlines(result: CameraResult) -> list[np.ndarray]:
    """Outlines (n, 2) of the drivable area in pixels of the camera's image."""
    mask = (result.drivable >= 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    stride = result.letterbox.dst_width / mask.shape[1]
    limits = (result.letterbox.src_width - 1, result.letterbox.src_height - 1)
    outlines = []
    for contour in contours:
        simple = cv2.approxPolyDP(contour, 0.7, True)[:, 0].astype(np.float64)
        if len(simple) >= 3:
            network = (simple + 0.5) * stride - 0.5
            outlines.append(np.clip(result.letterbox.inverse(network), 0, limits))
    return outlines


def scene_update(ego: EgoMap, stamp_ns: int) -> SceneUpdate:
    """A cube with a label for each object; objects of the tick before are removed."""
    update = to_scene_update((_box(i, thing) for i, thing in enumerate(ego.objects)), stamp_ns)
    for entity, thing in zip(update.entities, ego.objects, strict=True):
        above = Vector3(x=thing.x, y=thing.y, z=thing.size[2] + 0.6)
        label = TextPrimitive(
            pose=Pose(position=above, orientation=Quaternion(x=0, y=0, z=0, w=1)),
            billboard=True,
            font_size=0.8,
            color=_colour(object_colour(thing.label)),
            text=f"{thing.label} {math.hypot(thing.x, thing.y):.0f} m",
        )
        entity.texts.append(label)
    return update


def _box(index: int, thing: MapObject) -> Box:
    """The object as a box; its heading is not known and taken to be ours."""
    pose = np.eye(4)
    pose[:3, 3] = thing.x, thing.y, thing.size[2] / 2
    metadata = {
        "score": f"{thing.score:.3f}",
        "sigma_m": f"{thing.sigma:.2f}",
        "cameras": ",".join(thing.cameras),
    }
    name = f"object-{index}"
    if motion := thing.motion:
        name = f"track-{motion.id}"
        metadata["velocity_m_s"] = " ".join(f"{part:.2f}" for part in motion.velocity)
        metadata["velocity_over"] = "ground" if motion.over_ground else "ego"
        metadata["age_s"] = f"{motion.age_s:.2f}"
    return Box(name, thing.label, pose, thing.size, metadata)


def drivable_grid(result: TickResult) -> Grid:
    """The drivable grid: `drivable` in percent, 255 unknown, and `confidence` in percent; unknown
    cells are transparent."""
    ego = result.ego
    rows, columns = ego.grid.shape
    cells = np.zeros((rows, columns, len(GRID_FIELDS)), np.uint8)
    mix = ego.drivable[..., None]
    cells[..., :3] = np.rint(mix * DRIVABLE + (1 - mix) * GROUND)
    cells[..., 3] = np.where(ego.seen, GRID_ALPHA, 0)
    cells[..., 4] = np.where(ego.seen, np.rint(ego.drivable * 100), 255)
    cells[..., 5] = np.rint(ego.confidence * 100)
    return Grid(
        timestamp=to_timestamp(result.frames.stamp_ns),
        frame_id=channels.EGO_FRAME,
        pose=Pose(
            position=Vector3(x=ego.grid.x_min, y=ego.grid.y_min, z=0),
            orientation=Quaternion(x=0, y=0, z=0, w=1),
        ),
        column_count=columns,
        cell_size=Vector2(x=ego.grid.cell, y=ego.grid.cell),
        row_stride=columns * len(GRID_FIELDS),
        cell_stride=len(GRID_FIELDS),
        fields=[
            PackedElementField(name=name, offset=i, type=PackedElementField.UINT8)
            for i, name in enumerate(GRID_FIELDS)
        ],
        data=cells.tobytes(),
    )


def _colour(rgb: Rgb, alpha: float = 1.0) -> Color:
    return Color(r=rgb[0] / 255, g=rgb[1] / 255, b=rgb[2] / 255, a=alpha)
