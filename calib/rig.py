"""Rig: the cameras of one vehicle, and its YAML file.

The file is described in docs/frames.md; calib/rigs/hw2.yaml is an example.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from calib.camera import Camera
from calib.errors import CalibError, RigError
from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.yaml_file import YamlError, load_yaml

__all__ = ["Camera", "Rig", "load_rig", "save_rig"]

MAX_CAMERAS = 16
BUILT_IN = {path.stem: path for path in sorted((Path(__file__).parent / "rigs").glob("*.yaml"))}


@dataclass(frozen=True)
class Rig:
    """The cameras of one vehicle, 1 to 16, names unique, in a fixed order."""

    name: str
    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))
        if not 1 <= len(self.cameras) <= MAX_CAMERAS:
            raise RigError(f"cameras has {len(self.cameras)} entries; give 1 to {MAX_CAMERAS}")
        for index, name in enumerate(self.names):
            if name in self.names[:index]:
                raise RigError(f"camera '{name}' is listed twice; camera names must be unique")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(camera.name for camera in self.cameras)

    def __getitem__(self, name: str) -> Camera:
        """The named camera. Raises RigError for an unknown name."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise RigError(f"rig '{self.name}' has no camera '{name}', only {', '.join(self.names)}")

    def __iter__(self) -> Iterator[Camera]:
        return iter(self.cameras)

    def __len__(self) -> int:
        return len(self.cameras)


def load_rig(path_or_name: str | Path) -> Rig:
    """Read a rig from a YAML file, or a built-in one by its name (`hw2`).

    Raises RigError: one line with the file, the camera, the field, its value and the remedy.
    """
    path = BUILT_IN.get(str(path_or_name), Path(path_or_name))
    try:
        content = load_yaml(path)
    except FileNotFoundError as error:
        raise RigError(
            f"rig {path}: no such file; give a rig file or a built-in name: {', '.join(BUILT_IN)}"
        ) from error
    except OSError as error:
        raise RigError(f"rig {path}: cannot be read ({error.strerror}); check the path") from error
    except YamlError as error:
        raise RigError(f"rig {path}: not valid YAML: {error}; correct it") from error
    try:
        entry = _RigEntry.model_validate(content)
        return Rig(entry.name, tuple(_camera(camera) for camera in entry.cameras))
    except ValidationError as error:
        raise RigError(f"rig {path}: {_first_problem(error, content)}") from error
    except CalibError as error:
        raise RigError(f"rig {path}: {error}") from error


def save_rig(rig: Rig, path: str | Path) -> None:
    """Write `rig` so that `load_rig` returns an equal one."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    try:
        unfinished.write_text(rig_yaml(rig), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise RigError(f"rig {path}: cannot be written ({error.strerror})") from error


def rig_yaml(rig: Rig) -> str:
    """The text of `rig`'s file.

    Poses are written as matrices: angles would not survive rounding bit for bit.
    """
    content = {
        "name": rig.name,
        "cameras": [
            {
                "name": camera.name,
                "rate_hz": camera.rate_hz,
                "bucket": camera.bucket,
                "lens": asdict(camera.lens) | {"distortion": list(camera.lens.distortion)},
                "ego_from_camera": camera.ego_from_camera.tolist(),
            }
            for camera in rig
        ],
    }
    return str(yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100))


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _PoseEntry(_Entry):
    position: Annotated[list[float], Field(min_length=3, max_length=3)]
    yaw_deg: float
    pitch_deg: float
    roll_deg: float


class _CameraEntry(_Entry):
    name: str
    rate_hz: float
    bucket: str
    lens: Lens
    pose: _PoseEntry | None = None
    ego_from_camera: list[list[float]] | None = None


class _RigEntry(_Entry):
    name: str
    cameras: list[_CameraEntry]


def _camera(entry: _CameraEntry) -> Camera:
    where = f"camera {entry.name!r}"
    if (entry.pose is None) == (entry.ego_from_camera is None):
        raise RigError(f"{where}: give either pose or ego_from_camera, one of the two")
    if entry.pose is not None:
        angles = np.radians([entry.pose.yaw_deg, entry.pose.pitch_deg, entry.pose.roll_deg])
        pose = ego_from_camera(entry.pose.position, *angles)
    else:
        rows = entry.ego_from_camera or []
        if [len(row) for row in rows] != [4, 4, 4, 4]:
            raise RigError(
                f"{where}: ego_from_camera has rows of {[len(row) for row in rows]} numbers; "
                "give 4 rows of 4"
            )
        pose = np.array(rows)
    try:
        return Camera(entry.name, entry.lens, pose, entry.rate_hz, entry.bucket)
    except CalibError as error:
        raise RigError(f"{where}: {error}") from error


def _first_problem(error: ValidationError, content: Any) -> str:
    """The first thing that pydantic found, on one line."""
    first = error.errors()[0]
    where, keys = "", list(first["loc"])
    if len(keys) >= 2 and keys[0] == "cameras":
        camera = content["cameras"][keys[1]]
        name = camera.get("name") if isinstance(camera, dict) else None
        where = f"camera {name!r}: " if name else f"cameras[{keys[1]}]: "
        keys = keys[2:]
    field = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    field = field.lstrip(".") or "entry"
    value = repr(first["input"])
    value = value if len(value) <= 60 else f"{value[:57]}..."
    match first["type"]:
        case "missing":
            problem = f"{field} is missing; add it"
        case "extra_forbidden" | "unexpected_keyword_argument":
            problem = f"{field} is an unknown key with value {value}; remove it or correct its name"
        case "value_error":
            problem = f"{field}: {first['ctx']['error']}"
        case "too_short" | "too_long":
            length = first["ctx"].get("min_length") or first["ctx"]["max_length"]
            problem = f"{field} is {value}; give {length} values"
        case "model_type" | "dataclass_type":
            problem = f"{field} is {value}; write it as keys and values"
        case _:
            problem = f"{field} is {value}; {first['msg'][0].lower()}{first['msg'][1:]}"
    return " ".join((where + problem).split())
