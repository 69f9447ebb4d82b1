"""A bag of ROS 1 or ROS 2 made into a log: images, camera_info and tf become images and a rig.

The bags are read by the package rosbags, without ROS.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calib.errors import CalibError
from calib.rig import Camera, Rig
from deploy.errors import DeployError, LogError
from deploy.importers import ros_cameras
from deploy.importers.recording import (
    EgoPose,
    Event,
    Picture,
    Progress,
    make_rig,
    write_recording,
)
from deploy.importers.ros_cameras import CAMERA_INFO, TRANSFORMS, CameraTopic
from deploy.importers.ros_images import encoded
from deploy.importers.source_folder import inside
from deploy.log import channels
from deploy.log.frame_tree import BASE_LINK, FrameTree

_DEFAULT_RATE_HZ = 10.0


@dataclass
class BagSummary:
    """Images by camera, and what was left out, by camera or topic, with the first reason."""

    images: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def import_rosbag(
    bag: Path, out: Path, progress: Progress, rig: Rig | None = None, base: str = BASE_LINK
) -> BagSummary:
    """Write the cameras of `bag` (a .bag, .db3 or .mcap file, or the folder of one) to `out`.

    Lenses come from each camera's CameraInfo, places from tf between its frame and `base`, the
    ROS frame that is taken for the ego frame; or both from `rig`, by the cameras' names. A camera
    without them is left out and told. Where tf moves `base`, the ego pose is kept. Compressed
    images keep their bytes, others become JPEG. Stamps are those of the headers.

    Raises:
        LogError: `bag` can't be read, or no camera of it can be used.
    """
    summary = BagSummary()
    with _opened(bag) as reader:
        topics = ros_cameras.camera_topics({c.topic: c.msgtype for c in reader.connections})
        if not topics:
            raise LogError(f"{bag}: no image topic; record sensor_msgs Image or CompressedImage")
        if rig is None:
            cameras = _cameras(bag, reader, topics, base, summary)
        else:
            cameras = {one.name: rig[one.name] for one in topics if one.name in rig.names}
            for one in topics:
                if one.name not in cameras:
                    summary.left_out[one.name] = f"the rig has only {', '.join(rig.names)}"
        kept = {one.topic: one.name for one in topics if one.name in cameras}
        if not kept:
            reasons = "; ".join(f"{name}: {why}" for name, why in summary.left_out.items())
            raise LogError(f"{bag}: no camera can be used ({reasons}); give --rig or --base")
        wanted = [c for c in reader.connections if c.topic in kept or c.msgtype == TRANSFORMS]
        total = sum(c.msgcount for c in wanted if c.topic in kept)
        timed = {
            name: replace(camera, rate_hz=_rate(reader, topic, camera))
            for topic, name in kept.items()
            for camera in (cameras[name],)
        }
        recorded = make_rig(bag, rig.name if rig else bag.stem, timed.values())
        events = _events(bag, reader, wanted, kept, base, summary)
        images = write_recording(out, recorded, max(0, reader.start_time), events, total, progress)
    summary.images = {name: images[name] for name in timed}
    return summary


def _cameras(
    bag: Path, reader: Any, topics: list[CameraTopic], base: str, summary: BagSummary
) -> dict[str, Camera]:
    """The cameras whose lens and place the bag tells; it is read until all are known."""
    infos: dict[str, Any] = {}
    tree = FrameTree((base,))
    wanted = {one.info for one in topics}
    connections = [
        c
        for c in reader.connections
        if c.msgtype == TRANSFORMS or (c.msgtype == CAMERA_INFO and c.topic in wanted)
    ]
    told = {c.topic for c in connections} & wanted
    for connection, _, data in reader.messages(connections) if connections else ():
        message = reader.deserialize(data, connection.msgtype)
        if connection.msgtype == TRANSFORMS:
            ros_cameras.add_all(tree, ros_cameras.transforms(message))
        else:
            infos.setdefault(connection.topic, message)
        if len(infos) == len(told) and all(
            tree.ego_from(_frame(info))[1] is not None for info in infos.values()
        ):
            break
    cameras = {}
    for one in topics:
        if one.info not in infos:
            summary.left_out[one.name] = f"no {one.info}"
            continue
        info = infos[one.info]
        root, pose = tree.ego_from(_frame(info))
        if pose is None:
            summary.left_out[one.name] = (
                f"tf puts its frame '{_frame(info)}' on '{root}', not on '{base}'"
            )
            continue
        try:
            bucket = channels.bucket_of_width(info.width)
            lens = ros_cameras.lens_of(info)
            cameras[one.name] = Camera(one.name, lens, pose, _DEFAULT_RATE_HZ, bucket)
        except CalibError as error:
            summary.left_out[one.name] = str(error)
    return cameras


def _events(
    bag: Path,
    reader: Any,
    connections: list[Any],
    kept: dict[str, str],
    base: str,
    summary: BagSummary,
) -> Iterator[Event]:
    for connection, bag_ns, data in reader.messages(connections):
        message = reader.deserialize(data, connection.msgtype)
        if connection.msgtype == TRANSFORMS:
            for _, child, stamp_ns, pose in ros_cameras.transforms(message):
                if child == base:
                    yield EgoPose(stamp_ns or bag_ns, pose)
            continue
        camera = kept[connection.topic]
        try:
            read, form = encoded(message)
        except ValueError as error:
            summary.left_out.setdefault(connection.topic, f"images: {error}")
            continue
        yield Picture(camera, ros_cameras.stamp_ns(message.header) or bag_ns, read, form)


def _rate(reader: Any, topic: str, camera: Camera) -> float:
    """Images a second over the whole bag."""
    count = sum(c.msgcount for c in reader.connections if c.topic == topic)
    seconds = (reader.end_time - reader.start_time) / 1e9
    return (count - 1) / seconds if count > 1 and seconds > 0 else camera.rate_hz


def _frame(info: Any) -> str:
    return str(info.header.frame_id).lstrip("/")


@contextmanager
def _opened(bag: Path) -> Iterator[Any]:
    """The reader of the bag; whatever it raises inside the block becomes one line."""
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise DeployError("bags are read by rosbags; install octoview[rosbag]") from error
    if not bag.exists():
        raise LogError(f"{bag}: no such bag; check the path")
    if bag.is_dir():
        for file in bag.iterdir():
            inside(bag, file.name)
    try:
        # Bags before ROS 2 Iron hold no definitions; the messages read here never changed since.
        with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
            yield reader
    except (DeployError, CalibError, KeyboardInterrupt, GeneratorExit):
        raise
    except Exception as error:  # a damaged bag makes the library raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LogError(
            f"{bag}: can't be read as a bag ({reason[:200]}); reindex or record it again"
        ) from error
