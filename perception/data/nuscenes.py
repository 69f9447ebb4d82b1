"""nuScenes: its 3D boxes projected into the camera images by its own devkit.

    FOLDER/samples/CAMERA/*.jpg
    FOLDER/v1.0-*/attribute.json
    FOLDER/v1.0-*/image_annotations.json    by the devkit's scripts/export_2d_annotations_as_json.py

Caesar et al. 2020, "nuScenes: A multimodal dataset for autonomous driving"; tables as in
https://github.com/nutonomy/nuscenes-devkit/blob/master/docs/schema_nuscenes.md. Images without any
annotated object are not in that file, so they are not in the dataset.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from perception.data.boxes import IGNORED, Box, BoxDataset
from perception.data.files import inside, read_json
from perception.errors import DatasetError

_CYCLE = "cycle"
_KIND: dict[str, str | None] = {
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "human.pedestrian.personal_mobility": IGNORED,
    "human.pedestrian.stroller": IGNORED,
    "human.pedestrian.wheelchair": IGNORED,
    "animal": IGNORED,
    "vehicle.car": "vehicle",
    "vehicle.truck": "vehicle",
    "vehicle.bus.bendy": "vehicle",
    "vehicle.bus.rigid": "vehicle",
    "vehicle.construction": "vehicle",
    "vehicle.emergency.ambulance": "vehicle",
    "vehicle.emergency.police": "vehicle",
    "vehicle.trailer": IGNORED,
    "vehicle.bicycle": _CYCLE,
    "vehicle.motorcycle": _CYCLE,
    "movable_object.pushable_pullable": IGNORED,
    "movable_object.debris": IGNORED,
    "static_object.bicycle_rack": IGNORED,
    "movable_object.barrier": None,  # background
    "movable_object.trafficcone": None,
}
_WITH_RIDER = "cycle.with_rider"  # the box then holds the rider too; a cycle alone is no cyclist
_MOSTLY_HIDDEN = "1"  # visibility token: 0 to 40 % are seen by any camera


@dataclass(slots=True)
class _Attribute:
    token: str
    name: str


@dataclass(slots=True)
class _Annotation:
    """bbox_corners: x0, y0, x1, y1 in pixels from the image's border, clipped to the image."""

    filename: str
    category_name: str
    attribute_tokens: list[str]
    visibility_token: str
    num_lidar_pts: int
    num_radar_pts: int
    bbox_corners: tuple[float, float, float, float]


def object_kind(category: str, attributes: Iterable[str]) -> str | None:
    """What an object of nuScenes is here, by the names of its category and attributes: a class,
    IGNORED, or None for background. Raises KeyError for an unknown category."""
    kind = _KIND[category]
    if kind == _CYCLE:
        return "cyclist" if _WITH_RIDER in attributes else IGNORED
    return kind


class NuScenes(BoxDataset):
    """All annotated camera images of one version, such as v1.0-mini."""

    box_origin = "projected"

    def __init__(self, folder: Path, version: str) -> None:
        """Raises DatasetError for missing or malformed tables."""
        path = folder / version / "image_annotations.json"
        remedy = "make it with nuScenes' export_2d_annotations_as_json.py"
        self._annotations: dict[str, list[_Annotation]] = defaultdict(list)
        for annotation in read_json(path, list[_Annotation], remedy):
            self._annotations[annotation.filename].append(annotation)
        if not self._annotations:
            raise DatasetError(f"{path}: annotates no image; {remedy}")
        attributes = read_json(
            folder / version / "attribute.json", list[_Attribute], "restore nuScenes' tables"
        )
        self._attributes = {item.token: item.name for item in attributes}
        self._files = list(self._annotations)
        super().__init__(
            f"nuscenes/{version}",
            [inside(folder, name) for name in self._files],
            [Path(name).parent.name for name in self._files],
        )

    def boxes_of(self, index: int, image: npt.NDArray[np.uint8]) -> Iterable[Box]:
        for found in self._annotations[self._files[index]]:
            if found.category_name not in _KIND:
                raise DatasetError(
                    f"{self.sources[index]}: unknown category '{found.category_name}'; known are "
                    f"{', '.join(_KIND)}"
                )
            names = (self._attributes.get(token, "") for token in found.attribute_tokens)
            kind = object_kind(found.category_name, names)
            if kind is not None:
                yield Box(IGNORED if _unseen(found) else kind, *found.bbox_corners)


def _unseen(found: _Annotation) -> bool:
    """Whether the box was projected through what hides the object, or was seen by no sensor; the
    benchmark leaves the latter out too."""
    points = found.num_lidar_pts + found.num_radar_pts
    return found.visibility_token == _MOSTLY_HIDDEN or points == 0
