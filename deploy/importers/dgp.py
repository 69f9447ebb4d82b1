"""A DGP scene (the dataset format of Toyota Research Institute, TRI) made into a log.

DGP gives the pose of every sensor in the frame of the first one. In TRI's scenes that is a
vehicle frame: x forward, y left, z up, origin near the ground, 1.5 m behind the front camera on
the roof. It is taken for our ego frame, moved in height so that the road seen by the lidar is at
z = 0 (docs/logs.md says what supports this).
"""

import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TypeVar
from zipfile import BadZipFile, ZipFile

import numpy as np

from calib.errors import CalibError
from calib.formats.dgp_records import Calibration, Record, to_lens
from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.importers import source_folder
from deploy.importers.dgp_format import BoxAnnotations
from deploy.importers.recording import (
    Event,
    Picture,
    Progress,
    Truth,
    make_rig,
    write_recording,
)
from deploy.importers.source_folder import inside, read_bytes
from deploy.log import channels
from deploy.log.boxes import Box
from perception.data.dgp import OBJECT_CLASS
from perception.data.dgp_format import BOUNDING_BOX_3D, Datum, Ontology, Scene

Model = TypeVar("Model", bound=Record)

_CLOUD_LIMIT = 1 << 26  # bytes of a file of points; a turn of a lidar has some million
_DEFAULT_RATE_HZ = 10.0  # of a scene with a single sample
_LARGEST_STAMP_NS = 2**63 - 1  # year 2262
# Where the road under the vehicle is looked for, metres from the origin of the vehicle frame.
_LANE_HALF_LENGTH, _LANE_HALF_WIDTH, _ROAD_HEIGHT = 20.0, 1.5, 0.5


@dataclass(frozen=True)
class _Instant:
    """One sample: its stamp, and what each sensor measured then."""

    stamp_ns: int
    datums: dict[str, Datum]


def import_dgp(scene: Path, out: Path, progress: Progress) -> int:
    """Write images, rig and 3D boxes of one scene (a folder, or its scene json) to `out`.

    Images keep their bytes. All images and boxes of a sample carry the stamp of the sample, so
    that they join. Returns the number of images.

    Raises:
        LogError: a file of the scene is missing or malformed, or `out` can't be written.
    """
    path = _scene_file(scene)
    content = _load(path, Scene)
    instants = _instants(path, content)
    calibration = _calibration(path, content)
    vehicle_from_sensor = {
        name: pose.matrix
        for name, pose in zip(calibration.names, calibration.extrinsics, strict=True)
    }
    height = _road_height(path.parent, instants[0], vehicle_from_sensor)
    ego_from_vehicle = np.eye(4)
    ego_from_vehicle[2, 3] = -height
    ego_from_sensor = {n: ego_from_vehicle @ pose for n, pose in vehicle_from_sensor.items()}
    rig = _rig(path, content, instants, calibration, ego_from_sensor)
    labels = _labels(path, content)

    def events() -> Iterator[Event]:
        for instant in instants:
            for camera in rig.names:
                datum = instant.datums.get(camera)
                if datum and datum.datum.image:
                    file = inside(path.parent, datum.datum.image.filename)
                    form = _image_format(file)
                    yield Picture(camera, instant.stamp_ns, partial(read_bytes, file), form)
            boxes = _boxes(path.parent, instant, ego_from_sensor, labels)
            yield Truth(instant.stamp_ns, tuple(boxes))

    total = sum(datum.datum.image is not None for one in instants for datum in one.datums.values())
    start_ns = instants[0].stamp_ns
    return write_recording(out, rig, start_ns, events(), total, progress).total()


def _scene_file(scene: Path) -> Path:
    if scene.is_file():
        return scene
    found = sorted(scene.glob("scene_*.json"))
    if not found:
        raise LogError(f"{scene}: no scene_*.json there; name the folder of one DGP scene")
    if len(found) > 1:
        raise LogError(
            f"{scene}: {len(found)} scene files ({found[0].name}, ...); name one of the files"
        )
    return found[0]


def _instants(path: Path, scene: Scene) -> list[_Instant]:
    """The samples in order of time."""
    data = {datum.key: datum for datum in scene.data}
    instants = []
    for sample in scene.samples:
        missing = [key for key in sample.datum_keys if key not in data]
        if missing:
            raise LogError(f"{path}: sample names datum {missing[0]}, which is not in the file")
        datums = {data[key].id.name: data[key] for key in sample.datum_keys}
        instants.append(_Instant(_stamp_ns(sample.id.stamp_ns), datums))
    if not instants:
        raise LogError(f"{path}: has no samples; choose another scene")
    return sorted(instants, key=lambda instant: instant.stamp_ns)


def _stamp_ns(stated_ns: int) -> int:
    """Stamp of a sample from the one that the scene states.

    The public test scene counts units of 100 ns and states them as microseconds, in the year
    2464 and ten times too slow. No stamp of a real drive is past 2262, so such ones are that.
    """
    return stated_ns if stated_ns <= _LARGEST_STAMP_NS else stated_ns // 10


def _calibration(path: Path, scene: Scene) -> Calibration:
    keys = {sample.calibration_key for sample in scene.samples}
    if len(keys) > 1:
        raise LogError(f"{path}: its samples use {len(keys)} calibrations; a log holds one")
    return _load(inside(path.parent, f"calibration/{keys.pop()}.json"), Calibration)


def _rig(
    path: Path,
    scene: Scene,
    instants: list[_Instant],
    calibration: Calibration,
    ego_from_sensor: dict[str, np.ndarray],
) -> Rig:
    """The sensors that took images, in the order of the calibration."""
    sizes = {
        name: (datum.datum.image.width, datum.datum.image.height)
        for instant in reversed(instants)
        for name, datum in instant.datums.items()
        if datum.datum.image
    }
    absent = sorted(set(sizes) - set(calibration.names))
    if absent:
        raise LogError(f"{path}: camera '{absent[0]}' has images but no calibration; restore it")
    gaps = [after.stamp_ns - before.stamp_ns for before, after in pairwise(instants)]
    rate_hz = 1e9 / median(gaps) if gaps and median(gaps) > 0 else _DEFAULT_RATE_HZ
    cameras = []
    for name, intrinsics in zip(calibration.names, calibration.intrinsics, strict=True):
        if name in sizes:
            try:
                lens = to_lens(intrinsics, *sizes[name])
                pose = ego_from_sensor[name]
                cameras.append(
                    Camera(name, lens, pose, rate_hz, channels.bucket_of_width(lens.width))
                )
            except CalibError as error:
                raise LogError(f"{path}: camera '{name}': {error}") from error
    return make_rig(path, scene.name or path.stem, cameras)


def _road_height(
    folder: Path, instant: _Instant, vehicle_from_sensor: dict[str, np.ndarray]
) -> float:
    """Height of the road in the vehicle frame, metres: median of the lidar points in its lane.

    Zero without a lidar.
    """
    for name, datum in instant.datums.items():
        cloud = datum.datum.point_cloud
        if cloud and name in vehicle_from_sensor and cloud.point_format[:3] == ["X", "Y", "Z"]:
            pose = vehicle_from_sensor[name]
            points = _points(inside(folder, cloud.filename)) @ pose[:3, :3].T + pose[:3, 3]
            limits = (_LANE_HALF_LENGTH, _LANE_HALF_WIDTH, _ROAD_HEIGHT)
            road = points[(np.abs(points) < limits).all(axis=1)]
            if len(road):
                return float(np.median(road[:, 2]))
    return 0.0


def _points(path: Path) -> np.ndarray:
    """(n, 3) metres, in the frame of the lidar."""
    try:
        with ZipFile(path) as packed:
            size = sum(part.file_size for part in packed.infolist())  # more is never unpacked
        if size > _CLOUD_LIMIT:
            raise ValueError(f"{size} bytes when unpacked")
        with np.load(path, allow_pickle=False) as archive:
            points = np.asarray(archive["data"], float)[:, :3]
    # An array of another shape or kind, a zip of another method, a header that is no Python.
    except (
        *(OSError, EOFError, ValueError, LookupError, TypeError, MemoryError, RuntimeError),
        *(BadZipFile, zlib.error, lzma.LZMAError, struct.error, SyntaxError, AttributeError),
    ) as error:
        raise LogError(
            f"{path}: no point cloud can be read ({error}); restore the scene"
        ) from error
    return points[np.isfinite(points).all(axis=1)]


def _labels(path: Path, scene: Scene) -> dict[int, str]:
    """Label of each class id of the 3D boxes."""
    if BOUNDING_BOX_3D not in scene.ontologies:
        return {}
    file = inside(path.parent, f"ontology/{scene.ontologies[BOUNDING_BOX_3D]}.json")
    return {item.id: item.name for item in _load(file, Ontology).items}


def _boxes(
    folder: Path,
    instant: _Instant,
    ego_from_sensor: dict[str, np.ndarray],
    labels: dict[int, str],
) -> list[Box]:
    """The objects of one sample: from the lidar if it has them, else from the cameras."""
    boxes: dict[int, Box] = {}
    for name, datum in sorted(
        instant.datums.items(), key=lambda item: item[1].datum.image is not None
    ):
        source = datum.datum.point_cloud or datum.datum.image
        if source and BOUNDING_BOX_3D in source.annotations and name in ego_from_sensor:
            file = inside(folder, source.annotations[BOUNDING_BOX_3D])
            for found in _load(file, BoxAnnotations).annotations:
                label = labels.get(found.class_id, str(found.class_id))
                box = Box(
                    id=str(found.instance_id),
                    object_class=OBJECT_CLASS.get(label, "other"),
                    ego_from_box=ego_from_sensor[name] @ found.box.pose.matrix,
                    size=(found.box.length, found.box.width, found.box.height),
                    metadata={"label": label, "lidar_points": str(found.num_points)},
                )
                boxes.setdefault(found.instance_id, box)
    return list(boxes.values())


def _image_format(file: Path) -> str:
    return "png" if file.suffix.lower() == ".png" else "jpeg"


def _load(path: Path, model: type[Model]) -> Model:
    """A JSON file of the scene."""
    return source_folder.load(path, model, f"DGP {model.__name__}")
