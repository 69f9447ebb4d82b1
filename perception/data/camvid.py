"""CamVid in the layout of the SegNet authors: FOLDER/{train,val}/ and FOLDER/{train,val}annot/.

Brostow et al. 2009, "Semantic object classes in video"; 11 classes as prepared for SegNet
(Badrinarayanan et al. 2015). It has no boxes: ours are mask-derived, see `boxes_from_labels`.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from perception.data.files import list_images, read_image, read_labels
from perception.data.sample import Objects, Sample
from perception.errors import DatasetError
from perception.taxonomy import IGNORE, OBJECT_CLASSES

LABEL_TO_SCENE: dict[str, frozenset[str]] = {
    "sky": frozenset({"sky"}),
    "building": frozenset({"building"}),
    "pole": frozenset({"pole"}),
    "road": frozenset({"drivable"}),
    "pavement": frozenset({"pavement"}),
    "tree": frozenset({"vegetation", "terrain"}),
    "sign": frozenset({"sign"}),
    "fence": frozenset({"fence"}),
    "car": frozenset({"vehicle"}),
    "pedestrian": frozenset({"pedestrian"}),
    "bicyclist": frozenset({"cyclist"}),
    "unlabelled": frozenset(),
}
"""In the order of the label bytes."""
LABELS = tuple(LABEL_TO_SCENE)

_SPECK_AREA = 4
_MIN_HEIGHT = 10


class CamVid:
    """One split of CamVid. All images go to the network's large bucket as camera `main`."""

    labels = LABELS
    label_to_scene = tuple(LABEL_TO_SCENE.values())
    box_origin = "mask-derived"

    def __init__(self, folder: Path) -> None:
        """`folder` holds the images (".../train"); labels lie beside it (".../trainannot").

        Raises DatasetError for a missing or empty folder.
        """
        annotations = folder.with_name(folder.name + "annot")
        for needed in (folder, annotations):
            if not needed.is_dir():
                raise DatasetError(
                    f"{needed}: no such folder; CamVid has its images in SPLIT/ and its labels "
                    "in SPLITannot/"
                )
        images = list_images(folder)
        self._pairs = [(image, annotations / f"{image.stem}.png") for image in images]
        self.name = f"camvid/{folder.name}"
        self.sources = tuple(str(image) for image in images)
        self.buckets = ("large",) * len(images)

    def __len__(self) -> int:
        return len(self._pairs)

    def sample(self, index: int) -> Sample:
        """Raises DatasetError when one of the two files is missing or damaged, or they disagree."""
        image_path, labels_path = self._pairs[index]
        image = read_image(image_path)
        labels = read_labels(labels_path, len(LABELS), like=image)
        return Sample(image, labels, boxes_from_labels(labels), str(image_path), "main")


def boxes_from_labels(labels: npt.NDArray[np.uint8]) -> Objects:
    """Mask-derived boxes: one for each 8-connected component of car, pedestrian, bicyclist.

    Touching objects merge into one component, and an object behind a pole falls apart, so these
    boxes are a rough truth. A component is marked `ignore` when it is

    - low: under 10 px high, too small to tell what it is;
    - loose: it fills less than 0.72 (car) or 0.45 of its box. A single outline is compact, a
      group leaves gaps;
    - broad: wider than 2.2 (car), 0.8 (pedestrian) or 1.3 (bicyclist) times its height, as a
      row of objects is.

    Specks under 4 px are noise of the annotation and left out. Pixels of value IGNORE, which
    CamVid itself has not, may show any object, so a component of them is ignored for every class.
    Ground points are unknown (NaN).
    """
    boxes: list[npt.NDArray[np.float32]] = []
    classes: list[npt.NDArray[np.int64]] = []
    ignore: list[npt.NDArray[np.bool_]] = []
    for label, name, min_fill, max_aspect in (
        ("car", "vehicle", 0.72, 2.2),
        ("pedestrian", "pedestrian", 0.45, 0.8),
        ("bicyclist", "cyclist", 0.45, 1.3),
    ):
        corners, area = _components(labels == LABELS.index(label))
        width, height = (corners[:, 2:] - corners[:, :2]).T
        boxes.append(corners)
        classes.append(np.full(len(corners), OBJECT_CLASSES.index(name), np.int64))
        ignore.append(
            (height < _MIN_HEIGHT)
            | (area < min_fill * width * height)
            | (width > max_aspect * height)
        )
    unknown, _ = _components(labels == IGNORE)
    for index in range(len(OBJECT_CLASSES)):
        boxes.append(unknown)
        classes.append(np.full(len(unknown), index, np.int64))
        ignore.append(np.ones(len(unknown), np.bool_))
    n = sum(len(group) for group in boxes)
    return Objects(
        boxes=np.concatenate(boxes),
        classes=np.concatenate(classes),
        ground_points=np.full((n, 2), np.nan, np.float32),
        ignore=np.concatenate(ignore),
    )


def _components(
    mask: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Boxes (n, 4) and areas (n,) of the mask's 8-connected components, without specks."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    x, y, width, height, area = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= _SPECK_AREA].T  # 0: rest
    corners = np.stack([x, y, x + width, y + height], axis=1)
    return corners.astype(np.float32) - np.float32(0.5), area
