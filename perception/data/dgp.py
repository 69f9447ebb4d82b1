"""DGP (the dataset format of Toyota Research Institute, TRI): camera images with 2D boxes.

    FOLDER/scene_*.json, ontology/, bounding_box_2d/, rgb/: one scene, or FOLDER/*/ for many

Images without 2D boxes are left out; an image whose box file is empty shows no object. TRI's 2D
boxes are 3D boxes projected, through bushes and houses too. Where the image has its 3D boxes as
well, those that hardly a lidar point hit are ignored.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from perception.data.boxes import IGNORED, Box, BoxDataset, check_size
from perception.data.dgp_format import (
    BOUNDING_BOX_2D,
    BOUNDING_BOX_3D,
    Box2dAnnotations,
    Image,
    LidarCounts,
    Ontology,
    Scene,
)
from perception.data.files import inside, read_json
from perception.errors import DatasetError

OBJECT_CLASS = {
    "Car": "vehicle",
    "Truck": "vehicle",
    "Bus/RV/Caravan": "vehicle",
    "Train": "vehicle",
    "Trailer": "vehicle",
    "Towed Object": "vehicle",
    "Person": "pedestrian",
    "Pedestrian": "pedestrian",
    "Bicycle": "cyclist",
    "Motorcycle": "cyclist",
}
"""Our object class of each DGP label; a label that is not here belongs to none of ours."""

# Too uncertain to learn from: DGP doesn't say whether somebody rides, nor what tows.
_IGNORED_LABELS = {"Trailer", "Towed Object", "Bicycle", "Motorcycle"}

_MIN_POINTS = 3
"""Lidar points from which on an object counts as seen; stray ones hit the hidden."""

_REMEDY = "restore the scene"


class _View(NamedTuple):
    folder: Path  # of the scene
    image: Image
    labels: dict[int, str]  # by class id


class Dgp(BoxDataset):
    """The annotated images of one scene or of all scenes in a folder."""

    box_origin = "projected"

    def __init__(self, folder: Path) -> None:
        """Raises DatasetError if there is no scene, one is malformed, or none has 2D boxes."""
        scenes = sorted(folder.glob("scene_*.json")) or sorted(folder.glob("*/scene_*.json"))
        if not scenes:
            raise DatasetError(f"{folder}: no scene_*.json there or one folder below; name a scene")
        cameras = []
        self._views: list[_View] = []
        for path in scenes:
            scene = read_json(path, Scene, _REMEDY)
            labels = _labels(path, scene)
            for datum in scene.data:
                image = datum.datum.image
                if image and BOUNDING_BOX_2D in image.annotations:
                    self._views.append(_View(path.parent, image, labels))
                    cameras.append(datum.id.name)
        if not self._views:
            raise DatasetError(f"{folder}: no image has 2D boxes; choose another scene")
        images = [inside(view.folder, view.image.filename) for view in self._views]
        super().__init__(f"dgp/{folder.name}", images, cameras)

    def boxes_of(self, index: int, image: npt.NDArray[np.uint8]) -> Iterable[Box]:
        folder, stated, labels = self._views[index]
        if stated.width and stated.height:
            check_size(image, stated.width, stated.height, self.sources[index])
        hidden = _hidden(folder, stated)
        path = inside(folder, stated.annotations[BOUNDING_BOX_2D])
        for found in read_json(path, Box2dAnnotations, _REMEDY).annotations:
            if found.class_id not in labels:
                raise DatasetError(
                    f"{path}: unknown class {found.class_id}; the ontology has "
                    f"{', '.join(map(str, labels)) or 'none'}"
                )
            label = labels[found.class_id]
            unsure = found.iscrowd or found.instance_id in hidden or label in _IGNORED_LABELS
            kind = IGNORED if unsure else OBJECT_CLASS.get(label, IGNORED)
            box = found.box
            yield Box(kind, box.x, box.y, box.x + box.w, box.y + box.h)


def _labels(path: Path, scene: Scene) -> dict[int, str]:
    """Label of each class id of the 2D boxes."""
    if BOUNDING_BOX_2D not in scene.ontologies:
        return {}
    file = inside(path.parent / "ontology", f"{scene.ontologies[BOUNDING_BOX_2D]}.json")
    return {item.id: item.name for item in read_json(file, Ontology, _REMEDY).items}


def _hidden(folder: Path, image: Image) -> set[int]:
    """Instances of which the lidar saw next to nothing; none without 3D boxes."""
    if BOUNDING_BOX_3D not in image.annotations:
        return set()
    counts = read_json(inside(folder, image.annotations[BOUNDING_BOX_3D]), LidarCounts, _REMEDY)
    return {one.instance_id for one in counts.annotations if one.num_points < _MIN_POINTS}
