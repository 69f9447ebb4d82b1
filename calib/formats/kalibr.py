"""Kalibr's camchain: cameras in a chain, each placed by the one before it.

Source: https://github.com/ethz-asl/kalibr/wiki/yaml-formats. `T_cn_cnm1` takes coordinates in the
previous camera to this one, `T_cam_imu` those in the IMU.
"""

import re
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from calib.errors import FormatError
from calib.formats.cameras import CameraSet, FoundCamera, Frame
from calib.formats.document import (
    Document,
    Given,
    Model,
    entry,
    make_lens,
    numbers,
    rigid,
    rows,
    shown,
    whole,
)
from calib.formats.format import Format, Written
from calib.lens import Lens
from calib.pose import invert

_IMU = Frame("Kalibr's IMU", optical=False)
_MODELS: dict[str, tuple[Model, int]] = {
    "radtan": ("pinhole", 4),
    "equidistant": ("fisheye", 4),
    "none": ("pinhole", 0),
}
_KEPT = {
    *("camera_model", "intrinsics", "distortion_model", "distortion_coeffs", "resolution"),
    *("T_cn_cnm1", "T_cam_imu"),
}
# The two ways to one camera's place may differ by as much: metres, and parts of a rotation.
_CLOSED = 1e-3
# The name of a camera here, kept where Kalibr keeps the topic of its images.
_TOPIC = re.compile(r"/camera/([A-Za-z0-9_-]+)/image")


def _matches(document: Document) -> bool:
    content = document.content
    return isinstance(content, dict) and "cam0" in content and _chain(content) is not None


def _chain(content: dict[str, Any]) -> list[str] | None:
    """cam0, cam1, ..., or None where the keys are others."""
    names = [f"cam{index}" for index in range(len(content))]
    return names if set(names) == set(content) else None


def _read(document: Document, given: Given) -> CameraSet:
    content = document.mapping
    names = _chain(content)
    if not names:
        raise FormatError(f"has keys {shown(list(content))}; name the cameras cam0, cam1, ...")
    in_imu = isinstance(content["cam0"], dict) and "T_cam_imu" in content["cam0"]
    frame = _IMU if in_imu else Frame("cam0", optical=True)
    cameras: list[FoundCamera] = []
    notes = []
    previous: NDArray[np.float64] | None = None
    for name in names:
        found = content[name]
        lens = _lens(found, name)
        previous = _pose(found, name, previous, in_imu)
        topic = _TOPIC.fullmatch(str(found.get("rostopic")))
        lost = set(found) - _KEPT - ({"rostopic"} if topic else set())
        notes += [f"{name}.{key} of {shown(found[key])}: not kept" for key in sorted(lost, key=str)]
        cameras.append(FoundCamera(topic.group(1) if topic else name, lens, previous))
    if len(names) == 1 and not in_imu:
        return CameraSet((FoundCamera(cameras[0].name, lens),), notes=tuple(notes))
    return CameraSet(tuple(cameras), frame, notes=tuple(notes))


def _lens(found: Any, name: str) -> Lens:
    kind = entry(found, "camera_model", name)
    if kind != "pinhole":
        raise FormatError(f"{name}.camera_model is {shown(kind)}; only pinhole is supported")
    model = entry(found, "distortion_model", name)
    if model not in list(_MODELS):
        known = ", ".join(_MODELS)
        raise FormatError(f"{name}.distortion_model is {shown(model)}; use {known}")
    lens, count = _MODELS[model]
    coefficients = entry(found, "distortion_coeffs", name)
    distortion = numbers(coefficients, count, f"{name}.distortion_coeffs")
    fx, fy, cx, cy = numbers(entry(found, "intrinsics", name), 4, f"{name}.intrinsics")
    size = numbers(entry(found, "resolution", name), 2, f"{name}.resolution")
    width, height = (whole(value, f"{name}.resolution") for value in size)
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return make_lens(lens, (width, height), K, distortion, name)


def _pose(
    found: dict[str, Any], name: str, previous: NDArray[np.float64] | None, in_imu: bool
) -> NDArray[np.float64]:
    """frame_from_camera, from that of the previous camera, which the first one lacks."""
    ways = {}
    if in_imu and "T_cam_imu" in found:
        ways["T_cam_imu"] = invert(_transform(found, "T_cam_imu", name))
    if previous is not None and (not ways or "T_cn_cnm1" in found):
        ways["T_cn_cnm1"] = previous @ invert(_transform(found, "T_cn_cnm1", name))
    if not ways:
        return np.eye(4)
    poses = list(ways.values())
    if len(poses) == 2 and np.abs(poses[0] - poses[1]).max() > _CLOSED:
        raise FormatError(
            f"{name}: T_cam_imu and T_cn_cnm1 place it {np.abs(poses[0] - poses[1]).max():.2g}"
            " apart; one of them is wrong or inverted: remove it"
        )
    return poses[0]


def _transform(found: dict[str, Any], key: str, name: str) -> NDArray[np.float64]:
    where = f"{name}.{key}"
    return rigid(rows(entry(found, key, name), (4, 4), where), where)


def _write(found: CameraSet) -> Written:
    poses = found.relative_poses()
    content = {}
    for index, camera in enumerate(found.cameras):
        lens = camera.lens
        if lens.model == "pinhole" and any(lens.distortion[4:]):
            raise FormatError(
                f"camera '{camera.name}': distortion has {len(lens.distortion)} coefficients and"
                " Kalibr's radtan 4 (k1 k2 p1 p2); calibrate it with 4"
            )
        model = (
            "equidistant" if lens.model == "fisheye" else "radtan" if lens.distortion else "none"
        )
        chain: dict[str, Any] = {
            "camera_model": "pinhole",
            "intrinsics": [lens.fx, lens.fy, lens.cx, lens.cy],
            "distortion_model": model,
            "distortion_coeffs": list(lens.distortion[:4]),
            "resolution": [lens.width, lens.height],
            "rostopic": f"/camera/{camera.name}/image",
        }
        if index:
            chain["T_cn_cnm1"] = (invert(poses[index]) @ poses[index - 1]).tolist()
        if found.frame == _IMU and camera.frame_from_camera is not None:
            chain["T_cam_imu"] = invert(camera.frame_from_camera).tolist()
        content[f"cam{index}"] = chain
    lost = None if found.frame == _IMU else found.place_of_first()
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    return Written(text, (lost,) if lost else ())


KALIBR = Format(
    "kalibr",
    "Kalibr's camchain",
    ".yaml",
    single=False,
    has_pose=True,
    matches=_matches,
    read=_read,
    write=_write,
)
