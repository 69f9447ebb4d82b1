"""Trials of augmentation policies: each trained and scored once, and remembered.

The folder holds results.jsonl, one line for each finished trial, and policies/; a trial under
way lives in runs/ and goes on where it stopped.
"""

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from calib.text_file import write_text
from perception.checkpoint import load_network
from perception.data.policy import Policy, save_policy
from perception.data.training_data import TrainingData
from perception.errors import DatasetError, PerceptionError
from perception.evaluate import evaluate
from perception.predict import Predictor
from perception.recipe import Recipe
from perception.train import train


class Trial(BaseModel):
    """What is tried: a policy, by name and in full, for some steps from a seed."""

    model_config = ConfigDict(frozen=True)

    name: str
    policy: Policy
    seed: int
    steps: int


class Result(BaseModel):
    """One line of results.jsonl. Scores are fractions of 1, null where there is no truth."""

    model_config = ConfigDict(frozen=True)

    trial: Trial
    mean_iou: float | None
    drivable_iou: float | None
    map50: float | None
    seconds: float

    @property
    def score(self) -> float:
        """What is compared: mean IoU, or mAP50 on a dataset without scene labels."""
        return next(value for value in (self.mean_iou, self.map50) if value is not None)


class Trials:
    """Runs trials of one recipe, scored on one dataset, in one folder."""

    def __init__(
        self, recipe: Recipe, data: TrainingData, judge: TrainingData, folder: Path
    ) -> None:
        """Trains on `data`, the recipe's sources, and scores on `judge`, one dataset.

        Raises DatasetError for images in both, PerceptionError for a folder of other settings.
        """
        common = len(set(data.fingerprints) & set(judge.fingerprints))
        if common:
            raise DatasetError(
                f"{judge.datasets[0].name}: {common} of its {len(judge.fingerprints)} images are "
                "trained on too; score on others"
            )
        self._recipe, self._data, self._judge = recipe, data, judge.datasets[0]
        self._folder, self._path = folder, folder / "results.jsonl"
        found_with = {
            "recipe": recipe.model_dump(mode="json"),
            "data": data.hash,
            "val": judge.hash,
        }
        path, text = folder / "search.json", json.dumps(found_with, indent=2) + "\n"
        if not path.exists():
            (folder / "policies").mkdir(parents=True, exist_ok=True)
            write_text(path, text)
        elif path.read_text(encoding="utf-8") != text:
            raise PerceptionError(
                f"{path}: belongs to a search with other settings; choose another --out or "
                "delete that folder"
            )
        self._results = _read_results(self._path)

    def run(self, trial: Trial, report: Callable[[int], None]) -> Result:
        """Train and score, unless that has been done; `report` gets the steps done."""
        for result in self._results:
            if result.trial == trial:
                return result
        start = time.perf_counter()
        policy_path = self.policy_path(trial.name)
        save_policy(trial.policy, policy_path)
        changed = {"augmentation": trial.policy, "seed": trial.seed, "steps": trial.steps}
        recipe = self._recipe.model_copy(update=changed)
        run_folder = self._folder / "runs" / f"{trial.name}-{trial.steps}-seed{trial.seed}"
        weights = train(recipe, run_folder, lambda progress: report(progress.step), data=self._data)
        scores = self._score(weights)
        result = Result(trial=trial, **scores, seconds=round(time.perf_counter() - start, 1))
        self._results.append(result)
        write_text(self._path, "".join(f"{known.model_dump_json()}\n" for known in self._results))
        shutil.rmtree(run_folder)
        return result

    def policy_path(self, name: str) -> Path:
        return self._folder / "policies" / f"{name}.yaml"

    def _score(self, weights: Path) -> dict[str, float | None]:
        network, spec = load_network(weights)
        network = network.to("cuda" if torch.cuda.is_available() else "cpu")
        scores = evaluate(Predictor(network), self._judge, spec)
        if math.isnan(scores.mean_iou) and math.isnan(scores.map50):
            raise DatasetError(
                f"{self._judge.name}: has neither scene labels nor boxes to score; choose another"
            )
        names = "mean_iou", "drivable_iou", "map50"
        values = {name: getattr(scores, name) for name in names}
        return {name: None if math.isnan(x) else round(x, 5) for name, x in values.items()}


def _read_results(path: Path) -> list[Result]:
    if not path.exists():
        return []
    results = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            results.append(Result.model_validate_json(line))
        except ValidationError as error:
            raise PerceptionError(
                f"{path}: line {number} is no result of a trial; delete that line"
            ) from error
    return results
