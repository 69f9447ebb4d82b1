"""Read a dataset's files, with one-line errors for damaged ones."""

from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from calib.encoded_image import decode
from perception.errors import DatasetError
from perception.taxonomy import IGNORE

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")

# Decoders fill the missing rest of a cut file with grey; the end marker tells such files apart.
_END_MARKERS = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND"}

_Content = TypeVar("_Content")


def inside(folder: Path, name: str) -> Path:
    """The file that an annotation calls `name`, below `folder`. Links in the folder are the
    user's own and may lead anywhere.

    Raises DatasetError for a name that leads out of it.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise DatasetError(
            f"{folder}: a file is given as {name[:200]!r}, which leads out of it; correct it"
        )
    return folder / name


def list_images(folder: Path) -> list[Path]:
    """The images of a folder by name. Raises DatasetError if there is no folder or no image."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; the images belong there")
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES)
    if not images:
        raise DatasetError(f"{folder}: no image there ({', '.join(_IMAGE_SUFFIXES)}); check it")
    return images


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Colour image, (H, W, 3) uint8 BGR. Raises DatasetError for a missing or damaged file."""
    return _decode(path, cv2.IMREAD_COLOR)


def read_labels(path: Path, n_labels: int, like: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Label image, (H, W) uint8: values below `n_labels`, or IGNORE.

    Raises DatasetError for a missing or damaged file, one that has not the size of the image
    `like`, is not one byte a pixel, or holds an unknown label value.
    """
    labels = _decode(path, cv2.IMREAD_UNCHANGED)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        channels = 1 if labels.ndim == 2 else labels.shape[2]
        raise DatasetError(
            f"{path}: {channels} x {labels.dtype} a pixel; save labels as 8-bit greyscale PNG"
        )
    if labels.shape != like.shape[:2]:
        (label_height, label_width), (height, width) = labels.shape, like.shape[:2]
        raise DatasetError(
            f"{path}: {label_width}x{label_height}, but its image is {width}x{height}; "
            "make the two equal"
        )
    counts = np.bincount(labels.ravel(), minlength=IGNORE + 1)
    unknown = np.flatnonzero(counts[n_labels:IGNORE])
    if len(unknown):
        raise DatasetError(
            f"{path}: unknown label value {n_labels + unknown[0]}; known are "
            f"0..{n_labels - 1} and {IGNORE} (ignored)"
        )
    return labels


def read_json(path: Path, content: type[_Content], remedy: str) -> _Content:
    """A JSON file checked against the type `content`, keys that it does not name left out.

    Raises DatasetError, which ends with `remedy`, for a file that is missing or not of the type.
    """
    try:
        return TypeAdapter(content).validate_json(_read(path, remedy))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise DatasetError(f"{path}: {where}: {first['msg']}; {remedy}") from error


def _decode(path: Path, flags: int) -> npt.NDArray[np.uint8]:
    data = _read(path, "restore or remove the pair")
    marker = _END_MARKERS.get(path.suffix.lower(), b"")
    image = decode(data, flags)
    if image is None or marker not in data[-1024:]:
        raise DatasetError(f"{path}: damaged image of {len(data)} bytes; restore or remove it")
    return image


def _read(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}; {remedy}") from error
