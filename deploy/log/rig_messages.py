"""One camera <-> the Foxglove messages that carry it: CameraCalibration and FrameTransform."""

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3

from calib.formats import ros_models
from calib.lens import Lens
from calib.rig import Camera
from calib.rotation import to_matrix, to_quaternion
from deploy.log import channels
from deploy.log.stamps import to_timestamp


def to_calibration(camera: Camera, stamp_ns: int) -> CameraCalibration:
    """Intrinsics; the frame is named like the camera."""
    lens = camera.lens
    model, coefficients = ros_models.model_and_coefficients(lens, "kannala_brandt")
    return CameraCalibration(
        timestamp=to_timestamp(stamp_ns),
        frame_id=camera.name,
        width=lens.width,
        height=lens.height,
        distortion_model=model,
        D=coefficients,
        K=lens.matrix.ravel().tolist(),
        R=np.eye(3).ravel().tolist(),
        P=np.hstack([lens.matrix, np.zeros((3, 1))]).ravel().tolist(),
    )


def to_transform(camera: Camera, stamp_ns: int) -> FrameTransform:
    """Pose `ego_from_camera`: ego is the parent frame, the camera's the child."""
    return _transform(channels.EGO_FRAME, camera.name, camera.ego_from_camera, stamp_ns)


def to_ego_transform(map_from_ego: np.ndarray, stamp_ns: int) -> FrameTransform:
    """Where the vehicle is: (4, 4), metres; ego is the child frame."""
    return _transform(channels.MAP_FRAME, channels.EGO_FRAME, map_from_ego, stamp_ns)


def _transform(
    parent: str, child: str, parent_from_child: np.ndarray, stamp_ns: int
) -> FrameTransform:
    x, y, z, w = to_quaternion(parent_from_child[:3, :3])
    px, py, pz = parent_from_child[:3, 3].tolist()
    return FrameTransform(
        timestamp=to_timestamp(stamp_ns),
        parent_frame_id=parent,
        child_frame_id=child,
        translation=Vector3(x=px, y=py, z=pz),
        rotation=Quaternion(x=x, y=y, z=z, w=w),
    )


def to_lens(message: CameraCalibration) -> Lens:
    """The lens of a calibration. All-zero coefficients become none: an undistorted pinhole.

    Raises:
        LensError: unknown distortion model, wrong lengths, or values that no lens has.
    """
    return ros_models.to_lens(
        message.distortion_model, message.D, message.K, message.width, message.height
    )


def to_pose(message: FrameTransform) -> np.ndarray:
    """(4, 4) parent_from_child.

    Raises:
        ValueError: the rotation is zero or not finite.
    """
    t, q = message.translation, message.rotation
    return to_matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
