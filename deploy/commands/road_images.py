"""Images of the road as the network takes them, from a log or a folder: what INT8's ranges and
parity are measured on."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.encoded_image import decode
from calib.letterbox import Letterbox
from deploy.errors import LogError
from deploy.log.reader import LogReader
from perception.data.files import list_images, read_image
from perception.evaluate import network_input
from perception.spec import ModelSpec

_MOST = 96
"""Ranges hardly grow after some dozens."""

_Item = TypeVar("_Item")


def road_images(source: Path, spec: ModelSpec) -> list[NDArray[np.float32]]:
    """Up to 96 images from all over `source`, one float32 batch (N, C, H, W) a bucket.

    A log's cameras name their buckets; an image of a folder goes into the one whose height is
    nearest. Raises LogError and DatasetError for a source without images or with a broken one,
    SpecError for a bucket that the model has not.
    """
    images = _of_folder(source, spec) if source.is_dir() else _of_log(source)
    batches: dict[str, list[NDArray[np.float32]]] = {name: [] for name in spec.buckets}
    for name, image in images:
        bucket = spec.bucket(name)
        height, width = image.shape[:2]
        placement = Letterbox.fit(width, height, bucket.width, bucket.height)
        batches[name].append(network_input([image] * spec.frames, placement, spec))
    return [np.stack(batch) for batch in batches.values() if batch]


def _of_folder(folder: Path, spec: ModelSpec) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for path in _some(list_images(folder)):
        image = read_image(path)
        yield min(spec.buckets, key=lambda b: abs(spec.bucket(b).height - len(image))), image


def _of_log(path: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    log = LogReader(path)
    buckets = {camera.name: camera.bucket for camera in log.rig}
    for encoded in _some(image for image in log.images() if image.camera in buckets):
        image = decode(encoded.data, cv2.IMREAD_COLOR)
        if image is None:
            raise LogError(
                f"{path}: {encoded.camera} at {encoded.stamp_ns} ns: damaged image; give a "
                "healthy log or a folder of images"
            )
        yield buckets[encoded.camera], np.asarray(image, np.uint8)


def _some(items: Iterable[_Item]) -> list[_Item]:
    """At most _MOST of them, each as likely as any other, in their order: reservoir sampling
    (Vitter 1985). An even stride would meet some cameras of a log and never the others."""
    random = np.random.default_rng(0)
    kept: list[tuple[int, _Item]] = []
    for index, item in enumerate(items):
        if index < _MOST:
            kept.append((index, item))
        elif (place := int(random.integers(index + 1))) < _MOST:
            kept[place] = (index, item)
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])]
