"""`octoview train bench`: time to a stated accuracy on this machine."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.loop.machine import machine
from perception.errors import PerceptionError

Measure = Literal["drivable_iou", "mean_iou", "map50"]


def bench(
    data: Annotated[list[str], typer.Option(help="NAME:PATH to train on, @WEIGHT for its share.")],
    val: Annotated[str, typer.Option(help="NAME:PATH of the dataset to score on.")],
    out: Annotated[Path, typer.Option(help="New folder for the run.")],
    measure: Annotated[Measure, typer.Option(help="What is measured on --val.")] = "drivable_iou",
    target: Annotated[float, typer.Option(help="To be reached, a fraction.")] = 0.90,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the recipe; give up there.")] = 400,
    every: Annotated[int, typer.Option(min=1, help="Steps between two scorings.")] = 25,
    preset: Annotated[str, typer.Option(help="base or nano.")] = "nano",
    batch: Annotated[int, typer.Option(min=2, help="Images a step.")] = 8,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json_file: JsonFile = None,
) -> None:
    """Train from nothing until a score is reached, and say how long that took.

    Example: octoview train bench --data camvid:CamVid/train --val camvid:CamVid/val
    --target 0.90 --out runs/bench
    """
    try:
        from perception.data.dataset import open_dataset
        from perception.data.training_data import read_training_data
        from perception.recipe import Recipe, Source
        from perception.time_to_accuracy import time_to_accuracy
    except ImportError as error:
        raise PerceptionError(
            f"training needs the module '{error.name}'; install octoview[train]"
        ) from error

    recipe = Recipe(
        preset=preset,
        sources=tuple(map(Source.parse, data)),
        steps=steps,
        batch=batch,
        crop_height=192,
        crop_width=240,
        average_decay=0.98,  # the last fifty steps: what is timed should not lag behind
        seed=seed,
    )
    unseen = open_dataset(val)
    checked = read_training_data([source.dataset for source in recipe.sources])
    with Ticker("training", steps, "step") as ticker:
        result = time_to_accuracy(
            recipe,
            checked,
            unseen,
            out,
            measure,
            target,
            every,
            lambda progress: ticker.advance_to(progress.step, f"loss {progress.loss:.3f}"),
        )
    for check in result.checks:
        print(f"step {check.step:5d}  {check.seconds:7.1f} s  {measure} {check.score:.3f}")
    if result.seconds is None:
        print(f"{measure} {target:g} not reached in {steps} steps")
    else:
        print(f"{measure} {target:g} on {val} reached in {result.seconds:.1f} s of training")
    write_json(
        json_file,
        {**result.model_dump(), "recipe": recipe.model_dump(mode="json"), "machine": machine()},
    )
    if result.seconds is None:
        raise typer.Exit(1)
