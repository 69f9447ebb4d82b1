"""Decode: what the network's outputs say about one camera's image.

The softmax of the scene's classes has a reference in NumPy here and a native kernel, held to it by
tests; the decoder takes that where it is built.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.letterbox import Letterbox
from deploy.native import Kernels, take_native
from perception.errors import SpecError
from perception.spec import ModelSpec

DRIVABLE_CLASS = "drivable"
# Classes that lie on the ground; what shows any other class hides the ground behind it.
GROUND_CLASSES = (DRIVABLE_CLASS, "pavement", "terrain")


@dataclass(frozen=True)
class Detection:
    """One object in one image.

    `box` x0, y0, x1, y1 and `ground_point` x, y (projected centre of the object's footprint,
    which may lie outside the image) are in pixels of the camera's own image.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    ground_point: tuple[float, float]


@dataclass(frozen=True)
class CameraResult:
    """What the network saw in one camera's image.

    Maps are (height / stride, width / stride) of the network's letterboxed input: `scene` uint8
    class indices, `drivable` and `ground` float32 probabilities that the pixel shows drivable
    ground, and any ground. `letterbox` relates them to the camera's image. `logits`: float32
    (classes, ...), what they were made of.
    """

    camera: str
    scene: NDArray[np.uint8]
    drivable: NDArray[np.float32]
    ground: NDArray[np.float32]
    objects: tuple[Detection, ...]
    letterbox: Letterbox
    logits: NDArray[np.float32] | None = None


def not_finite(outputs: Mapping[str, NDArray[np.generic]], slot: int) -> str:
    """Name of the first of the network's outputs that holds NaN or infinity for one camera, ""
    if all are numbers. A sum is not finite where one of its terms is not, and is read once."""
    for name, values in outputs.items():
        if values.dtype.kind == "f" and not np.isfinite(values[slot].sum()):
            return name
    return ""


class _Reference:
    """Most likely class of each cell, uint8 (h, w), and the summed probabilities of each of
    `groups` of classes, float32 (groups, h, w), of logits (classes, h, w)."""

    def __init__(self, groups: list[list[int]]) -> None:
        self._groups = groups

    def __call__(
        self, logits: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        likelihood = np.exp(logits - logits.max(axis=0))
        normaliser = 1 / likelihood.sum(axis=0)
        sums = [likelihood[group].sum(axis=0) * normaliser for group in self._groups]
        return logits.argmax(axis=0).astype(np.uint8), np.stack(sums)


class _Native:
    """The same in one pass, by the C++ kernel."""

    def __init__(self, groups: list[list[int]]) -> None:
        from deploy.native import _native

        self._kernels = _native
        self._pool = _native.Pool(os.cpu_count() or 1)
        self._masks = [sum(1 << index for index in group) for group in groups]

    def __call__(
        self, logits: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        size = logits.shape[1:]
        labels = np.empty(size, np.uint8)
        probabilities = np.empty((len(self._masks), *size), np.float32)
        self._kernels.scene(self._pool, logits, self._masks, labels, probabilities)
        return labels, probabilities


class Decoder:
    """Turns one slot of a batch's outputs into a CameraResult.

    Raises SpecError when the model has no drivable class, EngineError for the native kernels
    where they are not built.
    """

    def __init__(self, spec: ModelSpec, kernels: Kernels = "auto") -> None:
        if DRIVABLE_CLASS not in spec.scene_classes:
            raise SpecError(
                f"model '{spec.preset}' has scene classes {', '.join(spec.scene_classes)} without "
                f"'{DRIVABLE_CLASS}'; use a model trained with this project's taxonomy"
            )
        self._spec = spec
        drivable = [spec.scene_classes.index(DRIVABLE_CLASS)]
        ground = [index for index, name in enumerate(spec.scene_classes) if name in GROUND_CLASSES]
        self._softmax = (_Native if take_native(kernels) else _Reference)([drivable, ground])

    def decode(
        self,
        outputs: dict[str, NDArray[np.generic]],
        slot: int,
        camera: str,
        letterbox: Letterbox,
    ) -> CameraResult:
        """`outputs` as ModelSpec lists them, of one batch; `slot` is the camera's row in it."""
        logits = np.ascontiguousarray(outputs["scene"][slot], np.float32)
        scene, (drivable, ground) = self._softmax(logits)
        return CameraResult(
            camera=camera,
            scene=scene,
            drivable=drivable,
            ground=ground,
            objects=self._objects(outputs, slot, letterbox),
            letterbox=letterbox,
            logits=logits,
        )

    def _objects(
        self, outputs: dict[str, NDArray[np.generic]], slot: int, letterbox: Letterbox
    ) -> tuple[Detection, ...]:
        scores, labels = outputs["scores"][slot], outputs["labels"][slot]
        corners = letterbox.inverse(outputs["boxes"][slot].reshape(-1, 2)).reshape(-1, 4)
        points = letterbox.inverse(outputs["ground_points"][slot])
        limits = np.tile((letterbox.src_width - 1, letterbox.src_height - 1), 2)
        boxes = np.clip(corners, 0, limits)
        keep = (
            (scores >= self._spec.score_threshold)
            & (boxes[:, 2] > boxes[:, 0])
            & (boxes[:, 3] > boxes[:, 1])
            & np.isfinite(points).all(axis=1)
            & (labels >= 0)
            & (labels < len(self._spec.object_classes))
        )
        return tuple(
            Detection(
                label=self._spec.object_classes[labels[i]],
                score=float(scores[i]),
                box=tuple(boxes[i].tolist()),
                ground_point=tuple(points[i].tolist()),
            )
            for i in np.flatnonzero(keep)
        )
