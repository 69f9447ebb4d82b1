"""Score predictions against a dataset: IoU of its own labels, average precision of its boxes.

The predictor is any callable from a batch of network inputs to the outputs that ModelSpec
names, so the same code scores torch, ONNX Runtime and every later engine.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calib.letterbox import Letterbox
from perception.data.dataset import Dataset
from perception.data.label_sets import label_matrix
from perception.data.normalise import normalise
from perception.data.sample import Objects
from perception.errors import DatasetError
from perception.metrics import (
    Detections,
    average_precision,
    class_iou,
    confusion_matrix,
    joint_iou,
)
from perception.spec import ModelSpec
from perception.taxonomy import IGNORE

Predict = Callable[[npt.NDArray[np.float32]], Mapping[str, npt.NDArray[Any]]]
"""Images (N, 3 * frames, H, W) float32, normalised, to the arrays of ModelSpec.outputs."""

_BATCH = 4
TALL_PX = 12.0
"""Height in the network's input from which an object counts as tall."""


@dataclass(frozen=True)
class Scores:
    """Fractions of 1; NaN where the dataset has nothing to measure."""

    dataset: str
    images: int
    mean_iou: float
    drivable_iou: float
    iou: dict[str, float]  # by the dataset's own labels
    drivable_iou_by_camera: dict[str, float]
    boxes: str  # `exact` or `mask-derived`
    map50: float  # mean over object classes at an overlap of 0.5
    map50_95: float  # mean over overlaps 0.5, 0.55 .. 0.95
    map50_by_class: dict[str, float]
    map50_95_by_class: dict[str, float]
    map50_tall_by_class: dict[str, float]  # objects under TALL_PX ignored

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file, with null for NaN."""
        return {key: _null_for_nan(value) for key, value in asdict(self).items()}


def evaluate(
    predict: Predict,
    dataset: Dataset,
    spec: ModelSpec,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Score every sample of `dataset`, each letterboxed into its own bucket of `spec`.

    IoU comes from one confusion matrix of all images' pixels; average precision is COCO's. A
    network of two frames sees each image twice. `progress` is called with the number of images
    done. Raises DatasetError for a damaged file or labels that can't be told apart, SpecError
    for a bucket that the model has not.
    """
    _check_distinct(dataset)
    label_sets = label_matrix(dataset.label_to_scene, spec.scene_classes)
    trained = label_sets.any(axis=1)
    truth_of_label = np.full(256, IGNORE, np.uint8)
    truth_of_label[np.flatnonzero(trained)] = np.flatnonzero(trained)

    confusion: dict[str, npt.NDArray[np.int64]] = defaultdict(
        lambda: np.zeros((len(label_sets), len(label_sets)), np.int64)
    )
    truths: list[Objects] = []
    tall: list[Objects] = []
    detections: list[Detections] = []
    for indices, bucket in _batches(dataset):
        size = spec.bucket(bucket)
        samples = [dataset.sample(index) for index in indices]
        placements = [
            Letterbox.fit(s.image.shape[1], s.image.shape[0], size.width, size.height)
            for s in samples
        ]
        images = [network_input(s.image, p, spec) for s, p in zip(samples, placements, strict=True)]
        outputs = predict(np.stack(images))
        for n, (sample, placement) in enumerate(zip(samples, placements, strict=True)):
            predicted = predicted_labels(outputs["scene"][n], placement, label_sets)
            truth = truth_of_label[sample.labels]
            confusion[sample.camera] += confusion_matrix(truth, predicted, len(label_sets))
            truths.append(sample.objects)
            tall.append(_low_ignored(sample.objects, TALL_PX / placement.scale[1]))
            detections.append(
                detections_in_source(
                    outputs["boxes"][n], outputs["scores"][n], outputs["labels"][n], placement
                )
            )
        if progress:
            progress(len(truths))

    total = np.sum(list(confusion.values()), axis=0)
    iou = class_iou(total)
    drivable = [n for n, names in enumerate(dataset.label_to_scene) if "drivable" in names]
    ap = average_precision(truths, detections, len(spec.object_classes))  # (overlaps, classes)
    ap_tall = average_precision(tall, detections, len(spec.object_classes))
    return Scores(
        dataset=dataset.name,
        images=len(truths),
        mean_iou=_mean(iou),
        drivable_iou=joint_iou(total, drivable),
        iou={dataset.labels[n]: float(iou[n]) for n in np.flatnonzero(trained)},
        drivable_iou_by_camera={
            camera: joint_iou(counts, drivable) for camera, counts in confusion.items()
        },
        boxes=dataset.box_origin,
        map50=_mean(ap[0]),
        map50_95=_mean(ap.mean(axis=0)),
        map50_by_class=dict(zip(spec.object_classes, ap[0].tolist(), strict=True)),
        map50_95_by_class=dict(zip(spec.object_classes, ap.mean(axis=0).tolist(), strict=True)),
        map50_tall_by_class=dict(zip(spec.object_classes, ap_tall[0].tolist(), strict=True)),
    )


def _low_ignored(objects: Objects, height: float) -> Objects:
    """The same objects, those lower than `height` pixels ignored."""
    low = objects.boxes[:, 3] - objects.boxes[:, 1] < height
    return replace(objects, ignore=objects.ignore | low)


def network_input(
    image: npt.NDArray[np.uint8], placement: Letterbox, spec: ModelSpec
) -> npt.NDArray[np.float32]:
    """(H, W, 3) BGR image to (3 * frames, height, width), letterboxed with the spec's mean."""
    size = placement.resized_width, placement.resized_height
    resized = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    tensor = np.zeros((3, placement.dst_height, placement.dst_width), np.float32)
    rows, columns = _inside(placement)
    tensor[:, rows, columns] = normalise(resized, spec)
    return np.concatenate([tensor] * spec.frames)


def predicted_labels(
    logits: npt.NDArray[np.float32], placement: Letterbox, label_sets: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Most probable dataset label of each pixel of the source image, (H, W) uint8.

    `logits` are (classes, h, w) at output stride. They are enlarged to the network's input,
    cut out of the letterbox and brought to the source's size before the softmax. A label has
    the sum of its classes' probabilities. A class of two labels counts for both, so the others
    decide between them; a class of no label counts for none.
    """
    grid = np.ascontiguousarray(logits.transpose(1, 2, 0))
    in_network = cv2.resize(grid, (placement.dst_width, placement.dst_height))
    cut = np.ascontiguousarray(in_network[_inside(placement)])
    in_source = cv2.resize(cut, (placement.src_width, placement.src_height))
    # Proportional to the softmax, which is all that an argmax needs.
    probability = np.exp(in_source - in_source.max(axis=2, keepdims=True))
    labels = np.flatnonzero(label_sets.any(axis=1))
    return labels[np.argmax(probability @ label_sets[labels].T, axis=2)].astype(np.uint8)


def detections_in_source(
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    placement: Letterbox,
) -> Detections:
    """The network's (K, 4) boxes in pixels of the source image, clipped to it.

    Boxes outside it, and the places that top-K fills with a score of 0, are left out.
    """
    corners = placement.inverse(boxes.reshape(-1, 2, 2))
    limit = np.array([placement.src_width, placement.src_height]) - 0.5
    corners = np.clip(corners, -0.5, limit)
    kept = (corners[:, 1] > corners[:, 0]).all(axis=1) & (scores > 0)
    return Detections(
        boxes=corners[kept].reshape(-1, 4),
        scores=scores[kept].astype(np.float64),
        classes=labels[kept].astype(np.int64),
    )


def _inside(placement: Letterbox) -> tuple[slice, slice]:
    """Rows and columns of the network's input that show the image."""
    left, top = placement.pad
    return (
        slice(top, top + placement.resized_height),
        slice(left, left + placement.resized_width),
    )


def _batches(dataset: Dataset) -> list[tuple[list[int], str]]:
    """Sample indices in batches of one bucket each."""
    batches = []
    for bucket in dict.fromkeys(dataset.buckets):
        members = [index for index, name in enumerate(dataset.buckets) if name == bucket]
        for start in range(0, len(members), _BATCH):
            batches.append((members[start : start + _BATCH], bucket))
    return batches


def _check_distinct(dataset: Dataset) -> None:
    """A label whose classes all belong to another label too could never win over it."""
    for narrow, inner in enumerate(dataset.label_to_scene):
        for wide, outer in enumerate(dataset.label_to_scene):
            if narrow != wide and inner and inner <= outer:
                raise DatasetError(
                    f"{dataset.name}: every class of label '{dataset.labels[narrow]}' belongs to "
                    f"'{dataset.labels[wide]}' too; give it a class of its own to be scored"
                )


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_for_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
