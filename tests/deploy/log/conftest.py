"""A small rig whose cameras differ in everything, so that a swap shows."""

import pytest

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig


@pytest.fixture(scope="session")
def rig() -> Rig:
    front = Camera(
        "main",
        Lens("pinhole", 1280, 960, 1000, 1010, 630, 470, (-0.2, 0.05, 1e-3, -2e-3)),
        ego_from_camera([1.9, 0.05, 1.3], yaw=0.02, pitch=-0.05, roll=0.01),
        36,
        "large",
    )
    rear = Camera(
        "rear",
        Lens("fisheye", 640, 480, 210, 211, 322, 241, (0.05, -0.01, 2e-3, -1e-4)),
        ego_from_camera([-0.9, -0.1, 0.95], yaw=3.1, pitch=-0.4, roll=-0.02),
        18,
        "small",
    )
    return Rig("two", (front, rear))
