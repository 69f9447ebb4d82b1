"""Poses: 4x4 rigid transforms, named dst_from_src. Metres."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Optical axes (x right, y down, z forward) written in body axes (x forward, y left, z up).
BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def ego_from_camera(
    position: ArrayLike, yaw: float, pitch: float, roll: float
) -> NDArray[np.float64]:
    """Pose (4, 4) of a camera in the ego frame.

    position: (3,) metres in ego. Angles in radians, of the optical axis: yaw left positive,
    pitch up positive, roll clockwise positive seen from behind the camera; applied as
    Rz(yaw) Ry(-pitch) Rx(roll).
    """
    cy, sy = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    rz = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    ry = np.array([[cp, 0.0, -sp], [0.0, 1.0, 0.0], [sp, 0.0, cp]])
    rx = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    pose = np.eye(4)
    pose[:3, :3] = rz @ ry @ rx @ BODY_FROM_OPTICAL
    pose[:3, 3] = position
    return pose


def angles(ego_from_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) yaw, pitch and roll in radians, as `ego_from_camera` takes them, of a pose (4, 4)."""
    turn = ego_from_camera[:3, :3] @ BODY_FROM_OPTICAL.T
    return np.array(
        [
            np.arctan2(turn[1, 0], turn[0, 0]),
            np.arctan2(turn[2, 0], np.hypot(turn[2, 1], turn[2, 2])),
            np.arctan2(turn[2, 1], turn[2, 2]),
        ]
    )


def invert(dst_from_src: NDArray[np.float64]) -> NDArray[np.float64]:
    """src_from_dst (4, 4) of a rigid dst_from_src (4, 4)."""
    src_from_dst = np.eye(4)
    src_from_dst[:3, :3] = dst_from_src[:3, :3].T
    src_from_dst[:3, 3] = -dst_from_src[:3, :3].T @ dst_from_src[:3, 3]
    return src_from_dst
