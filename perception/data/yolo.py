"""YOLO's text files, in the layout of Ultralytics.

    FOLDER/data.yaml                 names: the classes, a list or a map from their numbers
    FOLDER/images/SPLIT/NAME.jpg
    FOLDER/labels/SPLIT/NAME.txt     a line for each object: class x y width height

Numbers are parts of the image's width and height, x and y those of the box's centre. An image
without a text file shows no object. https://docs.ultralytics.com/datasets/detect. What the names
mean to us: object_names.py.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calib.yaml_file import YamlError, load_yaml
from perception.data.boxes import Box, BoxDataset
from perception.data.files import list_images
from perception.data.object_names import kinds_of, mark_riders
from perception.data.riders import join_riders
from perception.errors import DatasetError

_MARGIN = 0.01
"""Parts of the image by which rounding may carry a number over its border."""


class Yolo(BoxDataset):
    """One split."""

    def __init__(self, folder: Path, split: str = "train") -> None:
        """Raises DatasetError for missing folders, a bad data.yaml or one without classes of
        ours, and if no image has a text file."""
        names = _names(folder / "data.yaml")
        kinds = kinds_of(names.values(), str(folder / "data.yaml"))
        self._riders_are_marked = mark_riders(kinds)
        self._kind = dict(zip(names, kinds, strict=True))
        images = list_images(folder / "images" / split)
        labels = folder / "labels" / split
        self._texts = [labels / f"{image.stem}.txt" for image in images]
        if not any(text.is_file() for text in self._texts):
            raise DatasetError(
                f"{labels}: has no text file for any image of {images[0].parent}; is this YOLO's "
                "layout?"
            )
        super().__init__(f"yolo/{split}", images)

    def boxes_of(self, index: int, image: npt.NDArray[np.uint8]) -> Iterable[Box]:
        path = self._texts[index]
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}: can't be read ({error}); restore it") from error
        height, width = image.shape[:2]
        boxes = []
        for number, line in enumerate(lines, start=1):
            if line.strip():
                label, x, y, w, h = _row(line, f"{path}: line {number}")
                if label not in self._kind:
                    raise DatasetError(
                        f"{path}: line {number}: unknown class {label}; data.yaml has "
                        f"{', '.join(map(str, self._kind))}"
                    )
                kind = self._kind[label]
                if kind is not None:
                    x0, x1 = (x - w / 2) * width, (x + w / 2) * width
                    y0, y1 = (y - h / 2) * height, (y + h / 2) * height
                    boxes.append(Box(kind, x0, y0, x1, y1))
        return join_riders(boxes, self._riders_are_marked)


def _row(line: str, where: str) -> tuple[int, float, float, float, float]:
    try:
        label, x, y, w, h = line.split()
        row = int(label), float(x), float(y), float(w), float(h)
    except ValueError:
        raise DatasetError(f"{where}: '{line[:60]}' is not: class x y width height") from None
    if not all(-_MARGIN <= number <= 1 + _MARGIN for number in row[1:]):  # NaN too
        raise DatasetError(f"{where}: '{line[:60]}' is not in parts of the image, 0 to 1")
    return row


def _names(path: Path) -> dict[int, str]:
    """Class names by number."""
    try:
        content = load_yaml(path)
    except (OSError, YamlError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(f"{path}: can't be read ({reason}); it holds YOLO's names") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(n, int) for n in names):
        raise DatasetError(f"{path}: names is no list of classes; write names: [vehicle, ...]")
    return {number: str(name) for number, name in names.items()}
