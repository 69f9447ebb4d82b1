"""A camera's pose from the homography of its ground picture.

Surround-view kits are set up by clicking four known points in each undistorted picture, which
gives the homography that draws its ground from above. For points of a plane a camera is one as
well, K [r1 r2 t], so the pose is in it (Zhang 2000, "A flexible new technique for camera
calibration", section 3.1).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.errors import FormatError
from calib.formats.convert import read_cameras
from calib.formats.document import Given, shown
from calib.formats.opencv import OPENCV
from calib.lens import Lens
from calib.yaml_file import YamlError, load_yaml

Array = NDArray[np.float64]
# Directions in which rows or columns of a ground picture run, ego x and y.
_DIRECTIONS = {"ahead": (1, 0), "back": (-1, 0), "left": (0, 1), "right": (0, -1)}
_KEYS = ("pixel_m", "origin", "columns", "rows")
# Degrees and a share of the length by which the axes may miss a rotation: clicked points give 2
# degrees and 4 %, a homography of another lens or ground picture far more.
_MAX_SKEW, _MAX_STRETCH = 5.0, 0.15


@dataclass(frozen=True)
class GroundView:
    """One camera's `lens` and `ground_from_ray` (3, 3): from (x/z, y/z, 1) of a ray in its frame
    to ego x and y in metres, up to scale."""

    lens: Lens
    ground_from_ray: Array


@dataclass(frozen=True)
class PlanePose:
    """`ego_from_camera` (4, 4). What kept the homography from being that of a camera: by how many
    degrees its two ground axes miss a right angle, and by what share their lengths differ."""

    ego_from_camera: Array
    skew_deg: float
    stretch: float


def pose_of(view: GroundView) -> PlanePose:
    """The nearest pose, of a camera above the ground.

    Raises FormatError for a homography that is far from any camera's.
    """
    if abs(np.linalg.det(view.ground_from_ray)) < 1e-12:
        raise FormatError("its homography has no inverse; give that of the ground picture")
    axes = np.linalg.inv(view.ground_from_ray)
    along_x, along_y = np.linalg.norm(axes[:, :2], axis=0)
    skew = float(np.degrees(np.arcsin(axes[:, 0] @ axes[:, 1] / (along_x * along_y))))
    stretch = float(along_x / along_y - 1)
    if abs(skew) > _MAX_SKEW or abs(stretch) > _MAX_STRETCH:
        raise FormatError(
            f"its homography is no camera's over this ground picture: axes {skew:.1f} degrees from "
            f"square and {100 * stretch:.0f} % unlike; check its lens, origin, columns and rows"
        )
    axes /= np.sqrt(along_x * along_y)
    pose = np.eye(4)
    for sign in (1, -1):  # what lies before the camera, and what lies behind it, look alike
        first, second, shift = (sign * axes).T
        u, _, vt = np.linalg.svd(np.stack([first, second, np.cross(first, second)], axis=1))
        rotation = u @ vt
        pose[:3, :3], pose[:3, 3] = rotation.T, -rotation.T @ shift
        if pose[2, 3] > 0:
            break
    return PlanePose(pose, abs(skew), abs(stretch))


def load_ground_views(folder: Path, placement: Path) -> dict[str, GroundView]:
    """The cameras of FOLDER/CAMERA.yaml: OpenCV's FileStorage with camera_matrix, dist_coeffs (4,
    fisheye), resolution, project_matrix and, where they are not 1 and 0, scale_xy and shift_xy of
    the undistorted picture. `placement`, YAML: where each camera's ground picture lies.

    Raises FormatError.
    """
    try:
        content = load_yaml(placement)
    except OSError as error:
        raise FormatError(f"{placement}: can't be read ({error.strerror}); check it") from error
    except YamlError as error:
        raise FormatError(f"{placement}: not valid YAML: {error}; correct it") from error
    if not isinstance(content, dict) or not content:
        raise FormatError(f"{placement}: names no camera; write CAMERA: and {', '.join(_KEYS)}")
    views = {}
    for name, entry in content.items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", str(name)):  # a file's name, never a way to one
            raise FormatError(f"{placement}: {shown(name)} is no camera; use letters, digits, _, -")
        ego_from_ground = _placed(f"{placement}: {name}", entry)
        path = folder / f"{name}.yaml"
        (camera,) = read_cameras([path], Given("fisheye"), OPENCV).cameras
        ground_from_ray = _homography(path, camera.lens)
        views[str(name)] = GroundView(camera.lens, ego_from_ground @ ground_from_ray)
    return views


def _placed(where: str, entry: Any) -> Array:
    """ego_from_ground (3, 3): from pixels of the ground picture to ego x and y in metres."""
    if not isinstance(entry, dict) or set(entry) != set(_KEYS):
        raise FormatError(f"{where}: give {', '.join(_KEYS)}")
    try:
        pixel, origin = float(entry["pixel_m"]), np.array(entry["origin"], np.float64)
    except (TypeError, ValueError):
        pixel, origin = 0.0, np.zeros(0)
    if origin.shape != (2,) or not np.isfinite(origin).all() or not 1e-4 <= pixel <= 1:
        raise FormatError(
            f"{where}: origin is x and y in metres of the ground picture's pixel 0, 0, and pixel_m "
            f"the side of a pixel, as 0.01; here {shown(entry['origin'])} and "
            f"{shown(entry['pixel_m'])}"
        )
    axes: list[tuple[int, int]] = []
    for key in ("columns", "rows"):
        if entry[key] not in [*_DIRECTIONS]:
            known = ", ".join(_DIRECTIONS)
            raise FormatError(f"{where}: {key} run {shown(entry[key])}; give one of {known}")
        axes.append(_DIRECTIONS[entry[key]])
    if np.linalg.det(np.array(axes)) > -0.5:  # not at a right angle, or as in a mirror
        raise FormatError(
            f"{where}: columns run {entry['columns']} and rows {entry['rows']}, which no picture "
            "from above does; the first picture's, facing ahead, run right and back"
        )
    return np.array([*(np.column_stack([pixel * np.array(axes).T, origin])), [0, 0, 1]])


def _homography(path: Path, lens: Lens) -> Array:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)

    def matrix(key: str, default: Array | None, size: int) -> Array:
        node = storage.getNode(key)
        if node.empty() and default is not None:
            return default
        try:
            found = node.mat() if node.isMap() else None
        except (cv2.error, SystemError):
            found = None
        if found is None or found.size != size or not np.isfinite(found).all():
            raise FormatError(f"{path}: {key} is no matrix of {size} numbers; add or correct it")
        return np.asarray(found, np.float64)

    ground_from_undistorted = matrix("project_matrix", None, 9).reshape(3, 3)
    scale = matrix("scale_xy", np.ones(2), 2).ravel()
    shift = matrix("shift_xy", np.zeros(2), 2).ravel()
    undistorted = lens.matrix
    undistorted[[0, 1], [0, 1]] *= scale
    undistorted[:2, 2] += shift
    return ground_from_undistorted @ undistorted
