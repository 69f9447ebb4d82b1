"""A drive of KITTI's raw data made into a log.

    FOLDER/image_00/data/0000000000.png, timestamps.txt    and image_01 to image_03
    FOLDER/oxts/data/0000000000.txt, timestamps.txt        positions; may be absent
    FOLDER/../calib_cam_to_cam.txt, calib_velo_to_cam.txt, calib_imu_to_velo.txt

Source: A. Geiger et al., "Vision meets Robotics: The KITTI Dataset" (IJRR 2013), figure 3 for the
heights, and the readmes of its raw data and development kit.
"""

import heapq
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from calib.errors import CalibError
from calib.formats.cameras import CameraSet
from calib.formats.document import Document, Given
from calib.formats.document import load as load_document
from calib.formats.kitti import KITTI, KITTI_OBJECT, read_rectification, read_transform
from calib.pose import invert
from calib.rig import Camera
from deploy.errors import LogError
from deploy.importers.recording import (
    EgoPose,
    Event,
    Picture,
    Progress,
    make_rig,
    write_recording,
)
from deploy.importers.source_folder import inside, read_bytes
from deploy.log import channels

IMU_HEIGHT_M = 0.93
EARTH_RADIUS_M = 6378137.0
_RATE_HZ = 10.0  # of a drive with a single image
_CAMERA = re.compile(r"image_\d\d")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{1,9})")
_Read = TypeVar("_Read")


def import_kitti(drive: Path, out: Path, progress: Progress, calib: Path | None = None) -> int:
    """Write the cameras and positions of one drive to `out`. Returns the number of images.

    `calib`: folder of the calibration, by default the one above. A drive whose name ends in
    `_extract` holds images as the cameras gave them, any other rectified ones. The ego frame has
    the axes of the GPS/IMU and lies under it on the road; it is mounted near the rear axle.
    Images keep their bytes. Stamps are KITTI's own, counted from 1970 as if they were UTC.

    Raises:
        LogError: a file is missing or malformed, or `out` can't be written.
    """
    calib = calib or drive.resolve().parent
    if not drive.is_dir():
        raise LogError(f"{drive}: no such folder; name one drive, such as ..._drive_0001_sync")
    found = _cameras(calib, rectified=not drive.resolve().name.endswith("_extract"))
    stamps = {
        name: _stamps(inside(drive, f"{name}/timestamps.txt"))
        for name in sorted(path.name for path in drive.iterdir() if _CAMERA.fullmatch(path.name))
    }
    if not stamps:
        raise LogError(f"{drive}: no image_00 to image_03 there; name the folder of one drive")
    cameras = []
    for camera in found.cameras:
        if camera.name in stamps and camera.frame_from_camera is not None:
            bucket = channels.bucket_of_width(camera.lens.width)
            rate_hz = _rate(stamps[camera.name])
            pose = camera.frame_from_camera
            cameras.append(Camera(camera.name, camera.lens, pose, rate_hz, bucket))
    absent = sorted(set(stamps) - {camera.name for camera in cameras})
    if absent:
        raise LogError(f"{calib}: camera '{absent[0]}' has images but no calibration; restore it")
    rig = make_rig(drive, drive.resolve().name, cameras)
    total = sum(map(len, stamps.values()))
    streams = [_pictures(drive, name, times) for name, times in stamps.items()]
    events: Iterator[Event] = heapq.merge(_poses(drive), *streams, key=lambda e: e.stamp_ns)
    start_ns = min(times[0] for times in stamps.values())
    return write_recording(out, rig, start_ns, events, total, progress).total()


def _cameras(calib: Path, rectified: bool) -> CameraSet:
    """The cameras, placed in the ego frame."""
    ego_from_imu = np.eye(4)
    ego_from_imu[2, 3] = IMU_HEIGHT_M
    velodyne_from_imu = _calibration(calib / "calib_imu_to_velo.txt", read_transform)
    first_from_velodyne = _calibration(calib / "calib_velo_to_cam.txt", read_transform)
    ego_from_frame = ego_from_imu @ invert(first_from_velodyne @ velodyne_from_imu)
    path = calib / "calib_cam_to_cam.txt"
    if rectified:
        ego_from_frame = ego_from_frame @ invert(_calibration(path, read_rectification))
    form = KITTI_OBJECT if rectified else KITTI
    found = _calibration(path, lambda document: form.read(document, Given()))
    return found.placed(ego_from_frame)


def _calibration(path: Path, read: Callable[[Document], _Read]) -> _Read:
    try:
        return read(load_document(path))
    except CalibError as error:
        raise LogError(f"{path}: {error}") from error


def _stamps(path: Path) -> list[int]:
    """Nanoseconds of each line."""
    stamps = []
    for count, line in enumerate(read_bytes(path).decode("ascii", "replace").splitlines(), 1):
        match = _TIME.fullmatch(line.strip())
        try:
            if match is None:
                raise ValueError("is no time")
            time = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
        except ValueError as error:
            raise LogError(
                f"{path}: line {count} is {line[:40]!r}; write it as 2011-09-26 13:02:25.594360375"
            ) from error
        stamps.append(int(time.timestamp()) * 1_000_000_000 + int(match[2].ljust(9, "0")))
    if not stamps:
        raise LogError(f"{path}: is empty; restore the drive")
    return stamps


def _pictures(drive: Path, camera: str, stamps: list[int]) -> Iterator[Picture]:
    """Images by the line of their stamp. One that is absent leaves its gap."""
    for index, stamp_ns in enumerate(stamps):
        for suffix, form in ((".png", "png"), (".jpg", "jpeg")):
            path = inside(drive, f"{camera}/data/{index:010}{suffix}")
            if path.exists():
                yield Picture(camera, stamp_ns, partial(read_bytes, path), form)
                break


def _poses(drive: Path) -> Iterator[EgoPose]:
    """Where the vehicle was, from the GPS/IMU; the map begins at the first position."""
    if not (drive / "oxts").is_dir():
        return
    imu_from_ego = np.eye(4)
    imu_from_ego[2, 3] = -IMU_HEIGHT_M
    first_from_world, scale = None, 1.0
    for index, stamp_ns in enumerate(_stamps(inside(drive, "oxts/timestamps.txt"))):
        path = inside(drive, f"oxts/data/{index:010}.txt")
        if not path.exists():
            continue
        words = read_bytes(path).split()[:6]
        try:
            lat, lon, alt, roll, pitch, yaw = (float(word) for word in words)
        except ValueError as error:
            raise LogError(
                f"{path}: does not begin with six numbers (latitude to yaw); restore the drive"
            ) from error
        if not np.isfinite([lat, lon, alt, roll, pitch, yaw]).all() or abs(lat) >= 90:
            raise LogError(f"{path}: latitude {lat} to yaw {yaw} are no position; restore it")
        if first_from_world is None:
            scale = math.cos(math.radians(lat))
        world_from_ego = _world_from_imu(lat, lon, alt, roll, pitch, yaw, scale) @ imu_from_ego
        if first_from_world is None:
            first_from_world = invert(world_from_ego)
        yield EgoPose(stamp_ns, first_from_world @ world_from_ego)


def _world_from_imu(
    lat: float, lon: float, alt: float, roll: float, pitch: float, yaw: float, scale: float
) -> NDArray[np.float64]:
    """Pose (4, 4) in metres on a Mercator map, whose scale is that of the first latitude, as in
    the development kit (convertOxtsToPose.m). Degrees; radians for the three angles."""
    pose = np.eye(4)
    pose[:3, 3] = (
        scale * math.radians(lon) * EARTH_RADIUS_M,
        scale * EARTH_RADIUS_M * math.log(math.tan(math.radians(90 + lat) / 2)),
        alt,
    )
    c, s = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_x = np.array([[1, 0, 0], [0, c[0], -s[0]], [0, s[0], c[0]]])
    about_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    about_z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
    pose[:3, :3] = about_z @ about_y @ about_x
    return pose


def _rate(stamps: list[int]) -> float:
    gaps = [later - earlier for earlier, later in pairwise(stamps) if later > earlier]
    return 1e9 / median(gaps) if gaps else _RATE_HZ
