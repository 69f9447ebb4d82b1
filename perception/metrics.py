"""Measures of segmentation and detection, as fractions of 1; NaN where nothing was there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster

from perception.data.sample import Objects
from perception.taxonomy import IGNORE


@dataclass(frozen=True)
class Detections:
    """Detected objects of one image, in its own pixels (box edges as in Objects)."""

    boxes: npt.NDArray[np.float64]  # (n, 4): x0, y0, x1, y1
    scores: npt.NDArray[np.float64]  # (n,)
    classes: npt.NDArray[np.int64]  # (n,)


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
    intersection = confusion[np.ix_(labels, labels)].sum()
    union = confusion[labels].sum() + confusion[:, labels].sum() - intersection
    return float(intersection / union) if union else float("nan")


def average_precision(
    truths: Sequence[Objects], detections: Sequence[Detections], n_classes: int
) -> npt.NDArray[np.float64]:
    """(10, n_classes) average precision at overlaps 0.5, 0.55 .. 0.95 (Lin et al. 2014, COCO).

    Ignored objects are COCO's crowds: they need not be found, and a detection inside one is not
    counted as false. NaN for a class without objects.
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
                    "area": bbox[2] * bbox[3],
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
    coco = COCOeval_faster(truth, truth.loadRes(results), iouType="bbox")
    coco.evaluate()
    coco.accumulate()
    # (overlaps, recalls, classes, areas, detection limits); -1 where a class has no objects.
    precision = np.asarray(coco.eval["precision"], np.float64)[:, :, :, 0, -1]
    precision[precision < 0] = np.nan
    return precision.mean(axis=1)
