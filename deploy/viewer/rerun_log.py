"""A log written as a Rerun recording: what perception.mcap says, entity by entity.

ego/CAMERA                 pose and pinhole; a fisheye's picture is right, its frustum a guess
ego/CAMERA/image           as recorded, with boxes and the drivable mask below it
ego/objects, ego/truth     boxes in metres
ego/drivable               the grid on the ground
health/CAMERA              its state; latency/STAGE milliseconds; count/CLASS objects
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.encoded_image import decode
from calib.rig import Camera, Rig
from calib.rotation import to_quaternion
from deploy.errors import DeployError, LogError
from deploy.log import channels
from deploy.log.boxes import Box, from_scene_update
from deploy.log.grids import DRIVABLE_LAYER, UNKNOWN, from_grid
from deploy.log.reader import LogMessage, LogReader
from deploy.sinks.palette import (
    BACKGROUND,
    DRIVABLE,
    GROUND,
    OBJECTS,
    STATE,
    object_colour,
)

TIMELINE = "time"
_SHOWN_QUALITY = 85
_MASK_STEP = 4  # pixels of the image in one of the drivable mask


def rerun_package() -> Any:
    """The package rerun. Raises DeployError where it is not installed."""
    try:
        import rerun
    except ImportError as error:
        raise DeployError("the viewer is Rerun; install octoview[viewer]") from error
    return rerun


def write_rrd(log: Path, out: Path, progress: Callable[[float], None]) -> int:
    """Write the Rerun recording `out` (.rrd) of `log`, laid out for looking. Streams: a long log
    needs no more memory than a short one. `progress` is told the seconds done. Returns the number
    of messages in it.

    Raises LogError for a log that can't be read, DeployError if `out` can't be written.
    """
    rr = rerun_package()
    from deploy.viewer.layout import blueprint

    reader = LogReader(log)
    rig = reader.rig
    part = out.with_name(out.name + ".part")
    recording = rr.RecordingStream("octoview", recording_id=log.stem)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        recording.save(part, default_blueprint=blueprint(rig, reader.topics))
        done = _Writer(rr, recording, rig).write(reader, progress)
        recording.disconnect()
        part.replace(out)
    except (OSError, RuntimeError) as error:
        raise DeployError(f"{out}: can't be written ({error}); choose another place") from error
    finally:
        recording.disconnect()
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return done


class _Writer:
    def __init__(self, rr: Any, recording: Any, rig: Rig) -> None:
        self._rr, self._recording, self._rig = rr, recording, rig
        self._names = {f"/camera/{name}/": name for name in rig.names}

    def write(self, reader: LogReader, progress: Callable[[float], None]) -> int:
        self._still()
        first_ns, count = None, 0
        for message in reader.messages():
            first_ns = message.stamp_ns if first_ns is None else first_ns
            since = message.stamp_ns - first_ns
            try:
                self._recording.set_time(TIMELINE, duration=np.timedelta64(since, "ns"))
                count += self._add(message)
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                raise LogError(
                    f"{message.log}: {message.topic} at {message.stamp_ns} ns can't be shown "
                    f"({error}); record it again"
                ) from error
            progress(since / 1e9)
        return count

    def _still(self) -> None:
        """What does not change with time."""
        rr = self._rr
        self._log("ego", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        drivable = rr.AnnotationContext(
            [(0, "other", (0, 0, 0, 0)), (1, "drivable", (*DRIVABLE, 255))]
        )
        self._log("ego", drivable, static=True)
        self._log(
            "ego/vehicle",
            rr.Boxes3D(
                centers=[[1.35, 0, 0.75]], half_sizes=[[2.35, 0.95, 0.75]], colors=[[226, 232, 240]]
            ),
            static=True,
        )
        for camera in self._rig:
            self._camera(camera)
            values = list(STATE)
            colours = [(*STATE[state], 255) for state in values]
            states = rr.StateConfiguration(values=values, labels=values, colors=colours)
            self._log(f"health/{camera.name}", states, static=True)
        for name in OBJECTS:
            lines = rr.SeriesLines(names=name, colors=OBJECTS[name])
            self._log(f"count/{name}", lines, static=True)

    def _camera(self, camera: Camera) -> None:
        rr, pose, lens = self._rr, camera.ego_from_camera, camera.lens
        place = rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])
        pinhole = rr.Pinhole(
            image_from_camera=lens.matrix,
            resolution=[lens.width, lens.height],
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=1.0,
        )
        self._log(f"ego/{camera.name}", place, static=True)
        self._log(f"ego/{camera.name}/image", pinhole, static=True)
        larger = rr.Transform3D(scale=[_MASK_STEP, _MASK_STEP, 1])
        self._log(f"ego/{camera.name}/image/drivable", larger, static=True)

    def _add(self, message: LogMessage) -> int:
        """Log one message; 0 for one that has no place here."""
        topic = message.topic
        name = next((n for start, n in self._names.items() if topic.startswith(start)), None)
        if name and topic == channels.image_topic(name):
            image = message.decode()
            picture = self._rr.EncodedImage(contents=_shown(image.data), media_type="image/jpeg")
            self._log(f"ego/{name}/image", picture)
        elif name and topic == channels.annotations_topic(name):
            self._annotations(name, message.decode())
        elif topic in (channels.OBJECTS, channels.TRUTH_OBJECTS):
            self._boxes(topic, from_scene_update(message.decode()))
        elif topic == channels.DRIVABLE:
            self._grid(message.decode())
        elif topic == channels.HEALTH:
            for camera, told in message.decode()["cameras"].items():
                status = told["status"]
                state = told.get("state", status) if status == "ok" else status
                self._log(f"health/{camera}", self._rr.StateChange(state=state))
        elif topic == channels.TIMING:
            for stage, milliseconds in message.decode()["milliseconds"].items():
                self._log(f"latency/{stage}", self._rr.Scalars(milliseconds))
        else:
            return 0
        return 1

    def _annotations(self, name: str, found: Any) -> None:
        """Boxes as boxes; filled outlines together as one mask."""
        outlines, boxes, colours = [], [], []
        for shape in found.points:
            corners = np.array([(p.x, p.y) for p in shape.points]).reshape(-1, 2)
            if shape.type != shape.LINE_LOOP:
                continue
            if shape.fill_color.a > 0:
                outlines.append(corners)
            else:
                boxes.append((*corners.min(axis=0), *corners.max(axis=0)))
                line = shape.outline_color
                colours.append([round(255 * part) for part in (line.r, line.g, line.b)])
        labels = [text.text for text in found.texts]
        self._log(
            f"ego/{name}/image/boxes",
            self._rr.Boxes2D(
                array=np.array(boxes).reshape(-1, 4),
                array_format=self._rr.Box2DFormat.XYXY,
                colors=colours,
                labels=labels if len(labels) == len(boxes) else None,
                show_labels=False,
            ),
        )
        self._log(
            f"ego/{name}/image/drivable", self._rr.SegmentationImage(self._mask(name, outlines))
        )

    def _mask(self, name: str, outlines: Sequence[NDArray[np.float64]]) -> NDArray[np.uint8]:
        """1 inside of the outlines, at 1/_MASK_STEP of the image's size: a mask is not packed."""
        lens = self._rig[name].lens
        mask = np.zeros((-(-lens.height // _MASK_STEP), -(-lens.width // _MASK_STEP)), np.uint8)
        small = [np.rint((one + 0.5) / _MASK_STEP - 0.5).astype(np.int32) for one in outlines]
        cv2.fillPoly(mask, small, 1)
        return mask

    def _boxes(self, topic: str, boxes: list[Box]) -> None:
        truth = topic == channels.TRUTH_OBJECTS
        self._log(
            "ego/truth" if truth else "ego/objects",
            self._rr.Boxes3D(
                centers=[box.ego_from_box[:3, 3] for box in boxes],
                half_sizes=[np.array(box.size) / 2 for box in boxes],
                quaternions=[
                    self._rr.Quaternion(xyzw=to_quaternion(box.ego_from_box[:3, :3]))
                    for box in boxes
                ],
                colors=[(235, 235, 235) if truth else object_colour(b.object_class) for b in boxes],
                labels=[f"{box.object_class} {box.id}" for box in boxes],
                show_labels=False,
            ),
        )
        if not truth:
            counts = Counter(box.object_class for box in boxes)
            for name in OBJECTS:
                self._log(f"count/{name}", self._rr.Scalars(counts[name]))

    def _grid(self, message: Any) -> None:
        grid = from_grid(message)
        share = grid.layers[DRIVABLE_LAYER]
        known = share != UNKNOWN
        mix = np.where(known, share, 0)[..., None] / 100.0
        cells = np.empty((*share.shape, 4), np.uint8)
        cells[..., :3] = np.rint(mix * DRIVABLE + (1 - mix) * GROUND)
        cells[..., 3] = 255
        cells[~known, :3] = BACKGROUND
        rows, columns = share.shape
        # Their first row is the one with the largest y.
        picture = np.ascontiguousarray(cells[::-1])
        form = self._rr.components.ImageFormat(
            width=columns, height=rows, color_model="RGBA", channel_datatype="U8"
        )
        self._log(
            "ego/drivable",
            self._rr.GridMap(
                data=picture.tobytes(),
                format=form,
                cell_size=grid.cell,
                translation=[grid.x_min, grid.y_min, 0],
            ),
        )

    def _log(self, entity: str, content: Any, static: bool = False) -> None:
        self._recording.log(entity, content, static=static)


def _shown(data: bytes) -> bytes:
    """The image as JPEG: the viewer shows no WebP, and PNG is large."""
    if data.startswith(b"\xff\xd8"):
        return data
    image = decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        return data
    quality = [cv2.IMWRITE_JPEG_QUALITY, _SHOWN_QUALITY]
    return cv2.imencode(".jpg", image, quality)[1].tobytes()
