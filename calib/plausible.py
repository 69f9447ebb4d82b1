"""What can be said of a rig without any image: values that no camera on a vehicle has."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.lens import Lens
from calib.pose import invert
from calib.rig import Rig

HEIGHT_M = (0.05, 5.0)
FAR_M = 15.0  # from the middle of the other cameras: longer than a lorry
STEEP = np.radians(60)  # up or down
TILTED = np.radians(45)  # about the optical axis
OFF_CENTRE = 0.2  # of the image size, where the optical axis meets it
ASPECT = 1.25  # of fx and fy
VIEW = np.radians((4.0, 150.0))  # across, of a pinhole

Fault = Literal["direction", "units", "place", "pose", "resolution", "lens"]


@dataclass(frozen=True)
class Problem:
    """`fault`: what kind it probably is. `text`: one line with the value."""

    fault: Fault
    text: str


def problems(rig: Rig) -> dict[str, list[Problem]]:
    """What is implausible about each camera of the rig; cameras without a problem are left out."""
    found = {}
    for camera in rig:
        others = [c.ego_from_camera[:3, 3] for c in rig if c is not camera]
        middle = np.median(others, axis=0) if others else np.zeros(3)
        here = _pose_problems(camera.ego_from_camera, middle) + _lens_problems(camera)
        if here:
            found[camera.name] = here
    return found


def _pose_problems(pose: NDArray[np.float64], middle: NDArray[np.float64]) -> list[Problem]:
    complaints = _complaints(pose, middle)
    if not complaints:
        return []
    text = ", ".join(complaints.values())
    if not _complaints(invert(pose), middle):
        return [Problem("direction", f"{text}; its inverse is none of that")]
    # Angles in the wrong unit turn a camera but leave it where it is.
    fault: Fault = "units" if complaints.keys() <= {"steep", "tilted"} else "place"
    return [Problem(fault, text)]


def _complaints(pose: NDArray[np.float64], middle: NDArray[np.float64]) -> dict[str, str]:
    found = {}
    place, forward, down = pose[:3, 3], pose[:3, 2], pose[:3, 1]
    distance = np.linalg.norm(place - middle)
    if not HEIGHT_M[0] <= place[2] <= HEIGHT_M[1]:
        found["height"] = f"{place[2]:.1f} m above the ground"
    if distance > FAR_M:
        found["far"] = f"{distance:.0f} m from the other cameras"
    pitch = np.arcsin(np.clip(forward[2], -1, 1))
    if abs(pitch) > STEEP:
        found["steep"] = f"looks {np.degrees(abs(pitch)):.0f} degrees {'up' if pitch > 0 else 'down'}"
    elif -down[2] < np.cos(TILTED) * np.cos(pitch):
        tilt = np.degrees(np.arccos(np.clip(-down[2] / np.cos(pitch), -1, 1)))
        found["tilted"] = f"tilted by {tilt:.0f} degrees"
    return found


def _lens_problems(camera: Camera) -> list[Problem]:
    lens = camera.lens
    found = []
    across, down = (lens.cx + 0.5) / lens.width, (lens.cy + 0.5) / lens.height
    if max(abs(across - 0.5), abs(down - 0.5)) > OFF_CENTRE:
        found.append(Problem("resolution", f"principal point {lens.cx:.0f}, {lens.cy:.0f} in an "
                             f"image of {lens.width}x{lens.height}{_other_size(across, down, lens)}"))
    if not 1 / ASPECT <= lens.fx / lens.fy <= ASPECT:
        found.append(Problem("resolution", f"fx {lens.fx:.0f} but fy {lens.fy:.0f}"))
    view = 2 * np.arctan(lens.width / 2 / lens.fx)
    if lens.model == "pinhole" and not VIEW[0] <= view <= VIEW[1]:
        found.append(Problem("lens", f"fx {lens.fx:.0f} sees {np.degrees(view):.0f} degrees of a "
                             f"{lens.width} px wide pinhole"))
    edge = np.array([(0, lens.cy), (lens.width - 1, lens.cy), (lens.cx, 0),
                     (lens.cx, lens.height - 1)])
    if not np.isfinite(lens.unproject(edge)).all():
        found.append(Problem("lens", f"its {lens.model} distortion folds inside the image"))
    return found


def _other_size(across: float, down: float, lens: Lens) -> str:
    """For intrinsics of the same picture at another size: that size."""
    if abs(across - down) < 0.1 * max(across, down):
        return f"; it suits {across * 2 * lens.width:.0f}x{down * 2 * lens.height:.0f}"
    return ""
