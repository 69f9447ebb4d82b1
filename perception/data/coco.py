"""COCO's format: FOLDER/annotations/instances_SPLIT.json and the images in FOLDER/SPLIT.

Lin et al. 2014, "Microsoft COCO: Common Objects in Context"; https://cocodataset.org/#format-data.
Boxes alone are read. What the categories mean to us: object_names.py.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from perception.data.boxes import IGNORED, Box, BoxDataset, check_size
from perception.data.files import inside, read_json
from perception.data.object_names import kinds_of, mark_riders
from perception.data.riders import join_riders
from perception.errors import DatasetError


@dataclass(slots=True)
class _Image:
    id: int
    file_name: str
    width: int
    height: int


@dataclass(slots=True)
class _Annotation:
    """bbox: x, y of the upper left corner, width, height; pixels from the image's border."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: bool = False


@dataclass(slots=True)
class _Category:
    id: int
    name: str


@dataclass(slots=True)
class _Instances:
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


class Coco(BoxDataset):
    """One split. An image without annotations shows no object."""

    def __init__(self, folder: Path, split: str) -> None:
        """Raises DatasetError for a missing or malformed annotation file, and one without images
        or without categories of ours."""
        path = folder / "annotations" / f"instances_{split}.json"
        content = read_json(path, _Instances, "restore it, or name another split")
        if not content.images:
            raise DatasetError(f"{path}: lists no images; choose another split")
        super().__init__(
            f"coco/{split}", [inside(folder / split, image.file_name) for image in content.images]
        )
        kinds = kinds_of((category.name for category in content.categories), str(path))
        self._riders_are_marked = mark_riders(kinds)
        self._kind = {
            category.id: kind for category, kind in zip(content.categories, kinds, strict=True)
        }
        self._listed = content.images
        self._annotations: dict[int, list[_Annotation]] = defaultdict(list)
        for annotation in content.annotations:
            self._annotations[annotation.image_id].append(annotation)
        unknown = self._annotations.keys() - {image.id for image in content.images}
        if unknown:
            raise DatasetError(
                f"{path}: annotates image {min(unknown)}, which it does not list; correct it"
            )

    def boxes_of(self, index: int, image: npt.NDArray[np.uint8]) -> Iterable[Box]:
        listed, where = self._listed[index], self.sources[index]
        check_size(image, listed.width, listed.height, where)
        boxes = []
        for found in self._annotations.get(listed.id, ()):
            if found.category_id not in self._kind:
                raise DatasetError(
                    f"{where}: unknown category {found.category_id}; list it in categories"
                )
            kind = self._kind[found.category_id]
            if kind is not None:
                x, y, width, height = found.bbox
                kind = IGNORED if found.iscrowd else kind
                boxes.append(Box(kind, x, y, x + width, y + height))
        return join_riders(boxes, self._riders_are_marked)
