"""`octoview train search-augment`: find an augmentation policy for one's own data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from perception.errors import PerceptionError

if TYPE_CHECKING:
    from perception.data.training_data import TrainingData


def search_augment(
    data: Annotated[list[str], typer.Option(help="NAME:PATH to train on, @WEIGHT for its share.")],
    val: Annotated[str, typer.Option(help="NAME:PATH of the dataset to score on.")],
    out: Annotated[Path, typer.Option(help="Folder of the search; the same one continues it.")],
    trials: Annotated[int, typer.Option(min=1, help="Policies to try.")] = 16,
    steps: Annotated[
        int, typer.Option(min=1, help="Optimiser steps of a trial; three times that in the final.")
    ] = 300,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each run of the final.")] = 3,
    preset: Annotated[str, typer.Option(help="base or nano.")] = "nano",
    batch: Annotated[int, typer.Option(min=2, help="Images a step.")] = 8,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json_file: JsonFile = None,
) -> None:
    """Search for the best strength of augmentation; writes OUT/searched.yaml.

    Example: octoview train search-augment --data camvid:CamVid/train --val camvid:CamVid/val
    --out runs/search
    """
    try:
        from perception.data.training_data import read_training_data
        from perception.recipe import Recipe, Source
        from perception.search_augment import comparison, mean_score, search, total_steps
    except ImportError as error:
        raise PerceptionError(
            f"the search needs the module '{error.name}'; install octoview[train]"
        ) from error

    recipe = Recipe(
        preset=preset,
        sources=tuple(map(Source.parse, data)),
        steps=steps,
        batch=batch,
        crop_height=192,
        crop_width=240,
        seed=seed,
    )
    with Ticker("reading", None, "sample") as ticker:

        def read(names: list[str]) -> "TrainingData":
            return read_training_data(
                names,
                say=lambda text: typer.echo(text, err=True),
                progress=lambda name, done, total: ticker.advance_to(done, f"{name}, of {total}"),
            )

        trained_on, judge = read(data), read([val])
    with Ticker("searching", total_steps(recipe, trials, seeds), "step") as ticker:
        outcome = search(recipe, trained_on, judge, trials, seeds, out, ticker.advance_to)
    print(comparison(outcome.final))
    gain = mean_score(outcome.final[outcome.winner]) - mean_score(outcome.final["hand"])
    print(f"{outcome.winner} against hand: {gain:+.3f}")
    print(f"wrote {outcome.policy_path}; train with it by --augmentation {outcome.policy_path}")
    final = {
        name: [result.model_dump(mode="json") for result in results]
        for name, results in outcome.final.items()
    }
    write_json(json_file, {"winner": outcome.winner, "gain_over_hand": gain, "final": final})
