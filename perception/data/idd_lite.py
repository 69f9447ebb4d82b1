"""IDD-Lite: FOLDER/images/DRIVE/FRAME_image.jpg and FOLDER/labels/DRIVE/FRAME_label.png.

Varma et al. 2019, "IDD: A Dataset for Exploring Problems of Autonomous Navigation in
Unconstrained Environments"; the Lite edition with the seven labels of its level 1.
"""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np

from perception.data.files import read_image, read_labels
from perception.data.sample import Objects, Sample
from perception.errors import DatasetError

_LABEL_TO_SCENE: dict[str, frozenset[str]] = {
    "drivable": frozenset({"drivable"}),
    "non-drivable": frozenset({"pavement", "terrain"}),
    # Riders are living things here and their two-wheelers vehicles; with `cyclist` in both sets
    # it would satisfy either label, and nothing would teach the difference.
    "living thing": frozenset({"pedestrian", "cyclist"}),
    "vehicle": frozenset({"vehicle"}),
    "roadside object": frozenset({"fence", "pole", "sign"}),
    "far object": frozenset({"building", "vegetation"}),
    "sky": frozenset({"sky"}),
}
_HELD_OUT_OF = 10

Part = Literal["all", "train", "val"]


class IddLite:
    """IDD-Lite for the network's large bucket as camera `main`. It has no boxes.

    `train` and `val` split by drive, since frames of one drive resemble each other: a tenth of
    the drives, chosen by a hash of their names, is `val`.
    """

    labels = tuple(_LABEL_TO_SCENE)
    label_to_scene = tuple(_LABEL_TO_SCENE.values())
    box_origin = "none"

    def __init__(self, folder: Path, part: Part = "all") -> None:
        """`folder` holds images/ and labels/.

        Raises DatasetError for a missing folder, or one without images of that part.
        """
        images, labels = folder / "images", folder / "labels"
        for needed in (images, labels):
            if not needed.is_dir():
                raise DatasetError(
                    f"{needed}: no such folder; IDD-Lite has images/DRIVE/*_image.jpg and "
                    "labels/DRIVE/*_label.png"
                )
        self._pairs = [
            (image, labels / image.parent.name / image.name.replace("_image.jpg", "_label.png"))
            for image in sorted(images.glob("*/*_image.jpg"))
            if part in ("all", part_of(image.parent.name))
        ]
        if not self._pairs:
            raise DatasetError(f"{images}: no */*_image.jpg of part '{part}'; is this IDD-Lite?")
        self.name = f"idd-lite/{part}"
        self.sources = tuple(str(image) for image, _ in self._pairs)
        self.buckets = ("large",) * len(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def sample(self, index: int) -> Sample:
        """Raises DatasetError when one of the two files is missing or damaged, or they disagree."""
        image_path, labels_path = self._pairs[index]
        image = read_image(image_path)
        labels = read_labels(labels_path, len(self.labels), like=image)
        return Sample(image, labels, unknown_objects(image), str(image_path), "main")


def part_of(drive: str) -> Part:
    """The part, `train` or `val`, to which a drive's folder belongs."""
    number = int.from_bytes(hashlib.sha256(drive.encode()).digest()[:8], "big")
    return "val" if number % _HELD_OUT_OF == 0 else "train"


def unknown_objects(image: np.ndarray) -> Objects:
    """Nothing is known of the objects: one ignored box over all of the image."""
    height, width = image.shape[:2]
    return Objects(
        boxes=np.array([[-0.5, -0.5, width - 0.5, height - 0.5]], np.float32),
        classes=np.zeros(1, np.int64),
        ground_points=np.full((1, 2), np.nan, np.float32),
        ignore=np.ones(1, np.bool_),
    )
