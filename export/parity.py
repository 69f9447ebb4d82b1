"""Parity: does a reloaded artefact compute what the torch network computes?

The callable under test maps a batch of images to `ModelSpec.outputs`, so any engine fits.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from perception.metrics import class_iou, confusion_matrix
from perception.network import OctoNet

Outputs = dict[str, NDArray]
Infer = Callable[[NDArray[np.float32]], Outputs]


@dataclass(frozen=True)
class Tolerance:
    """How far an engine may be from the FP32 torch network."""

    scene_logit: float
    scene_agreement: float
    """Least share of cells whose most likely class is the same."""
    score: float
    pixels: float
    objects_matched: float
    """Least share of the reference's objects that are found within `score` and `pixels`."""
    least_score: float
    """Objects below it are not looked for."""
    control: float
    """How far an image's logits may move when other images join its batch."""


FP32 = Tolerance(
    scene_logit=5e-3,
    scene_agreement=0.9995,
    score=1e-3,
    pixels=0.1,
    objects_matched=1.0,
    least_score=0.0,
    control=5e-3,
)
FP16 = Tolerance(
    scene_logit=0.5,
    scene_agreement=0.998,
    score=0.01,
    pixels=0.5,
    objects_matched=0.98,
    least_score=0.05,
    control=0.1,
)
"""Some ten times what half precision costs the shipped weights in ONNX Runtime."""
INT8 = Tolerance(
    scene_logit=math.inf,
    scene_agreement=0.97,
    score=0.1,
    pixels=4.0,
    objects_matched=0.9,
    least_score=0.3,
    control=0.5,
)
"""Catches a broken engine; what rounding costs is for the evaluator to say."""


@dataclass(frozen=True)
class Error:
    largest: float
    mean: float


@dataclass(frozen=True)
class Parity:
    """Measured differences. `failures` is empty when the artefact may be used."""

    images: int
    errors: dict[str, Error]
    """By output: `scene` in logits, the others of the matched objects, in their own units."""
    scene_agreement: float
    mask_iou: float
    """Mean over the scene classes, the reference's masks being the truth."""
    objects: int
    objects_matched: int
    failures: tuple[str, ...]


def check_parity(
    network: OctoNet,
    infer: Infer,
    batches: Iterable[NDArray[np.float32]],
    tolerance: Tolerance = FP32,
) -> Parity:
    """`check_against` the torch network."""
    n_classes = len(network.spec.scene_classes)
    reference = partial(_torch_outputs, network)
    return check_against(reference, infer, n_classes, batches, tolerance)


def check_against(
    reference: Infer,
    infer: Infer,
    n_classes: int,
    batches: Iterable[NDArray[np.float32]],
    tolerance: Tolerance,
) -> Parity:
    """Compare on every batch (N, C, H, W), with two controls on each.

    Batch of N equals N batches of one; and changing one image changes its output and no
    other's, which a constant or cross-talking artefact would fail.
    """
    failures: list[str] = []
    comparison = Comparison(n_classes, tolerance)
    for batch in batches:
        actual = infer(batch)
        if any(not np.isfinite(value).all() for value in actual.values()):
            failures.append("an output is not finite")
            break
        comparison.add(reference(batch), actual)
        failures += _control_failures(infer, batch, actual, tolerance)
    result = comparison.result()
    if result.images == 0:
        failures.append("no images were compared")
    largest = result.errors["scene"].largest
    if largest > tolerance.scene_logit:
        failures.append(f"scene logits differ by {largest:.2g} (limit {tolerance.scene_logit:g})")
    if result.scene_agreement < tolerance.scene_agreement:
        failures.append(
            f"scene classes agree on {result.scene_agreement:.5f} "
            f"(limit {tolerance.scene_agreement:g})"
        )
    missing = result.objects - result.objects_matched
    if missing > (1 - tolerance.objects_matched) * result.objects:
        failures.append(f"{missing} of {result.objects} objects are not matched")
    return Parity(**{**vars(result), "failures": tuple(failures)})


class Comparison:
    """Differences of two networks' outputs, image after image."""

    def __init__(self, n_classes: int, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._confusion = np.zeros((n_classes, n_classes), np.int64)
        self._errors = {name: _Tally() for name in ("scene", "boxes", "scores", "ground_points")}
        self._images = self._objects = self._matched = 0

    def add(self, expected: Outputs, actual: Outputs) -> None:
        """Count one batch."""
        self._errors["scene"].add(np.abs(expected["scene"] - actual["scene"]))
        self._confusion += confusion_matrix(
            expected["scene"].argmax(1).astype(np.uint8),
            actual["scene"].argmax(1).astype(np.uint8),
            len(self._confusion),
        )
        self._images += len(expected["scene"])
        for index in range(len(expected["scene"])):
            self._add_objects(_row(expected, index), _row(actual, index))

    def result(self) -> Parity:
        """What was found; it has no failures, for it judges nothing."""
        iou = class_iou(self._confusion)
        return Parity(
            images=self._images,
            errors={name: tally.result() for name, tally in self._errors.items()},
            scene_agreement=float(np.trace(self._confusion) / max(1, self._confusion.sum())),
            mask_iou=float(np.nanmean(iou)) if self._images else math.nan,
            objects=self._objects,
            objects_matched=self._matched,
            failures=(),
        )

    def _add_objects(self, expected: Outputs, actual: Outputs) -> None:
        """The reference's best objects found again, in any order."""
        limit = self._tolerance
        # The best quarter: rounding may decide who comes last of all, but not that much.
        for k in range(len(expected["scores"]) // 4):
            if expected["scores"][k] < limit.least_score:
                break  # they come by falling score
            self._objects += 1
            difference = {
                name: np.abs(actual[name] - expected[name][k]).reshape(len(actual[name]), -1).max(1)
                for name in ("boxes", "scores", "ground_points")
            }
            same = (
                (actual["labels"] == expected["labels"][k])
                & (difference["scores"] <= limit.score)
                & (difference["boxes"] <= limit.pixels)
                & (difference["ground_points"] <= limit.pixels)
            )
            if same.any():
                self._matched += 1
                found = np.flatnonzero(same)[difference["boxes"][same].argmin()]
                for name, values in difference.items():
                    self._errors[name].add(values[found])


class _Tally:
    def __init__(self) -> None:
        self._largest = self._total = 0.0
        self._count = 0

    def add(self, values: NDArray) -> None:
        self._largest = max(self._largest, float(np.max(values)))
        self._total += float(np.sum(values))
        self._count += np.size(values)

    def result(self) -> Error:
        return Error(self._largest, self._total / max(1, self._count))


def _torch_outputs(network: OctoNet, batch: NDArray[np.float32]) -> Outputs:
    with torch.no_grad():
        outputs = network.eval()(torch.from_numpy(batch))
    return {name: value.numpy() for name, value in outputs.items()}


def _row(outputs: Outputs, index: int) -> Outputs:
    return {name: value[index] for name, value in outputs.items()}


def _control_failures(
    infer: Infer, batch: NDArray[np.float32], actual: Outputs, tolerance: Tolerance
) -> list[str]:
    failures = []
    for index in range(len(batch)):
        alone = infer(batch[index : index + 1])["scene"][0]
        if np.abs(alone - actual["scene"][index]).max() > tolerance.control:
            failures.append(f"image {index} alone differs from image {index} in its batch")
    changed = batch.copy()
    changed[0] = batch[0, :, ::-1]  # upside down
    scene = infer(changed)["scene"]
    if np.abs(scene[0] - actual["scene"][0]).max() <= tolerance.control:
        failures.append("a changed image does not change the output")
    if len(batch) > 1 and np.abs(scene[1:] - actual["scene"][1:]).max() > tolerance.control:
        failures.append("a changed image changes another image's output")
    return failures
