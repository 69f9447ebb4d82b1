"""Folder of rendered views with exact truth, as `octoview sim views` writes it.

FOLDER/index.json lists the views; each has an image, a label image and its objects. The scene
and object classes are written by name, so a folder stays readable when the taxonomy grows.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, FiniteFloat, model_validator

from perception.data.files import inside, read_image, read_json, read_labels
from perception.data.sample import Objects, Sample
from perception.errors import DatasetError
from perception.taxonomy import OBJECT_CLASSES, SCENE_CLASSES

_Point = tuple[FiniteFloat, FiniteFloat]


class _Object(BaseModel):
    name: Annotated[str, Field(alias="class")]
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    ground_point: _Point | None
    ignore: bool

    @model_validator(mode="after")
    def _check(self) -> "_Object":
        if self.name not in OBJECT_CLASSES:
            raise ValueError(f"unknown class '{self.name}', known are {', '.join(OBJECT_CLASSES)}")
        x0, y0, x1, y1 = self.box
        if x0 >= x1 or y0 >= y1:
            raise ValueError(f"box {self.box} is empty")
        return self


class _View(BaseModel):
    image: str
    labels: str
    camera: str
    bucket: str
    objects: list[_Object]
    previous: str | None = None


class _Index(BaseModel):
    scene_classes: list[str]
    views: list[_View]


class Synthetic:
    """Rendered views of one folder, each for the bucket of its camera. Boxes are exact."""

    box_origin = "exact"

    def __init__(self, folder: Path) -> None:
        """Raises DatasetError for a missing folder and a bad index."""
        path = folder / "index.json"
        index = read_json(path, _Index, "`octoview sim views` makes such a folder")
        unknown = set(index.scene_classes) - set(SCENE_CLASSES)
        if unknown:
            raise DatasetError(
                f"{path}: unknown scene class '{min(unknown)}'; known are "
                f"{', '.join(SCENE_CLASSES)}"
            )
        if not index.views:
            raise DatasetError(f"{path}: holds no views; make some with `octoview sim views`")
        self._folder = folder
        self._views = index.views
        self.name = f"sim/{folder.name}"
        self.labels = tuple(index.scene_classes)
        self.label_to_scene = tuple(frozenset({name}) for name in index.scene_classes)
        self.sources = tuple(str(inside(folder, view.image)) for view in index.views)
        self.buckets = tuple(view.bucket for view in index.views)

    def __len__(self) -> int:
        return len(self._views)

    def sample(self, index: int) -> Sample:
        """Raises DatasetError when one of the two files is missing or damaged, or they disagree."""
        view = self._views[index]
        image = read_image(inside(self._folder, view.image))
        labels = read_labels(inside(self._folder, view.labels), len(self.labels), like=image)
        previous = self._previous(view, image)
        unknown = (np.nan, np.nan)
        objects = Objects(
            boxes=np.array([o.box for o in view.objects], np.float32).reshape(-1, 4),
            classes=np.array([OBJECT_CLASSES.index(o.name) for o in view.objects], np.int64),
            ground_points=np.array(
                [o.ground_point or unknown for o in view.objects], np.float32
            ).reshape(-1, 2),
            ignore=np.array([o.ignore for o in view.objects], np.bool_),
        )
        return Sample(image, labels, objects, self.sources[index], view.camera, previous)

    def _previous(self, view: _View, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
        if view.previous is None:
            return None
        path = inside(self._folder, view.previous)
        previous = read_image(path)
        if previous.shape != image.shape:
            raise DatasetError(
                f"{path}: is {previous.shape[1]}x{previous.shape[0]}, the frame after it "
                f"{image.shape[1]}x{image.shape[0]}; render these views again"
            )
        return previous
