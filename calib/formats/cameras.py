"""What a calibration file of any format says: cameras, and the frame that they are placed in."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib.errors import FormatError
from calib.lens import Lens
from calib.pose import BODY_FROM_OPTICAL, angles, ego_from_camera, invert


@dataclass(frozen=True)
class Frame:
    """What poses are relative to. `optical`: its axes are a camera's (x right, y down, z forward),
    not a vehicle's (x forward, y left, z up)."""

    title: str
    optical: bool


EGO = Frame("ego", optical=False)


@dataclass(frozen=True, eq=False)
class FoundCamera:
    """One camera of a file. `frame_from_camera`: (4, 4), metres, in the frame of its set; None
    where the file doesn't say. `rate_hz` and `bucket` are known to rig files alone."""

    name: str
    lens: Lens
    frame_from_camera: NDArray[np.float64] | None = None
    rate_hz: float | None = None
    bucket: str | None = None


@dataclass(frozen=True, eq=False)
class CameraSet:
    """The cameras of a file, all placed in `frame` or none of them (None).

    `notes`: what the file says and a camera here has no place for, a line each.
    """

    cameras: tuple[FoundCamera, ...]
    frame: Frame | None = None
    name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.cameras:
            raise FormatError("has no cameras; give a file with at least one")
        names = [camera.name for camera in self.cameras]
        for name in names:
            if names.count(name) > 1:
                count = names.count(name)
                raise FormatError(f"camera '{name}' is there {count} times; keep the one meant")
        for camera in self.cameras:
            if (camera.frame_from_camera is None) != (self.frame is None):
                raise FormatError(f"camera '{camera.name}' alone lacks a pose, or has one; add it")

    def only(self, name: str) -> "CameraSet":
        """The set with one camera left."""
        chosen = tuple(camera for camera in self.cameras if camera.name == name)
        if not chosen:
            known = ", ".join(camera.name for camera in self.cameras)
            raise FormatError(f"there is no camera '{name}', only {known}")
        return replace(self, cameras=chosen)

    def mounted(self, position: ArrayLike, yaw: float, pitch: float, roll: float) -> "CameraSet":
        """The set in the ego frame, given where its own frame sits there.

        position: (3,) metres. Angles in radians as `calib.pose.ego_from_camera` takes them: of the
        optical axis where the frame is a camera's, else of the frame's x axis. A single camera
        without a pose is its own frame.
        """
        ego_from_frame = ego_from_camera(position, yaw, pitch, roll)
        if self.frame is EGO:
            raise FormatError("poses are in the ego frame already; leave --mount out")
        if self.frame is None and len(self.cameras) > 1:
            raise FormatError(
                "the file doesn't say where its cameras stand to each other; --mount places one"
                " camera: choose it with --camera"
            )
        if self.frame and not self.frame.optical:
            ego_from_frame[:3, :3] = ego_from_frame[:3, :3] @ BODY_FROM_OPTICAL.T
        return self.placed(ego_from_frame)

    def placed(self, ego_from_frame: NDArray[np.float64]) -> "CameraSet":
        """The set in the ego frame: (4, 4), where its own frame sits there, metres."""
        cameras = tuple(
            replace(
                camera,
                frame_from_camera=ego_from_frame
                if camera.frame_from_camera is None
                else ego_from_frame @ camera.frame_from_camera,
            )
            for camera in self.cameras
        )
        return replace(self, cameras=cameras, frame=EGO)

    def relative_poses(self) -> list[NDArray[np.float64]]:
        """first_from_camera (4, 4) of every camera. Raises FormatError where there are no poses."""
        if self.cameras[0].frame_from_camera is None:
            if len(self.cameras) > 1:
                raise FormatError(
                    f"needs the poses of all {len(self.cameras)} cameras, and the input has none;"
                    " choose one with --camera"
                )
            return [np.eye(4)]
        first_from_frame = invert(self.cameras[0].frame_from_camera)
        return [
            np.eye(4) if index == 0 else first_from_frame @ camera.frame_from_camera
            for index, camera in enumerate(self.cameras)
            if camera.frame_from_camera is not None
        ]

    def place_of_first(self) -> str | None:
        """A line on what is lost where poses are kept from camera to camera alone, or None."""
        first = self.cameras[0]
        if self.frame is None or first.frame_from_camera is None:
            return None
        if np.array_equal(first.frame_from_camera, np.eye(4)):
            return None
        if self.frame is not EGO:
            return f"where '{first.name}' stands in the frame of {self.frame.title} is not kept"
        return (
            f"no vehicle frame: poses are kept from camera to camera; to place them again:"
            f" --mount {mount_text(first.frame_from_camera)}"
        )


def size_note(found: CameraSet) -> str:
    """The line on image sizes for a format without, with what to say when it is read."""
    sizes = {camera.name: f"{camera.lens.width}x{camera.lens.height}" for camera in found.cameras}
    same = len(set(sizes.values())) == 1
    pairs = [*sizes.values()][:1] if same else [f"{name}={size}" for name, size in sizes.items()]
    return f"no image size; to read it back: {' '.join(f'--size {pair}' for pair in pairs)}"


def mount_text(pose: NDArray[np.float64]) -> str:
    """X,Y,Z,YAW,PITCH,ROLL in metres and degrees of an ego_from_camera (4, 4)."""
    values = [*pose[:3, 3], *np.degrees(angles(pose))]
    return ",".join(f"{value + 0.0:.10g}" for value in values)
