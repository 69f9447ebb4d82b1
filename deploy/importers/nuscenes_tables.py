"""The tables of nuScenes that a scene needs: the large ones as streams, kept are its own rows."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked

from calib.errors import CalibError
from calib.formats.nuscenes import pose_of
from deploy.errors import LogError
from deploy.importers.source_folder import inside, stream

_FINITE = ConfigDict(allow_inf_nan=False)
_T = TypeVar("_T")


@checked(config=_FINITE)
class _Placed:
    """A pose: metres, and a quaternion w x y z."""

    token: str
    translation: list[float]
    rotation: list[float]


@checked(config=_FINITE)
class CalibratedSensor(_Placed):
    """Pose in the ego frame. `camera_intrinsic` is empty where it is no camera."""

    sensor_token: str
    camera_intrinsic: list[list[float]]


@checked(config=_FINITE)
class Annotation(_Placed):
    """One object at one keyframe, pose of its centre in the map frame; size: width, length,
    height."""

    sample_token: str
    instance_token: str
    size: tuple[float, float, float]
    attribute_tokens: list[str]
    num_lidar_pts: int = 0


@checked(config=_FINITE)
class SampleData:
    """What one sensor measured once. Microseconds since 1970."""

    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    timestamp: int
    is_key_frame: bool
    filename: str
    width: int = 0
    height: int = 0


@checked
class Scene:
    token: str
    name: str


@checked
class _Sample:
    token: str
    timestamp: int


@checked
class _Sensor:
    token: str
    channel: str
    modality: str


@checked
class _Instance:
    token: str
    category_token: str


@checked
class _Named:
    token: str
    name: str


@dataclass
class Tables:
    """The tables of one version, seen from one scene. Raises LogError for a file or row that is
    missing or malformed."""

    root: Path
    version: str | None
    wanted: str | None
    stamps: dict[str, int] = field(default_factory=dict)
    """Microseconds of each sample of the scene."""
    lidar_poses: dict[str, str] = field(default_factory=dict)
    """Token of the ego pose at which the lidar measured a sample, known after `camera_data`."""

    def __post_init__(self) -> None:
        self.folder = self._version()
        self.scene = self._scene()
        for sample in stream(
            self._table("sample"), _Sample, lambda r: r.get("scene_token") == self.scene.token
        ):
            self.stamps[sample.token] = sample.timestamp
        self._sensors = {row.token: row for row in stream(self._table("sensor"), _Sensor)}
        self._placed = {
            row.token: row for row in stream(self._table("calibrated_sensor"), CalibratedSensor)
        }

    def camera_data(self) -> list[SampleData]:
        """The scene's camera images, in order of time."""
        wanted = stream(
            self._table("sample_data"),
            SampleData,
            lambda r: str(r.get("sample_token")) in self.stamps,
        )
        cameras = []
        for row in wanted:
            modality = self._sensor_of(row).modality
            if modality == "camera":
                cameras.append(row)
            elif modality == "lidar" and row.is_key_frame:
                self.lidar_poses[row.sample_token] = row.ego_pose_token
        return sorted(cameras, key=lambda row: (row.timestamp, self.channel(row)))

    def ego_poses(self, tokens: set[str]) -> dict[str, NDArray[np.float64]]:
        """map_from_ego (4, 4) by token."""
        path = self._table("ego_pose")
        poses = {
            row.token: self.pose(row)
            for row in stream(path, _Placed, lambda r: str(r.get("token")) in tokens)
        }
        if absent := tokens - set(poses):
            raise LogError(f"{path}: has no {min(absent)}; restore the tables")
        return poses

    def annotations(self) -> dict[str, list[Annotation]]:
        """The scene's 3D boxes by sample; every sample has an entry. Empty without the table, as
        in the test split."""
        path = self.folder / "sample_annotation.json"
        found: dict[str, list[Annotation]] = defaultdict(list)
        if not path.exists():
            return found
        self._instances = {row.token: row for row in stream(self._table("instance"), _Instance)}
        self._categories = {row.token: row.name for row in stream(self._table("category"), _Named)}
        self._attributes = {row.token: row.name for row in stream(self._table("attribute"), _Named)}
        for token in self.stamps:
            found[token] = []
        for row in stream(
            self._table("sample_annotation"),
            Annotation,
            lambda r: str(r.get("sample_token")) in self.stamps,
        ):
            found[row.sample_token].append(row)
        return found

    def names(self, found: Annotation) -> tuple[str, list[str]]:
        """Category and attributes of a box."""
        instance = self._row(self._instances, found.instance_token, "instance")
        category = self._row(self._categories, instance.category_token, "category")
        return category, [self._attributes.get(token, "") for token in found.attribute_tokens]

    def channel(self, row: SampleData) -> str:
        """Name of the sensor, such as CAM_FRONT."""
        return self._sensor_of(row).channel

    def sensor(self, row: SampleData) -> CalibratedSensor:
        return self._row(self._placed, row.calibrated_sensor_token, "calibrated_sensor")

    def pose(self, row: _Placed) -> NDArray[np.float64]:
        """The pose (4, 4) of a row."""
        try:
            record = {"translation": row.translation, "rotation": row.rotation}
            return pose_of(record, row.token)
        except CalibError as error:
            raise LogError(f"{self.folder}: {error}") from error

    def _sensor_of(self, row: SampleData) -> _Sensor:
        return self._row(self._sensors, self.sensor(row).sensor_token, "sensor")

    def _row(self, table: dict[str, _T], token: str, name: str) -> _T:
        if token not in table:
            raise LogError(f"{self._table(name)}: has no {token}; restore the tables")
        return table[token]

    def _table(self, name: str) -> Path:
        return inside(self.root, f"{self.folder.name}/{name}.json")

    def _version(self) -> Path:
        if self.version is not None:
            return inside(self.root, self.version)
        found = sorted(path for path in self.root.glob("v1.0-*") if path.is_dir())
        if len(found) != 1:
            names = ", ".join(path.name for path in found)
            problem = f"{names}; choose with --version" if found else "no v1.0-* with tables there"
            raise LogError(f"{self.root}: {problem}")
        return found[0]

    def _scene(self) -> Scene:
        scenes = list(stream(self._table("scene"), Scene))
        chosen = [one for one in scenes if self.wanted in (None, one.name)]
        if len(chosen) == 1:
            return chosen[0]
        names = ", ".join(one.name for one in scenes[:8]) + ("..." if len(scenes) > 8 else "")
        problem = f"no scene '{self.wanted}'" if self.wanted else f"{len(scenes)} scenes"
        raise LogError(f"{self.folder}: {problem}; choose with --scene one of {names or 'none'}")
