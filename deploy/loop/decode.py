"""Decode: what the network's outputs say about one camera's image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.letterbox import Letterbox
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
    ground, and any ground. `letterbox` relates them to the camera's image.
    """

    camera: str
    scene: NDArray[np.uint8]
    drivable: NDArray[np.float32]
    ground: NDArray[np.float32]
    objects: tuple[Detection, ...]
    letterbox: Letterbox


class Decoder:
    """Turns one slot of a batch's outputs into a CameraResult.

    Raises SpecError when the model has no drivable class.
    """

    def __init__(self, spec: ModelSpec) -> None:
        if DRIVABLE_CLASS not in spec.scene_classes:
            raise SpecError(
                f"model '{spec.preset}' has scene classes {', '.join(spec.scene_classes)} without "
                f"'{DRIVABLE_CLASS}'; use a model trained with this project's taxonomy"
            )
        self._spec = spec
        self._drivable = spec.scene_classes.index(DRIVABLE_CLASS)
        self._ground = [
            index for index, name in enumerate(spec.scene_classes) if name in GROUND_CLASSES
        ]

    def decode(
        self,
        outputs: dict[str, NDArray[np.generic]],
        slot: int,
        camera: str,
        letterbox: Letterbox,
    ) -> CameraResult:
        """`outputs` as ModelSpec lists them, of one batch; `slot` is the camera's row in it."""
        logits = np.asarray(outputs["scene"][slot], np.float32)
        # Softmax over the class axis; only two sums of it are needed, so nothing else is divided.
        likelihood = np.exp(logits - logits.max(axis=0))
        normaliser = 1 / likelihood.sum(axis=0)
        ground = likelihood[self._ground].sum(axis=0)
        return CameraResult(
            camera=camera,
            scene=logits.argmax(axis=0).astype(np.uint8),
            drivable=likelihood[self._drivable] * normaliser,
            ground=ground * normaliser,
            objects=self._objects(outputs, slot, letterbox),
            letterbox=letterbox,
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
