"""Poses of the vehicle, written and read back."""

from pathlib import Path

import numpy as np
import pytest
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3

from calib.rig import Rig, load_rig
from deploy.log import channels
from deploy.log.ego_pose import MAX_AGE_NS, EgoPoses, EgoTrack
from deploy.log.reader import LogReader
from deploy.log.rig_messages import to_ego_transform
from deploy.log.writer import LogWriter


def test_the_newest_pose_that_is_not_too_old(tmp_path: Path):
    path = tmp_path / "a.mcap"
    with LogWriter(path) as log:
        log.rig(Rig("one", (load_rig("hw2")["main"],)), 0)  # its transform is not the vehicle's
        for stamp, x in ((1_000_000_000, 3.0), (1_050_000_000, 4.0)):
            where = Vector3(x=x, y=0, z=0)
            turn = Quaternion(x=0, y=0, z=0, w=1)
            pose = FrameTransform(
                parent_frame_id="map", child_frame_id="ego", translation=where, rotation=turn
            )
            log.message(channels.TRANSFORMS, pose, stamp)
    poses = EgoPoses(LogReader(path))
    assert poses.at(0) is None
    assert poses.at(999_999_999) is None
    for stamp, x in ((1_000_000_000, 3.0), (1_049_999_999, 3.0), (1_060_000_000, 4.0)):
        found = poses.at(stamp)
        assert found is not None
        np.testing.assert_array_equal(found[:3, 3], (x, 0, 0))
    assert poses.at(1_050_000_001 + MAX_AGE_NS) is None


def test_between_two_poses_the_vehicle_went_steadily(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with LogWriter(path) as log:
        log.rig(Rig("one", (load_rig("hw2")["main"],)), 0)
        for stamp, x, z in (
            (1_000_000_000, 3.0, 0.0),
            (1_200_000_000, 5.0, 0.1),
            (3 * 10**9, 9, 0),
        ):
            turn = Quaternion(x=0, y=0, z=float(np.sin(z / 2)), w=float(np.cos(z / 2)))
            pose = FrameTransform(
                parent_frame_id="map",
                child_frame_id="ego",
                translation=Vector3(x=x, y=0, z=0),
                rotation=turn,
            )
            log.message(channels.TRANSFORMS, pose, stamp)
    track = EgoTrack(LogReader(path))
    assert track.at(999_999_999) is None and track.at(2 * 10**9) is None, "no pose near"
    assert track.at(3 * 10**9 + 1) is None
    found = track.at(1_050_000_000)
    assert found is not None
    np.testing.assert_allclose(found[:3, 3], (3.5, 0, 0))
    assert np.arctan2(found[1, 0], found[0, 0]) == pytest.approx(0.025)
    exact = track.at(1_200_000_000)
    assert exact is not None and exact[0, 3] == 5


def test_stamps_that_no_signed_number_holds_are_times_like_others(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with LogWriter(path) as log:
        log.rig(Rig("one", (load_rig("hw2")["main"],)), 0)
        for i in range(2):
            stamp = 2**64 - 10**9 + i * 10**8
            log.message(channels.TRANSFORMS, to_ego_transform(np.eye(4), stamp), stamp)
    track = EgoTrack(LogReader(path))
    assert track.at(0) is None and track.at(2**64 - 10**9 + 5) is not None
