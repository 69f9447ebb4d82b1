"""Logs that other tools wrote with Foxglove's schemas, but with names and frames of their own."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3
from google.protobuf.message import Message
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from mcap_protobuf.writer import Writer

from calib.rig import Rig
from deploy.errors import LogError
from deploy.log.reader import LogReader
from deploy.log.rig_messages import to_calibration, to_transform
from deploy.log.stamps import to_timestamp

SECOND = 1_000_000_000


def write(path: Path, messages: Iterable[tuple[str, Message, int]]) -> LogReader:
    with path.open("wb") as stream, Writer(stream, compression=CompressionType.LZ4) as log:
        for topic, message, stamp in messages:
            log.write_message(topic, message, log_time=stamp, publish_time=stamp)
    return LogReader(path)


def image(frame: str, stamp: int, data: bytes = b"x") -> CompressedImage:
    return CompressedImage(timestamp=to_timestamp(stamp), frame_id=frame, data=data)


def move(parent: str, child: str, x: float) -> FrameTransform:
    return FrameTransform(
        parent_frame_id=parent,
        child_frame_id=child,
        translation=Vector3(x=x),
        rotation=Quaternion(w=1),
    )


def test_rig_by_frames_and_chains(rig: Rig, tmp_path: Path) -> None:
    """Camera on a mast on base_link, base_link moving on the map, calibration with each image."""
    calibration = to_calibration(rig["main"], 0)
    calibration.frame_id = "CAM_FRONT"
    on_mast = to_transform(rig["main"], 0)
    on_mast.parent_frame_id, on_mast.child_frame_id = "mast", "CAM_FRONT"
    messages: list[tuple[str, Message, int]] = []
    for i in range(12):
        now = 5 * SECOND + i * SECOND // 12
        both = FrameTransforms(transforms=[move("map", "base_link", 100.0 + i), on_mast])
        messages += [
            ("/tf", both, now),
            ("/CAM_FRONT/camera_info", calibration, now),
            ("/CAM_FRONT/image_rect_compressed", image("CAM_FRONT", now), now),
        ]
    messages.insert(5, ("/tf_static", move("base_link", "mast", 0.5), 5 * SECOND))
    log = write(tmp_path / "drive.mcap", messages)
    [camera] = log.rig
    assert (log.rig.name, camera.name, camera.bucket) == ("drive", "CAM_FRONT", "large")
    assert camera.rate_hz == pytest.approx(12)
    expected = rig["main"].ego_from_camera.copy()
    expected[0, 3] += 0.5
    np.testing.assert_allclose(camera.ego_from_camera, expected, atol=1e-12)
    assert {i.camera for i in log.images()} == {"CAM_FRONT"}


@pytest.mark.parametrize(
    ("topic", "frame", "name"),
    [
        ("/camera/main/image", "some_frame", "main"),  # our topics come first
        ("/cam0/compressed", "front", "front"),
        ("/cam0/compressed", "", "cam0_compressed"),
        ("/cam0", "robot/camera front", "robot_camera_front"),  # must fit into a topic
    ],
)
def test_camera_names(topic: str, frame: str, name: str, tmp_path: Path) -> None:
    log = write(tmp_path / "log.mcap", [(topic, image(frame, 3), 3)])
    assert [i.camera for i in log.images()] == [name]


def test_capture_time_comes_before_log_time(tmp_path: Path) -> None:
    unstamped = CompressedImage(frame_id="a", data=b"x")
    log = write(tmp_path / "log.mcap", [("/a", image("a", 70), 100), ("/a", unstamped, 200)])
    assert [i.stamp_ns for i in log.images()] == [70, 200]


@pytest.mark.parametrize(
    ("schema", "encoding", "data"),
    [
        ("foxglove_msgs/msg/CompressedImage", "cdr", bytes(40)),  # a ROS 2 bag
        ("foxglove.CompressedImage", "json", b"{}"),
    ],
)
def test_images_of_another_encoding_are_refused(
    schema: str, encoding: str, data: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "other.mcap"
    writer = McapWriter(str(path))
    writer.start()
    number = writer.register_schema(schema, "", b"")
    writer.add_message(writer.register_channel("/image", encoding, number), 1, data, 1)
    number = writer.register_schema("foxglove.CameraCalibration", "", b"")
    writer.add_message(writer.register_channel("/calibration", encoding, number), 1, data, 1)
    writer.finish()
    log = LogReader(path)
    with pytest.raises(LogError, match=r"other\.mcap: no foxglove\.CompressedImage channel"):
        log.images()
    with pytest.raises(LogError, match=r"other\.mcap: no foxglove\.CameraCalibration message"):
        _ = log.rig


def test_messages_of_unknown_types_stay_encoded(tmp_path: Path) -> None:
    path = tmp_path / "other.mcap"
    writer = McapWriter(str(path))
    writer.start()
    for topic, encoding in (("/a", "cdr"), ("/b", "protobuf")):
        number = writer.register_schema("theirs.Thing", "", b"")
        writer.add_message(writer.register_channel(topic, encoding, number), 1, b"42", 1)
    writer.finish()
    for message in LogReader(path).messages():
        assert message.data == b"42"
        with pytest.raises(LogError, match=rf"other\.mcap: {message.topic} .*theirs\.Thing"):
            message.decode()
