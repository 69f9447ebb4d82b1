"""Parity: does a reloaded artefact compute what the torch network computes?

The callable under test maps a batch of images to `ModelSpec.outputs`, so any engine fits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

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


FP32 = Tolerance(scene_logit=5e-3, scene_agreement=0.9995, score=1e-3, pixels=0.1)


@dataclass(frozen=True)
class Parity:
    """Measured differences. `failures` is empty when the artefact may be used."""

    images: int
    scene_largest_error: float
    scene_mean_error: float
    scene_agreement: float
    objects: int
    objects_matched: int
    failures: tuple[str, ...]


def check_parity(
    network: OctoNet,
    infer: Infer,
    batches: Iterable[NDArray[np.float32]],
    tolerance: Tolerance = FP32,
) -> Parity:
    """Compare on every batch (N, C, H, W), with two controls on each.

    Batch of N equals N batches of one; and changing one image changes its output and no
    other's, which a constant or cross-talking artefact would fail.
    """
    failures: list[str] = []
    largest = total = 0.0
    cells = agreed = images = objects = matched = 0
    for batch in batches:
        expected, actual = _torch_outputs(network, batch), infer(batch)
        if any(not np.isfinite(value).all() for value in actual.values()):
            failures.append("an output is not finite")
            break
        error = np.abs(expected["scene"] - actual["scene"])
        largest, total = max(largest, float(error.max())), total + float(error.sum())
        same = expected["scene"].argmax(1) == actual["scene"].argmax(1)
        agreed, cells = agreed + int(same.sum()), cells + same.size
        images += len(batch)
        for index in range(len(batch)):
            found, of = _matched_objects(_row(expected, index), _row(actual, index), tolerance)
            matched, objects = matched + found, objects + of
        failures += _control_failures(infer, batch, actual, tolerance)
    if images == 0:
        failures.append("no images were compared")
    mean = total / max(1, cells * len(network.spec.scene_classes))
    agreement = agreed / max(1, cells)
    if largest > tolerance.scene_logit:
        failures.append(f"scene logits differ by {largest:.2g} (limit {tolerance.scene_logit:g})")
    if agreement < tolerance.scene_agreement:
        failures.append(
            f"scene classes agree on {agreement:.5f} (limit {tolerance.scene_agreement:g})"
        )
    if matched < objects:
        failures.append(f"{objects - matched} of {objects} objects are not matched")
    return Parity(images, largest, mean, agreement, objects, matched, tuple(failures))


def _torch_outputs(network: OctoNet, batch: NDArray[np.float32]) -> Outputs:
    with torch.no_grad():
        outputs = network.eval()(torch.from_numpy(batch))
    return {name: value.numpy() for name, value in outputs.items()}


def _row(outputs: Outputs, index: int) -> Outputs:
    return {name: value[index] for name, value in outputs.items()}


def _matched_objects(expected: Outputs, actual: Outputs, tolerance: Tolerance) -> tuple[int, int]:
    """(matched, wanted): the reference's best objects found again, in any order."""
    # The best quarter: rounding may decide who comes last of all, but not that much.
    wanted = len(expected["scores"]) // 4
    matched = 0
    for k in range(wanted):
        same = (
            (actual["labels"] == expected["labels"][k])
            & (np.abs(actual["scores"] - expected["scores"][k]) <= tolerance.score)
            & (np.abs(actual["boxes"] - expected["boxes"][k]).max(1) <= tolerance.pixels)
            & (
                np.abs(actual["ground_points"] - expected["ground_points"][k]).max(1)
                <= tolerance.pixels
            )
        )
        matched += bool(same.any())
    return matched, wanted


def _control_failures(
    infer: Infer, batch: NDArray[np.float32], actual: Outputs, tolerance: Tolerance
) -> list[str]:
    failures = []
    for index in range(len(batch)):
        alone = infer(batch[index : index + 1])["scene"][0]
        if np.abs(alone - actual["scene"][index]).max() > tolerance.scene_logit:
            failures.append(f"image {index} alone differs from image {index} in its batch")
    changed = batch.copy()
    changed[0] = batch[0, :, ::-1]  # upside down
    scene = infer(changed)["scene"]
    if np.abs(scene[0] - actual["scene"][0]).max() <= tolerance.scene_logit:
        failures.append("a changed image does not change the output")
    if len(batch) > 1 and np.abs(scene[1:] - actual["scene"][1:]).max() > tolerance.scene_logit:
        failures.append("a changed image changes another image's output")
    return failures
