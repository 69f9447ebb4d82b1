"""Boxes as datasets write them, made into Objects; and the datasets that have nothing else."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from perception.data.files import read_image
from perception.data.sample import Objects, Sample
from perception.errors import DatasetError
from perception.taxonomy import IGNORE, OBJECT_CLASSES

IGNORED = "ignored"
"""Kind of an object that is none of ours, or nobody knows whether it is: no background either."""


class Box(NamedTuple):
    """One annotated object. Pixels from the left and upper *border* of the image: its whole is
    (0, 0, W, H). `kind` is one of OBJECT_CLASSES, or IGNORED."""

    kind: str
    x0: float
    y0: float
    x1: float
    y1: float


def objects_from(boxes: Iterable[Box], image: npt.NDArray[np.uint8], where: str) -> Objects:
    """The boxes, clipped to the image, in the convention of Objects. Ground points are unknown.

    An IGNORED box is ignored for every class. Raises DatasetError, beginning with `where`, for a
    box that is not finite, is empty, or lies wholly outside the image.
    """
    height, width = image.shape[:2]
    corners: list[tuple[float, float, float, float]] = []
    classes: list[int] = []
    ignore: list[bool] = []
    for box in boxes:
        x0, y0, x1, y1 = box[1:]
        inside = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
        fault = (
            "is not finite"
            if not np.isfinite(box[1:]).all()
            else "is empty"
            if x1 <= x0 or y1 <= y0
            else "lies outside its image"
            if inside[2] <= inside[0] or inside[3] <= inside[1]
            else ""
        )
        if fault:
            raise DatasetError(
                f"{where}: box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) {fault} of {width}x{height}; "
                "correct or remove it"
            )
        ignored = box.kind == IGNORED
        kinds = range(len(OBJECT_CLASSES)) if ignored else [OBJECT_CLASSES.index(box.kind)]
        for kind in kinds:
            corners.append(inside)
            classes.append(kind)
            ignore.append(ignored)
    return Objects(
        boxes=np.array(corners, np.float32).reshape(-1, 4) - np.float32(0.5),
        classes=np.array(classes, np.int64),
        ground_points=np.full((len(classes), 2), np.nan, np.float32),
        ignore=np.array(ignore, np.bool_),
    )


class BoxDataset:
    """A dataset of boxes alone: no pixel has a scene label. All images feed the large bucket.

    A subclass finds the images and says what each shows, in `boxes_of`.
    """

    labels: tuple[str, ...] = ()
    label_to_scene: tuple[frozenset[str], ...] = ()
    box_origin = "exact"

    def __init__(self, name: str, images: Sequence[Path], cameras: Sequence[str] = ()) -> None:
        """`cameras`: that of each image; `main` where there is none."""
        self.name = name
        self.sources = tuple(str(path) for path in images)
        self.buckets = ("large",) * len(images)
        self._images = images
        self._cameras = cameras or ("main",) * len(images)

    def boxes_of(self, index: int, image: npt.NDArray[np.uint8]) -> Iterable[Box]:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._images)

    def sample(self, index: int) -> Sample:
        """Raises DatasetError for a damaged image and for bad boxes."""
        path = self._images[index]
        image = read_image(path)
        objects = objects_from(self.boxes_of(index, image), image, str(path))
        labels = np.full(image.shape[:2], IGNORE, np.uint8)
        return Sample(image, labels, objects, str(path), self._cameras[index])


def check_size(image: npt.NDArray[np.uint8], width: int, height: int, where: str) -> None:
    """Raises DatasetError, beginning with `where`, if the image has not the stated size."""
    if image.shape[:2] != (height, width):
        raise DatasetError(
            f"{where}: is {image.shape[1]}x{image.shape[0]}, but its annotation says "
            f"{width}x{height}; use the images that were annotated"
        )
