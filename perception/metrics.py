"""Measures of segmentation and detection, as fractions of 1; NaN where nothing was there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster

from perception.data.sample import Objects
from perception.scores import Bin, Reliability
from perception.taxonomy import IGNORE

ANY_HEIGHT = (0.0, math.inf)


@dataclass(frozen=True)
class Detections:
    """Detected objects of one image, in its own pixels (box edges as in Objects)."""

    boxes: npt.NDArray[np.float64]  # (n, 4): x0, y0, x1, y1
    scores: npt.NDArray[np.float64]  # (n,)
    classes: npt.NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class Matches:
    """Which detection found which object of one image."""

    found_score: npt.NDArray[np.float64]  # (objects,): score of the detection, 0 for a miss
    right: npt.NDArray[np.bool_]  # (detections,): found an object
    counted: npt.NDArray[np.bool_]  # (detections,): False for one on an ignored object


def confusion_matrix(
    truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], n_labels: int
) -> npt.NDArray[np.int64]:
    """(n_labels, n_labels) pixel counts, truth by row; pixels of truth IGNORE do not count."""
    counted = truth != IGNORE
    pairs = truth[counted].astype(np.int64) * n_labels + predicted[counted]
    return np.bincount(pairs, minlength=n_labels**2).reshape(n_labels, n_labels)


def class_iou(confusion: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Intersection over union of each label; NaN for one neither there nor predicted."""
    return np.array([joint_iou(confusion, [label]) for label in range(len(confusion))])


def joint_iou(confusion: npt.NDArray[np.int64], labels: Sequence[int]) -> float:
    """Intersection over union of the area of several labels taken as one."""
    rows = np.asarray(labels, np.int64)  # an empty list would be floats
    intersection = confusion[np.ix_(rows, rows)].sum()
    union = confusion[rows].sum() + confusion[:, rows].sum() - intersection
    return float(intersection / union) if union else math.nan


def mean(values: npt.NDArray[np.float64]) -> float:
    """Mean of the values that are known; NaN when none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


class ReliabilityCounter:
    """Adds up how often predictions of each confidence are right (Guo et al. 2017, "On
    Calibration of Modern Neural Networks": 15 bins of equal width)."""

    BINS = 15

    def __init__(self) -> None:
        self._count = np.zeros(self.BINS)
        self._confidence = np.zeros(self.BINS)
        self._right = np.zeros(self.BINS)

    def add(self, confidence: npt.NDArray[Any], right: npt.NDArray[np.bool_]) -> None:
        """Predictions of `confidence` (n,) 0..1, and whether each was right, (n,)."""
        which = np.minimum((confidence * self.BINS).astype(np.int64), self.BINS - 1)
        self._count += np.bincount(which, minlength=self.BINS)
        self._confidence += np.bincount(which, confidence, self.BINS)
        self._right += np.bincount(which[right], minlength=self.BINS)

    def result(self) -> Reliability:
        """The bins; their gaps weighted by count are the expected calibration error."""
        with np.errstate(invalid="ignore"):  # empty bins are NaN
            confidence = self._confidence / self._count
            accuracy = self._right / self._count
            error = np.nansum(np.abs(accuracy - confidence) * self._count) / self._count.sum()
        edges = np.linspace(0, 1, self.BINS + 1).tolist()
        bins = zip(edges, edges[1:], self._count, confidence, accuracy, strict=False)
        return Reliability(
            ece=float(error),
            count=int(self._count.sum()),
            bins=tuple(Bin(low, high, int(n), float(c), float(a)) for low, high, n, c, a in bins),
        )


def match(objects: Objects, detections: Detections, overlap: float = 0.5) -> Matches:
    """COCO's matching: by falling score, each detection finds the free object of its class that
    it overlaps most, by an IoU of `overlap` or more.

    One that finds none, but lies with that share of its own area in an ignored object of its
    class, does not count. A lower threshold of the score adds matches and changes none, so the
    matches over any threshold can be read off the result.
    """
    inner = np.clip(
        np.minimum(detections.boxes[:, None, 2:], objects.boxes[None, :, 2:])
        - np.maximum(detections.boxes[:, None, :2], objects.boxes[None, :, :2]),
        0,
        None,
    ).prod(axis=2)  # (detections, objects)
    own = (detections.boxes[:, 2:] - detections.boxes[:, :2]).prod(axis=1)[:, None]
    theirs = (objects.boxes[:, 2:] - objects.boxes[:, :2]).prod(axis=1)[None]
    shared = inner / np.where(objects.ignore, own, own + theirs - inner)
    shared[detections.classes[:, None] != objects.classes] = 0

    found_score = np.zeros(len(objects))
    right = np.zeros(len(detections.scores), np.bool_)
    counted = np.ones(len(detections.scores), np.bool_)
    for n in np.argsort(-detections.scores, kind="stable") if len(objects) else ():
        free = np.where(objects.ignore | (found_score > 0), 0, shared[n])
        best = free.argmax()
        if free[best] >= overlap:
            found_score[best], right[n] = detections.scores[n], True
        else:
            counted[n] = not (shared[n, objects.ignore] >= overlap).any()
    return Matches(found_score, right, counted)


def average_precision(
    truths: Sequence[Objects],
    detections: Sequence[Detections],
    n_classes: int,
    heights: Sequence[tuple[float, float]] = (ANY_HEIGHT,),
) -> npt.NDArray[np.float64]:
    """(heights, 10, n_classes) average precision at overlaps 0.5, 0.55 .. 0.95 (Lin et al. 2014,
    COCO), for each range of `heights` in the boxes' pixels, its end excluded.

    Ignored objects are COCO's crowds: they need not be found, and a detection inside one is not
    counted as false. A range is COCO's area range with the height in the place of the area:
    objects of another height are ignored, and so are detections of another height that found
    none within it. NaN for a class without objects.
    """
    images = [{"id": image} for image in range(1, len(truths) + 1)]
    categories = [{"id": label, "name": str(label)} for label in range(n_classes)]
    annotations: list[dict[str, Any]] = []
    for image, objects in enumerate(truths, start=1):
        corner, size = objects.boxes[:, :2], objects.boxes[:, 2:] - objects.boxes[:, :2]
        for n, bbox in enumerate(np.hstack([corner, size]).tolist()):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(objects.classes[n]),
                    "bbox": bbox,
                    "area": bbox[3],
                    "iscrowd": int(objects.ignore[n]),
                }
            )
    results = [
        {"image_id": image, "category_id": label, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": p}
        for image, found in enumerate(detections, start=1)
        for (x0, y0, x1, y1), p, label in zip(
            found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
        )
    ]
    truth = COCO({"images": images, "categories": categories, "annotations": annotations})
    found_ones = truth.loadRes(results)
    for annotation in found_ones.anns.values():
        annotation["area"] = annotation["bbox"][3]
    coco = COCOeval_faster(truth, found_ones, iouType="bbox")
    # COCO's ranges hold their ends.
    coco.params.areaRng = [[low, min(np.nextafter(high, 0), 1e10)] for low, high in heights]
    coco.params.areaRngLbl = [f"{low:g}-{high:g}" for low, high in heights]
    coco.evaluate()
    coco.accumulate()
    # (overlaps, recalls, classes, areas, detection limits); -1 where a class has no objects.
    precision = np.asarray(coco.eval["precision"], np.float64)[..., -1]
    precision[precision < 0] = np.nan
    return precision.mean(axis=1).transpose(2, 0, 1)
