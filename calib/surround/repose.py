"""Cameras posed anew by the squares of a cloth that they see."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.errors import BoardError
from calib.intrinsics.fit import Model, View, refine
from calib.pose import invert


@dataclass(frozen=True)
class Reposed:
    """`rms_px`: what is left between the corners and where the pose puts them."""

    camera: Camera
    rms_px: float


def repose(camera: Camera, seen: NDArray[np.float64], true: NDArray[np.float64]) -> Reposed:
    """The camera at the pose that puts `true` (N, 2), ego x and y of corners, where it now sees
    them, `seen` (N, 2).

    Raises BoardError where the corners do not tell.
    """
    flat = np.zeros((len(true), 1))
    pixels, _ = camera.project(np.hstack([seen, flat]))
    lens, now = camera.lens, camera.camera_from_ego
    view = View(camera.name, np.hstack([true, flat]), pixels)
    model = Model(lens.model, len(lens.distortion))
    parameters = np.array([lens.fx, lens.fy, lens.cx, lens.cy, *lens.distortion])
    start = np.concatenate([cv2.Rodrigues(now[:3, :3])[0].ravel(), now[:3, 3]])
    fit = refine(model, parameters, [view], start[None], iterations=30, fixed_lens=True)
    if fit is None:
        raise BoardError(f"camera '{camera.name}': its squares do not tell its pose")
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(fit.poses[0, :3])[0]
    pose[:3, 3] = fit.poses[0, 3:]
    moved = replace(camera, ego_from_camera=invert(pose))
    off = np.linalg.norm(moved.project(view.points)[0] - pixels, axis=1)
    return Reposed(moved, float(np.sqrt(np.mean(off**2))))
