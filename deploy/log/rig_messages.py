"""One camera <-> the Foxglove messages that carry it: CameraCalibration and FrameTransform."""

from typing import Literal

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3

from calib.errors import LensError
from calib.lens import Lens
from calib.rig import Camera
from deploy.log import channels
from deploy.log.rotation import to_matrix, to_quaternion
from deploy.log.stamps import to_timestamp

# Coefficients that each of Foxglove's distortion models takes, and the lens model that it is.
# Foxglove's fourth, fisheye62, has no lens here.
_MODELS: dict[str, tuple[Literal["pinhole", "fisheye"], tuple[int, ...]]] = {
    "": ("pinhole", (0, 4, 5, 8)),
    "plumb_bob": ("pinhole", (0, 4, 5)),
    "rational_polynomial": ("pinhole", (8,)),
    "kannala_brandt": ("fisheye", (4,)),
    "equidistant": ("fisheye", (4,)),  # what ROS calls it
}


def to_calibration(camera: Camera, stamp_ns: int) -> CameraCalibration:
    """Intrinsics; the frame is named like the camera."""
    lens = camera.lens
    if lens.model == "fisheye":
        model, coefficients = "kannala_brandt", list(lens.distortion)
    elif len(lens.distortion) == 8:
        model, coefficients = "rational_polynomial", list(lens.distortion)
    else:  # Foxglove's plumb_bob takes five: k1 k2 p1 p2 k3
        model, coefficients = "plumb_bob", [*lens.distortion, *[0.0] * (5 - len(lens.distortion))]
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
    x, y, z, w = to_quaternion(camera.ego_from_camera[:3, :3])
    px, py, pz = camera.ego_from_camera[:3, 3].tolist()
    return FrameTransform(
        timestamp=to_timestamp(stamp_ns),
        parent_frame_id=channels.EGO_FRAME,
        child_frame_id=camera.name,
        translation=Vector3(x=px, y=py, z=pz),
        rotation=Quaternion(x=x, y=y, z=z, w=w),
    )


def to_lens(message: CameraCalibration) -> Lens:
    """The lens of a calibration. All-zero coefficients become none: an undistorted pinhole.

    Raises:
        LensError: unknown distortion model, wrong lengths, or values that no lens has.
    """
    if message.distortion_model not in _MODELS:
        known = ", ".join(name for name in _MODELS if name)
        raise LensError(f"distortion model is '{message.distortion_model}'; convert it to {known}")
    model, counts = _MODELS[message.distortion_model]
    if len(message.D) not in counts:
        allowed = " or ".join(str(count) for count in counts)
        raise LensError(
            f"D has {len(message.D)} values; {message.distortion_model or 'it'} takes {allowed}"
        )
    if len(message.K) != 9:
        raise LensError(f"K has {len(message.K)} values; give the 9 of a 3x3 matrix")
    fx, skew, cx, _, fy, cy = message.K[:6]
    if skew != 0:
        raise LensError(f"K has a skew of {skew}; only lenses without skew are read")
    undistorted = model == "pinhole" and not any(message.D)
    distortion = () if undistorted else tuple(message.D)
    return Lens(model, message.width, message.height, fx, fy, cx, cy, distortion)


def to_pose(message: FrameTransform) -> np.ndarray:
    """(4, 4) parent_from_child.

    Raises:
        ValueError: the rotation is zero or not finite.
    """
    t, q = message.translation, message.rotation
    return to_matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
