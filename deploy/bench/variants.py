"""Every model in every engine of this machine: the tick and one image, all in turn."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from calib.rig import Rig
from deploy.bench.alternate import alternate, quartiles
from deploy.errors import EngineError
from deploy.loop.artefact import precision_of
from deploy.loop.engine import load_engine
from deploy.loop.frames import EncodedSet
from deploy.loop.pipeline import Pipeline
from deploy.loop.runtimes import AUTO, ENGINES, choose, missing
from export.tensorrt_file import SUFFIX

Variant = tuple[Path, Pipeline]
"""A model's file, and the loop with the model in one engine."""


def load_variants(
    rig: Rig, models: Sequence[Path], engines: Sequence[str]
) -> tuple[list[Variant], list[str]]:
    """Every one of `models` in every one of `engines`, names or `auto` for all that can run here;
    and, for people, which of those that `auto` stands for are left out and why.

    Raises EngineError for an engine that was named and can't run here or refuses a model.
    """
    loaded, left_out = [], []
    for model in models:
        for name in _names(model, engines):
            try:
                loaded.append((model, Pipeline(rig, load_engine(model, engine=name))))
            except EngineError as error:
                if name in engines or model.suffix == SUFFIX:
                    raise
                left_out.append(f"{name} is left out: {error}")
    return loaded, left_out


def variants(
    loaded: Sequence[Variant],
    encoded: Callable[[int], EncodedSet],
    rounds: int,
    deadline_s: float,
) -> list[dict[str, Any]]:
    """Figures as JSON, a row for each of `loaded`.

    encoded: the frame set of an index, each unlike the one before.
    """
    calls: dict[str, Callable[[], object]] = {}
    for number, (_, pipeline) in enumerate(loaded):
        calls[f"tick {number}"] = _ticks(pipeline, encoded)
        calls[f"image {number}"] = _one_image(pipeline)
    seconds = alternate(calls, rounds)
    rows = []
    for number, (model, pipeline) in enumerate(loaded):
        ticks = seconds[f"tick {number}"]
        rows.append(
            {
                "file": model.name,
                "precision": precision_of(pipeline.engine.metadata),
                "engine": pipeline.engine.name,
                "threads": pipeline.engine.threads,
                "tick_seconds": quartiles(ticks),
                "image_seconds": quartiles(seconds[f"image {number}"]),
                "frames_per_second": round(len(pipeline.rig) * len(ticks) / sum(ticks), 2),
                "rounds": rounds,
                "missed": sum(tick > deadline_s for tick in ticks),
            }
        )
    return rows


def _names(model: Path, engines: Sequence[str]) -> list[str]:
    if model.suffix == SUFFIX:
        return [choose(AUTO, model).name]
    here = [name for name in ENGINES if missing(name) is None]
    return list(dict.fromkeys(n for name in engines for n in (here if name == AUTO else [name])))


def _ticks(pipeline: Pipeline, encoded: Callable[[int], EncodedSet]) -> Callable[[], object]:
    numbers = itertools.count()
    return lambda: pipeline.tick(encoded(next(numbers)))


def _one_image(pipeline: Pipeline) -> Callable[[], object]:
    """Of the first bucket, as the tick before left it."""
    engine, batch = pipeline.engine, pipeline.batches[0]
    return lambda: engine.infer(batch.images[:1])
