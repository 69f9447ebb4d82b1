"""`octoview train surround`: the learned surround head, from rounds to a checked ONNX file."""

import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.loop.engine import shipped_model
from export.errors import ExportError
from perception.errors import PerceptionError


def train_surround(
    rounds: Annotated[Path, typer.Argument(help="Folder of `octoview sim surround`.")],
    out: Annotated[Path, typer.Option(help="Folder for surround.safetensors and .onnx.")],
    network: Annotated[
        Path | None,
        typer.Option(help="Weights whose scenes it reads; those of the shipped nano by default."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps in all.")] = 1200,
    batch: Annotated[int, typer.Option(min=2, help="Rounds a step.")] = 4,
    learning_rate: Annotated[
        float, typer.Option(min=1e-8, max=1.0, help="Highest learning rate.")
    ] = 3e-3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json_file: JsonFile = None,
) -> None:
    """Train a head on the scene maps of a network that stays as it is, then export it behind the
    parity gate; exit 1, with no .onnx written, if that fails.

    What the network sees of each round is kept beside its pictures: a second run starts at once.

    Example: octoview train surround rounds --out runs/surround
    """
    try:
        from export.surround import engines_here, export_head
        from perception.surround.train import SurroundRecipe, train_head
    except ImportError as error:
        raise PerceptionError(
            f"training needs the module '{error.name}'; install octoview[train]"
        ) from error
    weights = network or shipped_model().with_suffix(".safetensors")
    recipe = SurroundRecipe(rounds, weights, steps, batch, learning_rate, seed)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, model = out / "surround.safetensors", out / "surround.onnx"
    began, last = time.perf_counter(), 0.0
    with Ticker("training the surround head", steps, "step") as ticker:

        def report(step: int, loss: float) -> None:
            nonlocal last
            last = loss
            ticker.advance_to(step, f"loss {loss:.3f}")

        train_head(recipe, checkpoint, report=report)
    parities = export_head(checkpoint, model, engines_here())
    failures = [failure for parity in parities.values() for failure in parity.failures]
    if failures:
        raise ExportError(f"{model}: {failures[0]}")
    seconds = time.perf_counter() - began
    largest = max(parity.largest for parity in parities.values())
    engines = " and ".join(parities)
    print(
        f"wrote {checkpoint} and {model} in {seconds:.0f} s; logits differ by {largest:.2g} in "
        f"{engines}"
    )
    write_json(
        json_file,
        {"weights": str(checkpoint), "loss": last, "seconds": seconds, "logit_error": largest},
    )
