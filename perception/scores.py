"""What an evaluation finds. All measures are fractions of 1, NaN where there was nothing to
measure; in JSON that is null."""

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence lies from `low` to `high`."""

    low: float
    high: float
    count: int
    confidence: float  # their mean
    accuracy: float  # share of them that is right


@dataclass(frozen=True)
class Reliability:
    """Is a prediction of confidence p right with probability p?"""

    ece: float  # expected calibration error: mean gap of the bins, weighted by count
    count: int
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Calibration:
    scene: Reliability
    """Every annotated pixel: probability of its label, and whether that is the true one."""
    objects: Reliability
    """Every detection from `least_score` up: its score, and whether it overlaps an object of its
    class by 0.5."""
    least_score: float


@dataclass(frozen=True)
class SceneSlice:
    """Scene classes on some of the images."""

    images: int
    mean_iou: float
    drivable_iou: float


@dataclass(frozen=True)
class ObjectScore:
    objects: int
    ap50: float
    recall: float
    """Share found at an overlap of 0.5 by detections that the loop would report."""


@dataclass(frozen=True)
class SizeSlice:
    """Objects of a height from `low_px` to below `high_px` (inf: any) in the network's input."""

    low_px: float
    high_px: float
    by_class: dict[str, ObjectScore]

    @property
    def text(self) -> str:
        if math.isinf(self.high_px):
            return f"{self.low_px:g} px and up"
        return f"{self.low_px:g} to {self.high_px:g} px"


@dataclass(frozen=True)
class Slices:
    camera: dict[str, SceneSlice]
    light: dict[str, SceneSlice]
    light_limits: dict[str, tuple[float, float]]
    """Mean luminance 0..1 from which, and below which, an image belongs to the slice."""
    size: tuple[SizeSlice, ...]
    score_threshold: float
    """Score from which the loop reports a detection; recall is at this one."""


@dataclass(frozen=True)
class Scores:
    """How well a predictor does on a dataset."""

    dataset: str
    images: int
    images_by_bucket: dict[str, int]
    trained_on_checked: bool
    """Whether the model says which images it was trained on, so that none of these was."""
    mean_iou: float
    drivable_iou: float
    iou: dict[str, float]  # by the dataset's own labels
    boxes: str  # `exact`, `mask-derived`, or `none`
    map50: float  # mean over object classes at an overlap of 0.5
    map50_95: float  # mean over overlaps 0.5, 0.55 .. 0.95
    map50_by_class: dict[str, float]
    map50_95_by_class: dict[str, float]
    map50_tall_by_class: dict[str, float]  # objects from TALL_PX up
    confusion: tuple[tuple[int, ...], ...]
    """Pixels by true label (row) and predicted label (column), in the order of `iou`."""
    slices: Slices
    calibration: Calibration

    @property
    def drivable_iou_by_camera(self) -> dict[str, float]:
        return {name: part.drivable_iou for name, part in self.slices.camera.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file, with null for NaN and infinity."""
        content = asdict(self) | {"drivable_iou_by_camera": self.drivable_iou_by_camera}
        return {key: _plain(value) for key, value in content.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
