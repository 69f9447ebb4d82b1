"""What each part of the recipe is worth: short runs, each without one part.

python -m perception.ablation --data camvid:CamVid/train --val camvid:CamVid/val \
    --sim sim:views/train --out runs/ablation

Every run of equal length from nothing, scored at its end; OUT/results.jsonl has a line for each
and the same command continues. The table goes to stdout.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

from perception.checkpoint import load_network
from perception.data.dataset import open_dataset
from perception.data.policy import load_policy
from perception.evaluate import evaluate
from perception.network import Context
from perception.predict import Predictor
from perception.recipe import Recipe, Source
from perception.train import train

WITHOUT_CONTEXT = "no atrous context"
VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "no auxiliary classifiers": {"auxiliary": False},
    WITHOUT_CONTEXT: {},
    "all pixels count alike": {"balance": 0.0},
    "no augmentation": {"augmentation": load_policy("none")},
    "no synthetic images": {},
}


@contextmanager
def _without_context() -> Iterator[None]:
    """The context adds nothing to its input, at no other change."""
    with patch.object(Context, "forward", lambda self, x: x):
        yield


def run(data: str, sim: str, val: str, steps: int, seeds: int, folder: Path) -> list[dict]:
    """Train and score all variants; results by variant and seed."""
    path = folder / "results.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    results = [json.loads(line) for line in lines]
    judge = open_dataset(val)
    for seed in range(seeds):
        for name, changes in VARIANTS.items():
            if any(r["variant"] == name and r["seed"] == seed for r in results):
                continue
            sources = [Source(dataset=data)]
            if name != "no synthetic images":
                sources.append(Source(dataset=sim))
            recipe = Recipe(
                preset="nano",
                sources=tuple(sources),
                steps=steps,
                batch=8,
                crop_height=192,
                crop_width=240,
                average_decay=0.98,
                seed=seed,
            ).model_copy(update=changes)
            with _without_context() if name == WITHOUT_CONTEXT else nullcontext():
                network, spec = load_network(
                    train(recipe, folder / f"{name.replace(' ', '-')}-{seed}")
                )
                scores = evaluate(Predictor(network), judge, spec)
            result = {"variant": name, "seed": seed, "steps": steps}
            for measure in ("mean_iou", "drivable_iou", "map50"):
                result[measure] = round(getattr(scores, measure), 4)
            results.append(result)
            with path.open("a") as file:
                file.write(json.dumps(result) + "\n")
            print(result, flush=True)
    return results


def table(results: list[dict]) -> str:
    """Markdown; means over seeds, and the mean IoU of each seed."""
    lines = ["| variant | mean IoU | each seed | drivable IoU |", "|---|---|---|---|"]
    for name in VARIANTS:
        of_name = [r for r in results if r["variant"] == name]
        if of_name:
            each = ", ".join(f"{r['mean_iou']:.3f}" for r in of_name)
            mean, drivable = (fmean(r[m] for r in of_name) for m in ("mean_iou", "drivable_iou"))
            lines.append(f"| {name} | {mean:.3f} | {each} | {drivable:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("data", "sim", "val"):
        parser.add_argument(f"--{option}", required=True, help="NAME:PATH")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    print(table(run(given.data, given.sim, given.val, given.steps, given.seeds, given.out)))
