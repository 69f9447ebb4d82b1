"""Training: one recipe in, weights and a curve out.

A run lives in a folder: `state.safetensors` (weights, optimiser, step; rewritten as it
goes), `curve.csv` (losses), `weights.safetensors` (the averaged weights, at the end). The
same recipe on the same folder continues where it stopped and ends with the same weights.
"""

import csv
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from perception.checkpoint import load_state, load_tensors, save_network, save_tensors
from perception.data.dataset import open_dataset
from perception.data.mixture import Batch, Mixture
from perception.errors import CheckpointError, PerceptionError
from perception.losses import BatchTargets, Losses, total_loss
from perception.network import OctoNet
from perception.spec import PRESETS

_RECIPE_KEY = "octoview.recipe"
_STEP_KEY = "octoview.step"


class Source(BaseModel):
    """A dataset as `NAME:PATH`, drawn from in proportion to `weight`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    weight: float = Field(default=1.0, gt=0)


class Recipe(BaseModel):
    """Everything that decides the result of a run.

    AdamW (Loshchilov & Hutter 2019); the learning rate warms up linearly over the first
    twentieth, then falls as a cosine to zero; an exponential average of the weights is kept
    and is what gets shipped (Polyak & Juditsky 1992).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    sources: tuple[Source, ...] = Field(min_length=1)
    steps: int = Field(gt=0)
    batch: int = Field(default=16, gt=0)
    crop_height: int = Field(default=256, gt=0, multiple_of=4)
    crop_width: int = Field(default=320, gt=0, multiple_of=4)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    average_decay: float = Field(default=0.998, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    initial_weights: Path | None = None

    def learning_rate_at(self, step: int) -> float:
        warm_up = max(1, self.steps // 20)
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        progress = (step - warm_up) / max(1, self.steps - warm_up)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


class Progress(BaseModel):
    """What a watcher of the run is told after each step."""

    step: int
    steps: int
    loss: float
    seconds: float


def train(
    recipe: Recipe,
    folder: Path,
    report: Callable[[Progress], None] = lambda _: None,
    save_every: int = 100,
    stop_after: int | None = None,
) -> Path:
    """Run `recipe` in `folder` to its end, or for `stop_after` steps; return the weights' path.

    Raises CheckpointError when the folder holds the state of another recipe, DatasetError for
    bad data, PerceptionError for an unknown preset or a loss that is not finite.
    """
    run = _Run(recipe, folder)
    last = recipe.steps if stop_after is None else min(recipe.steps, run.step + stop_after)
    kept = _curve_until(folder / "curve.csv", run.step)
    with (folder / "curve.csv").open("w", newline="") as file:
        curve = csv.writer(file)
        curve.writerows([("step", "learning_rate", *Losses._fields), *kept])
        file.flush()  # what was there is there again
        for batch in run.batches(run.step, last):
            start = time.perf_counter()
            losses = run.advance(batch)
            values = [loss.item() for loss in losses]
            if not math.isfinite(sum(values)):
                raise PerceptionError(
                    f"step {run.step}: loss is {sum(values)}; lower --learning-rate (now "
                    f"{recipe.learning_rate}) and start in a new folder"
                )
            learning_rate = recipe.learning_rate_at(run.step - 1)
            curve.writerow((run.step, f"{learning_rate:.3g}", *(f"{v:.5g}" for v in values)))
            if run.step % save_every == 0 or run.step == last:
                file.flush()
                run.save()
            seconds = time.perf_counter() - start
            report(Progress(step=run.step, steps=recipe.steps, loss=sum(values), seconds=seconds))
    weights = folder / "weights.safetensors"
    save_network(run.average, weights)
    return weights


def _curve_until(path: Path, step: int) -> list[list[str]]:
    """Rows of the steps that a continued run does not take again."""
    if step == 0 or not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step]


class _Run:
    """Network, its running average, optimiser and step: what a checkpoint holds."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        if recipe.preset not in PRESETS:
            raise PerceptionError(
                f"preset '{recipe.preset}' is unknown; choose {' or '.join(PRESETS)}"
            )
        self.recipe, self.state_path, self.step = recipe, folder / "state.safetensors", 0
        spec = PRESETS[recipe.preset]
        datasets = [open_dataset(source.dataset) for source in recipe.sources]
        weights = [source.weight for source in recipe.sources]
        self.mixture = Mixture(datasets, weights, spec, recipe.seed)
        self.label_sets = torch.from_numpy(self.mixture.label_sets)
        torch.manual_seed(recipe.seed)
        np.finfo(np.float64)  # numpy looks the smallest number up once, and warns if flushed
        torch.set_flush_denormal(True)  # dying ReLUs leave denormals, many times slower
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = OctoNet(spec)
        if recipe.initial_weights is not None:
            load_state(network, load_tensors(recipe.initial_weights)[0], recipe.initial_weights)
        self.network = self._placed(network)
        self.average = self._placed(OctoNet(spec)).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PerceptionError(
                f"{folder}: can't be made ({error.strerror}); choose another --out"
            ) from error
        if self.state_path.exists():
            self._restore()
        self.network.train()

    def _placed(self, network: OctoNet) -> OctoNet:
        return network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Batches of steps `first`..`last`-1, each prepared while the one before trains."""
        recipe = self.recipe

        def prepare(step: int) -> Batch:
            return self.mixture.batch(step, recipe.batch, recipe.crop_height, recipe.crop_width)

        with ThreadPoolExecutor(1) as pool:
            pending = [pool.submit(prepare, step) for step in range(first, min(first + 2, last))]
            for step in range(first, last):
                batch = pending.pop(0).result()
                if step + 2 < last:
                    pending.append(pool.submit(prepare, step + 2))
                yield batch

    def advance(self, batch: Batch) -> Losses:
        """One optimiser step."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.step)
        images = torch.from_numpy(batch.images).to(self.device, memory_format=torch.channels_last)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            predictions = self.network(images)
        predictions = type(predictions)(*(tensor.float() for tensor in predictions))
        losses = total_loss(predictions, self._targets(batch), self.label_sets.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimiser.step()
        self.step += 1
        self._update_average()
        return losses

    def _targets(self, batch: Batch) -> BatchTargets:
        def stacked(name: str) -> Tensor:
            values = np.stack([getattr(objects, name) for objects in batch.objects])
            return torch.from_numpy(values).to(self.device)

        return BatchTargets(
            labels=torch.from_numpy(batch.labels).to(self.device),
            heat=stacked("heatmap"),
            regression=stacked("regression"),
            heat_weight=stacked("heat_weight"),
            box_weight=stacked("box_weight"),
            ground_weight=stacked("ground_weight"),
        )

    @torch.no_grad()
    def _update_average(self) -> None:
        # The decay ramps up, or the random start would linger in a short run.
        decay = min(self.recipe.average_decay, (1 + self.step) / (10 + self.step))
        for kept, new in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)

    def save(self) -> None:
        """Write the state so that a kill at any moment leaves this one or the one before."""
        tensors: dict[str, Tensor] = {}
        for name, value in self.network.state_dict().items():
            tensors[f"network.{name}"] = value
        for name, value in self.average.state_dict().items():
            tensors[f"average.{name}"] = value
        for index, state in self.optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimiser.{index}.{name}"] = value
        header = {_RECIPE_KEY: self.recipe.model_dump_json(), _STEP_KEY: str(self.step)}
        contiguous = {name: value.contiguous() for name, value in tensors.items()}
        save_tensors(contiguous, header, self.state_path)

    def _restore(self) -> None:
        tensors, header = load_tensors(self.state_path)
        if header.get(_RECIPE_KEY) != self.recipe.model_dump_json():
            raise CheckpointError(
                f"{self.state_path}: belongs to a run with another recipe; choose another --out "
                "or delete that folder"
            )
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimiser": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        load_state(self.network, parts["network"], self.state_path)
        load_state(self.average, parts["average"], self.state_path)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimiser"].items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.step = int(header[_STEP_KEY])
