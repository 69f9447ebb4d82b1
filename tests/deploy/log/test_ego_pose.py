"""Poses of the vehicle, written and read back."""

from pathlib import Path

import numpy as np
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3

from calib.rig import Rig, load_rig
from deploy.log import channels
from deploy.log.ego_pose import MAX_AGE_NS, EgoPoses
from deploy.log.reader import LogReader
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
