"""Degrees given where radians are due."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from calib.pose import BODY_FROM_OPTICAL, ego_from_camera

Array = NDArray[np.float64]
_NEAR = 1.5
"""Degrees by which the true direction is known at worst."""
_TURN = 2 * np.pi


def angles(rotation: Array) -> Array:
    """Yaw, pitch and roll in radians (docs/frames.md) of an ego_from_camera (3, 3)."""
    body = rotation @ BODY_FROM_OPTICAL.T
    yaw, pitch = np.arctan2(body[1, 0], body[0, 0]), np.arcsin(np.clip(body[2, 0], -1, 1))
    return np.array([yaw, pitch, np.arctan2(body[2, 1], body[2, 2])])


def read_as_radians(given: Array, right: Array) -> bool:
    """Whether some yaw, pitch and roll in degrees make the rotation `right` (3, 3), nearly, and
    taken for radians make `given`."""
    yaw, pitch, roll = angles(given)
    wanted = np.degrees(angles(right))
    for same in ((yaw, pitch, roll), (yaw + np.pi, np.pi - pitch, roll + np.pi)):
        # A full turn more or less is the same as given, and another number of degrees.
        numbers = [
            {
                angle + _TURN * np.floor((want - angle) / _TURN),
                angle + _TURN * np.ceil((want - angle) / _TURN),
            }
            for angle, want in zip(same, wanted, strict=True)
        ]
        for degrees in product(*numbers):
            made = ego_from_camera([0, 0, 0], *np.radians(degrees))[:3, :3]
            if np.trace(made.T @ right) > 1 + 2 * np.cos(np.radians(_NEAR)):
                return True
    return False
