"""How long training takes to a stated accuracy, as DAWNBench measured (Coleman et al. 2017)."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel

from perception.checkpoint import load_network
from perception.data.dataset import Dataset
from perception.data.training_data import TrainingData
from perception.errors import PerceptionError
from perception.evaluate import evaluate, fingerprints_in
from perception.predict import Predictor
from perception.recipe import Recipe
from perception.scores import Scores
from perception.train import Progress, train

Measure = Literal["drivable_iou", "mean_iou", "map50"]


class Check(BaseModel):
    """The score after some steps; seconds of training, without scoring."""

    step: int
    seconds: float
    score: float


class TimeToAccuracy(BaseModel):
    """Seconds are None when the recipe ended below the target."""

    measure: str
    target: float
    seconds: float | None
    checks: list[Check]


def time_to_accuracy(
    recipe: Recipe,
    data: TrainingData,
    val: Dataset,
    folder: Path,
    measure: Measure,
    target: float,
    every: int,
    report: Callable[[Progress], None] = lambda _: None,
) -> TimeToAccuracy:
    """Train in a new `folder`, scoring the averaged weights on `val` every `every` steps, until
    `measure` reaches `target` (a fraction) or the recipe ends.

    The clock runs while training, saving included, and not while data are read and scored.
    Raises PerceptionError for a folder that is not new, and what training and scoring raise.
    """
    if not 0 < target < 1:
        raise PerceptionError(f"target {target} can't be reached; give a fraction of 1, as 0.9")
    if (folder / "state.safetensors").exists():
        raise PerceptionError(f"{folder}: holds a run already; time a new one in another --out")
    seconds, checks = 0.0, []
    for last in range(every, recipe.steps + every, every):
        start = time.perf_counter()
        weights = train(recipe, folder, report, save_every=every, stop_after=every, data=data)
        seconds += time.perf_counter() - start
        score = getattr(_score(weights, val, data), measure)
        step = min(last, recipe.steps)
        checks.append(Check(step=step, seconds=round(seconds, 2), score=round(score, 5)))
        if score >= target:
            break
    reached = checks[-1].seconds if checks[-1].score >= target else None
    return TimeToAccuracy(measure=measure, target=target, seconds=reached, checks=checks)


def _score(weights: Path, val: Dataset, data: TrainingData) -> Scores:
    network, spec = load_network(weights)
    network = network.to("cuda" if torch.cuda.is_available() else "cpu")
    trained_on = fingerprints_in("".join(data.fingerprints))
    return evaluate(Predictor(network), val, spec, trained_on=trained_on)
