"""BDD100K: drivable area and boxes of the 100K images, in the layout of its download.

    FOLDER/images/100k/SPLIT/NAME.jpg
    FOLDER/labels/drivable/masks/SPLIT/NAME.png    0 direct, 1 alternative, 2 background
    FOLDER/labels/det_20/det_SPLIT.json            Scalabel's format

Yu et al. 2020, "BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning".
Format: https://doc.bdd100k.com/format.html and https://doc.scalabel.ai/format.html.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception.data.boxes import IGNORED, Box, objects_from
from perception.data.files import list_images, read_image, read_json, read_labels
from perception.data.riders import MACHINE, RIDER, join_riders
from perception.data.sample import Sample
from perception.errors import DatasetError
from perception.taxonomy import IGNORE, SCENE_CLASSES

_LABEL_TO_SCENE: dict[str, frozenset[str]] = {
    "drivable": frozenset({"drivable"}),
    # Road that the car may not use, such as beyond a kerb, counts as background in BDD100K.
    "background": frozenset(SCENE_CLASSES) - {"drivable"},
}
# The lane one is in (direct) and those one may change to (alternative) are both drivable.
_LABEL_OF_BYTE = np.full(256, IGNORE, np.uint8)
_LABEL_OF_BYTE[:3] = 0, 0, 1

# BDD100K boxes riders and their machines apart (see riders.py). Some names are of the labels of
# 2018; the "other" ones and trailers the benchmark ignores as well.
_KIND: dict[str, str | None] = {
    "pedestrian": "pedestrian",
    "person": "pedestrian",
    "rider": RIDER,
    "car": "vehicle",
    "truck": "vehicle",
    "bus": "vehicle",
    "train": "vehicle",
    "motorcycle": MACHINE,
    "motor": MACHINE,
    "bicycle": MACHINE,
    "bike": MACHINE,
    "van": "vehicle",
    "caravan": "vehicle",
    "other person": IGNORED,
    "other vehicle": IGNORED,
    "trailer": IGNORED,
    "traffic light": None,  # background
    "traffic sign": None,
}


@dataclass(slots=True)
class _Box2d:
    """Pixels; x2 and y2 are the last column and row of the object."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(slots=True)
class _Attributes:
    crowd: bool = False


@dataclass(slots=True)
class _Label:
    category: str
    box2d: _Box2d | None = None  # lanes and areas have none
    attributes: _Attributes | None = None


@dataclass(slots=True)
class _Frame:
    name: str
    labels: list[_Label] | None = None


class Bdd100k:
    """One split of BDD100K for the network's large bucket, as camera `main`."""

    labels = tuple(_LABEL_TO_SCENE)
    label_to_scene = tuple(_LABEL_TO_SCENE.values())
    box_origin = "exact"

    def __init__(self, folder: Path, split: str = "train") -> None:
        """Raises DatasetError for missing folders and a bad detection file."""
        self._masks = folder / "labels" / "drivable" / "masks" / split
        if not self._masks.is_dir():
            raise DatasetError(f"{self._masks}: no such folder; BDD100K has its masks there")
        self._images = list_images(folder / "images" / "100k" / split)
        path = folder / "labels" / "det_20" / f"det_{split}.json"
        frames = read_json(path, list[_Frame], "restore BDD100K's detection labels of 2020")
        self._boxes = {frame.name: frame.labels or [] for frame in frames}
        self.name = f"bdd100k/{split}"
        self.sources = tuple(str(image) for image in self._images)
        self.buckets = ("large",) * len(self._images)

    def __len__(self) -> int:
        return len(self._images)

    def sample(self, index: int) -> Sample:
        """Raises DatasetError for a missing or damaged file, and for bad boxes."""
        path = self._images[index]
        image = read_image(path)
        mask = read_labels(self._masks / f"{path.stem}.png", 3, like=image)
        height, width = image.shape[:2]
        if path.name in self._boxes:
            boxes = _boxes(self._boxes[path.name], str(path))
        else:  # some official images are in no detection file, so their objects are not known
            boxes = [Box(IGNORED, 0, 0, width, height)]
        objects = objects_from(boxes, image, str(path))
        return Sample(image, _LABEL_OF_BYTE[mask], objects, str(path), "main")


def _boxes(labels: list[_Label], where: str) -> list[Box]:
    boxes = []
    for label in labels:
        if label.box2d is None:
            continue
        if label.category not in _KIND:
            raise DatasetError(
                f"{where}: unknown category '{label.category}'; known are {', '.join(_KIND)}"
            )
        kind = _KIND[label.category]
        if kind is None:
            continue
        if label.attributes and label.attributes.crowd:
            kind = IGNORED
        edges = label.box2d
        boxes.append(Box(kind, edges.x1, edges.y1, edges.x2 + 1, edges.y2 + 1))
    return join_riders(boxes)
