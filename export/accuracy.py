"""What a quantised model loses, in the evaluator's scores."""

from dataclasses import dataclass

from export.parity import Infer
from perception.data.dataset import Dataset
from perception.evaluate import evaluate, fingerprints_in
from perception.spec import ModelSpec

MOST_LOST = {"mean_iou": 0.010, "map50": 0.015}
"""Of each score, as fractions."""


@dataclass(frozen=True)
class AccuracyChange:
    """Scores on one dataset, before and after; NaN where it has no such labels."""

    dataset: str
    images: int
    mean_iou: tuple[float, float]
    map50: tuple[float, float]

    @property
    def failures(self) -> list[str]:
        failures = []
        for name, limit in MOST_LOST.items():
            before, after = getattr(self, name)
            if before - after > limit:  # false for NaN: nothing to lose
                failures.append(
                    f"{self.dataset}: {name} falls from {before:.3f} to {after:.3f} "
                    f"(limit {limit:g})"
                )
        return failures


def accuracy_change(
    full: Infer, quantised: Infer, dataset: Dataset, spec: ModelSpec, trained_on: str | None
) -> AccuracyChange:
    """Score both on `dataset`. Raises DatasetError as `evaluate` does, so for images that the
    network was trained on, of which `trained_on` is the list."""
    seen = fingerprints_in(trained_on)
    before, after = (evaluate(f, dataset, spec, trained_on=seen) for f in (full, quantised))
    return AccuracyChange(
        dataset=dataset.name,
        images=before.images,
        mean_iou=(before.mean_iou, after.mean_iou),
        map50=(before.map50, after.map50),
    )
