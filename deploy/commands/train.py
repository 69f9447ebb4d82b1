"""`octoview train`: a recipe on the command line, weights and a report in a folder."""

import re
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.commands.search_augment import search_augment
from deploy.commands.train_bench import bench
from deploy.commands.train_surround import train_surround
from deploy.errors import DeployError
from deploy.loop.engine import shipped_model
from perception.errors import PerceptionError

app = typer.Typer(invoke_without_command=True)
app.command("search-augment")(search_augment)
app.command("bench")(bench)
app.command("surround")(train_surround)


@app.callback()
def train(
    context: typer.Context,
    data: Annotated[
        list[str] | None,
        typer.Option(help="NAME:PATH of a dataset to train on, @WEIGHT for its share."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; the same one continues it.")
    ] = None,
    val: Annotated[
        list[str] | None,
        typer.Option(help="NAME:PATH of a dataset to score in the report, not trained on."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps in all.")] = 4000,
    preset: Annotated[str, typer.Option(help="base or nano.")] = "nano",
    frames: Annotated[
        int, typer.Option(min=1, max=2, help="2: the network also sees the frame before.")
    ] = 1,
    batch: Annotated[int, typer.Option(min=2, help="Images a step.")] = 16,
    crop: Annotated[
        str, typer.Option(help="Size of the crops, WIDTHxHEIGHT in the network's pixels.")
    ] = "320x256",
    balance: Annotated[
        float, typer.Option(min=0, max=1, help="How much rare labels count up: 0 not, 1 fully.")
    ] = 0.2,
    learning_rate: Annotated[
        float, typer.Option(min=1e-8, max=1.0, help="Highest learning rate.")
    ] = 2e-3,
    augmentation: Annotated[
        str, typer.Option(help="Augmentation policy: none, hand, strong, or a file.")
    ] = "hand",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    init: Annotated[
        str | None, typer.Option(help="Start from a .safetensors file, or nano: those shipped.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave damaged samples out and go on.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Train the network; interrupted, the same command continues to the same result.

    Every sample is read once before the first step. OUT/curve.html shows the losses while it
    runs, OUT/report.html at the end the scores on --val. Under torchrun the batch is shared:
    torchrun --nproc-per-node 2 -m deploy.cli train ...

    Example: octoview train --data sim:views/train@2 --data camvid:CamVid/train
    --val camvid:CamVid/val --out runs/nano
    """
    if context.invoked_subcommand is not None:
        return
    if not data or out is None:
        raise DeployError(
            "train needs --data NAME:PATH and --out FOLDER; see octoview train --help"
        )
    try:
        from perception.data.dataset import open_dataset
        from perception.data.policy import load_policy
        from perception.data.training_data import read_training_data
        from perception.processes import Processes
        from perception.recipe import Recipe, Source
        from perception.report.training import write_training_report
        from perception.train import Progress
        from perception.train import train as run
    except ImportError as error:
        raise PerceptionError(
            f"training needs the module '{error.name}'; install octoview[train]"
        ) from error

    crop_width, crop_height = _crop(crop)
    recipe = Recipe(
        preset=preset,
        frames=frames,
        sources=tuple(map(Source.parse, data)),
        steps=steps,
        batch=batch,
        crop_width=crop_width,
        crop_height=crop_height,
        balance=balance,
        learning_rate=learning_rate,
        augmentation=load_policy(augmentation),
        seed=seed,
        initial_weights=_weights(init),
    )
    unseen = [open_dataset(text) for text in val or ()]
    with Processes.joined() as processes:
        with Ticker("reading", None, "sample") as ticker:
            checked = read_training_data(
                [source.dataset for source in recipe.sources],
                skip_bad,
                say=lambda text: typer.echo(text, err=True) if processes.is_first else None,
                progress=lambda name, done, total: ticker.advance_to(done, f"{name}, of {total}"),
                processes=processes.count,
            )
        last = None
        with Ticker("training", steps, "step") as ticker:

            def report(progress: Progress) -> None:
                nonlocal last
                last = progress
                ticker.advance_to(progress.step, f"loss {progress.loss:.3f}")

            weights = run(recipe, out, report, data=checked, processes=processes)
        if not processes.is_first:
            return
    with Ticker("scoring", None, "image") as ticker:
        scores = write_training_report(
            out,
            recipe,
            unseen,
            lambda name, done, total: ticker.advance_to(done, f"{name}, of {total}"),
        )
    for one in scores:
        print(f"{one.dataset}: mean IoU {one.mean_iou:.3f}, drivable IoU {one.drivable_iou:.3f}")
    print(f"wrote {weights}, {out / 'curve.csv'} and {out / 'report.html'}")
    result = {
        "weights": str(weights),
        "loss": last.loss if last else None,
        "steps": steps,
        "val": [one.to_json() for one in scores],
        "recipe": recipe.model_dump(mode="json"),
    }
    write_json(json_file, result)


def _crop(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    # Two cells of the coarsest features: below, there is nothing left to learn from.
    if min(sides) < 64 or any(side % 4 for side in sides):
        raise DeployError(
            f"--crop {text}: give WIDTHxHEIGHT, each a multiple of 4 and at least 64, as 320x256"
        )
    return sides


def _weights(init: str | None) -> Path | None:
    if init == "nano":
        return shipped_model().with_suffix(".safetensors")
    return None if init is None else Path(init)
