"""`octoview train`: a recipe on the command line, weights in a folder."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from perception.errors import PerceptionError


def train(
    data: Annotated[
        list[str],
        typer.Option(help="NAME:PATH of a dataset (sim, camvid), @WEIGHT for its share."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same one continues it.")],
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps in all.")] = 4000,
    preset: Annotated[str, typer.Option(help="base or nano.")] = "nano",
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 16,
    learning_rate: Annotated[
        float, typer.Option(min=1e-8, max=1.0, help="Highest learning rate.")
    ] = 2e-3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    init: Annotated[
        Path | None, typer.Option(help="Start from these weights (.safetensors).")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Train the network; interrupted, the same command continues to the same result.

    Example: octoview train --data sim:views/train@2 --data camvid:CamVid/train --out runs/nano
    """
    try:
        from perception.recipe import Recipe, Source
        from perception.train import Progress
        from perception.train import train as run
    except ImportError as error:
        raise PerceptionError(
            f"training needs the module '{error.name}'; install octoview[train]"
        ) from error

    sources = []
    for text in data:
        dataset, weight = _split_weight(text)
        sources.append(Source(dataset=dataset, weight=weight))
    recipe = Recipe(
        preset=preset,
        sources=tuple(sources),
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        initial_weights=init,
    )
    last = None
    with Ticker("training", steps, "step") as ticker:

        def report(progress: Progress) -> None:
            nonlocal last
            last = progress
            ticker.advance_to(progress.step, f"loss {progress.loss:.3f}")

        weights = run(recipe, out, report)
    print(f"wrote {weights} and {out / 'curve.csv'}")
    result = {"weights": str(weights), "loss": last.loss if last else None, "steps": steps}
    write_json(json_file, result | {"recipe": recipe.model_dump(mode="json")})


def _split_weight(text: str) -> tuple[str, float]:
    """`sim:FOLDER@2` is the dataset `sim:FOLDER` with weight 2; without @ the weight is 1."""
    dataset, at, weight = text.rpartition("@")
    if not at:
        return text, 1.0
    try:
        value = float(weight)
    except ValueError:
        return text, 1.0  # the @ belongs to the path
    if not 0 < value < float("inf"):
        raise PerceptionError(f"--data {text}: weight {weight} must be over 0")
    return dataset, value
