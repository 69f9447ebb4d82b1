"""Search for an augmentation policy, in the line of AutoAugment (Cubuk et al. 2019).

As in RandAugment (Cubuk et al. 2020) few numbers are searched instead of each operation: three
strengths from 0 to 1, by which the built-in policy `strong` is weakened. All are trained
briefly; the best go on to a final of longer runs with new seeds, against `none` and `hand`, so
that neither luck nor the liking of short runs for weak augmentation decides.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from perception.data.policy import Policy, load_policy, save_policy
from perception.data.training_data import TrainingData
from perception.recipe import Recipe
from perception.trials import Result, Trial, Trials

BASELINES = ("none", "hand")
FINALISTS = 2
"""Candidates that reach the final."""
LONGER = 3
"""The final takes this many times the steps of the first round."""

_LIGHT = ("blur", "tone", "colour", "noise", "sharpen", "jpeg")
_WEATHER = ("shadow", "haze", "dirt")
# Powers of 1/x where x^4 = x + 1. Multiples of them, modulo 1, fill the cube evenly however many
# are taken (Roberts 2018, "The Unreasonable Effectiveness of Quasirandom Sequences").
_STRIDES = tuple(1.2207440846057596**-power for power in (1, 2, 3))


@dataclass(frozen=True)
class Outcome:
    """The winning candidate, its file, and all results of the final, one for each seed."""

    winner: str
    policy_path: Path
    final: dict[str, list[Result]]


def search(
    recipe: Recipe,
    data: TrainingData,
    judge: TrainingData,
    candidates: int,
    seeds: int,
    folder: Path,
    report: Callable[[int, str], None] = lambda done, note: None,
) -> Outcome:
    """Train `recipe` on `data` with `candidates` policies, score on `judge`, keep the best.

    The first round has the recipe's seed and steps, the final the `seeds` seeds after it. The
    same call on the same `folder` continues, also with more candidates or seeds. It receives the
    winner as searched.yaml and the final as comparison.md. `report` gets the steps
    done, of `total_steps`, and a note. Raises PerceptionError for a folder of another search,
    and what training and scoring raise.
    """
    trials = Trials(recipe, data, judge, folder)
    long = recipe.steps * LONGER
    done = 0

    def run(name: str, seed: int, steps: int) -> Result:
        nonlocal done
        trial = Trial(name=name, policy=policies[name], seed=seed, steps=steps)
        result = trials.run(trial, lambda step: report(done + step, name))
        done += steps
        report(done, f"{name} {result.score:.3f}")
        return result

    policies = {name: load_policy(name) for name in BASELINES}
    policies |= {f"candidate-{k:02d}": candidate(k) for k in range(1, candidates + 1)}
    first = {name: run(name, recipe.seed, recipe.steps).score for name in policies}
    best = sorted(first.keys() - BASELINES, key=lambda name: (-first[name], name))[:FINALISTS]
    final = {
        name: [run(name, recipe.seed + extra, long) for extra in range(1, seeds + 1)]
        for name in (*BASELINES, *best)
    }
    winner = max(best, key=lambda name: mean_score(final[name]))
    path = folder / "searched.yaml"
    said = ", ".join(f"{name} {mean_score(results):.3f}" for name, results in final.items())
    comment = (
        f"Found by `octoview train search-augment` among {candidates} candidates: {winner}.\n"
        f"Scores on {judge.datasets[0].name}, mean of {seeds} seeds, {long} steps: {said}."
    )
    save_policy(policies[winner], path, comment)
    (folder / "comparison.md").write_text(comparison(final), encoding="utf-8")
    return Outcome(winner, path, final)


def total_steps(recipe: Recipe, candidates: int, seeds: int) -> int:
    """Optimiser steps of a whole search."""
    finalists = len(BASELINES) + min(FINALISTS, candidates)
    return recipe.steps * (len(BASELINES) + candidates + LONGER * finalists * seeds)


def candidate(number: int) -> Policy:
    """The `number`th policy, from 1: `strong` weakened by three strengths from 0 to 1.

    The first is an exponent of the range of sizes, the second a factor on the magnitudes of
    what lens, sensor and coding do, the third one on how often shadow, haze and dirt happen.
    """
    size, light, weather = ((0.5 + number * stride) % 1 for stride in _STRIDES)
    strong = load_policy("strong")
    changed = strong.model_dump()
    changed["scale"] = tuple(round(end**size, 4) for end in strong.scale)
    for name in _LIGHT:
        changed[name] = getattr(strong, name).scaled(light)
    for name in _WEATHER:
        changed[name]["probability"] = round(changed[name]["probability"] * weather, 4)
    return Policy.model_validate(changed)


def comparison(final: Mapping[str, Sequence[Result]]) -> str:
    """The final as a Markdown table: mean over the seeds, with its standard deviation."""
    rows = ["| policy | seeds | mean IoU | drivable IoU | mAP50 |", "|---|---|---|---|---|"]
    for name, results in final.items():
        cells = [
            _mean_and_spread([getattr(result, measure) for result in results])
            for measure in ("mean_iou", "drivable_iou", "map50")
        ]
        rows.append(f"| {name} | {len(results)} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _mean_and_spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return f"{fmean(known):.3f}" + (f" ± {stdev(known):.3f}" if len(known) > 1 else "")


def mean_score(results: Iterable[Result]) -> float:
    return fmean(result.score for result in results)
