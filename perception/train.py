"""Training: one recipe in, weights and a curve out.

A run lives in a folder: `state.safetensors` (weights, optimiser, step; rewritten as it
goes), `curve.csv` and `curve.html` (losses), `weights.safetensors` (the averaged weights, at
the end). The same recipe on the same folder continues where it stopped and ends with the same
weights.

Under `torchrun` each process takes its share of every batch and the first writes the folder.
"""

import csv
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from perception.checkpoint import load_state, load_tensors, save_network, save_tensors
from perception.data.mixture import Batch, Mixture
from perception.data.training_data import TrainingData, read_training_data
from perception.errors import CheckpointError, PerceptionError
from perception.losses import BatchTargets, Labels, Losses, total_loss
from perception.network import OctoNet, Predictions
from perception.processes import Processes
from perception.recipe import Recipe
from perception.report.curves import write_curves
from perception.spec import TRAINED_ON_KEY

_RECIPE_KEY = "octoview.recipe"
_STEP_KEY = "octoview.step"
_DATA_KEY = "octoview.data_hash"


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
    data: TrainingData | None = None,
    processes: Processes | None = None,
) -> Path:
    """Run `recipe` in `folder` to its end, or for `stop_after` steps; return the weights' path.

    `data` spares reading the recipe's sources once more. With `processes` all of them call this
    function, and only the first writes and reports. Raises CheckpointError when the folder
    holds the state of another recipe or of other data, DatasetError for bad data,
    PerceptionError for a loss that is not finite.
    """
    processes = processes or Processes.alone()
    if data is None:
        sources = [source.dataset for source in recipe.sources]
        data = read_training_data(sources)
    run = _Run(recipe, data, folder, processes)
    last = recipe.steps if stop_after is None else min(recipe.steps, run.step + stop_after)
    curve = _Curve(folder / "curve.csv", run.step) if processes.is_first else None
    with flushed_denormals():
        for batch in run.batches(run.step, last):
            start = time.perf_counter()
            losses = run.advance(batch)
            total = sum(losses)
            if not math.isfinite(total):
                raise PerceptionError(
                    f"step {run.step}: loss is {total}; lower --learning-rate (now "
                    f"{recipe.learning_rate}) and start in a new folder"
                )
            if curve is None:
                continue
            curve.add(run.step, recipe.learning_rate_at(run.step - 1), losses)
            if run.step % save_every == 0 or run.step == last:
                curve.flush()
                run.save()
            seconds = time.perf_counter() - start
            report(Progress(step=run.step, steps=recipe.steps, loss=total, seconds=seconds))
    weights = folder / "weights.safetensors"
    if curve is not None:
        save_network(run.average, weights, run.trained_on)
    return weights


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Dying ReLUs leave denormals, which processors handle many times slower."""
    np.finfo(np.float64)  # numpy looks the smallest number up once, and warns if flushed
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class _Curve:
    """The losses of each step as a CSV file, and a page of plots beside it."""

    def __init__(self, path: Path, step: int) -> None:
        """Keeps the rows up to `step` of a run that goes on."""
        self._path, kept = path, _curve_until(path, step)
        self._pending: list[Sequence[str | int]] = []
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("step", "learning_rate", *Losses._fields), *kept])

    def add(self, step: int, learning_rate: float, losses: list[float]) -> None:
        self._pending.append((step, f"{learning_rate:.3g}", *(f"{x:.5g}" for x in losses)))

    def flush(self) -> None:
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerows(self._pending)
        self._pending.clear()
        write_curves(self._path, self._path.with_suffix(".html"))


def _curve_until(path: Path, step: int) -> list[list[str]]:
    """Rows of the steps that a continued run does not take again."""
    if step == 0 or not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step]


class _Run:
    """Network, its running average, optimiser and step: what a checkpoint holds."""

    def __init__(
        self, recipe: Recipe, data: TrainingData, folder: Path, processes: Processes
    ) -> None:
        self.recipe, self.state_path, self.step = recipe, folder / "state.safetensors", 0
        self.processes, self.places = processes, processes.share(recipe.batch)
        spec = recipe.spec
        self.mixture = Mixture(
            data.datasets,
            [source.weight for source in recipe.sources],
            spec,
            recipe.augmentation,
            recipe.seed,
            recipe.balance,
        )
        torch.manual_seed(recipe.seed)
        self.device = processes.device
        self.labels = Labels(
            sets=torch.from_numpy(self.mixture.label_sets).to(self.device),
            weights=torch.from_numpy(self.mixture.label_weights).to(self.device),
        )
        self.data_hash, self.trained_on = data.hash, "".join(data.fingerprints)
        self.average = self._placed(OctoNet(spec)).eval()
        self.network = self._placed(OctoNet(spec, recipe.auxiliary))
        if recipe.initial_weights is not None:
            tensors, header = load_tensors(recipe.initial_weights)
            self.trained_on += header.get(TRAINED_ON_KEY, "")
            load_state(self.average, tensors, recipe.initial_weights)
            # The auxiliary classifiers, which no weights file has, keep their random start.
            self.network.load_state_dict(self.network.state_dict() | self.average.state_dict())
        else:
            self._copy_to_average(0.0)
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
        self.shared: nn.Module = processes.wrap(self.network)

    def _placed(self, network: OctoNet) -> OctoNet:
        return network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Batches of steps `first`..`last`-1, each prepared while the one before trains."""
        recipe = self.recipe

        def prepare(step: int) -> Batch:
            return self.mixture.batch(step, self.places, recipe.crop_height, recipe.crop_width)

        with ThreadPoolExecutor(1) as pool:
            pending = [pool.submit(prepare, step) for step in range(first, min(first + 2, last))]
            for step in range(first, last):
                batch = pending.pop(0).result()
                if step + 2 < last:
                    pending.append(pool.submit(prepare, step + 2))
                yield batch

    def advance(self, batch: Batch) -> list[float]:
        """One optimiser step; returns the `Losses`, their mean over processes."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.step)
            group["betas"] = (self.recipe.momentum_at(self.step), group["betas"][1])
        images = torch.from_numpy(batch.images).to(self.device, memory_format=torch.channels_last)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            predictions: Predictions = self.shared(images)
        losses = torch.stack(total_loss(predictions.float(), self._targets(batch), self.labels))
        self.optimiser.zero_grad(set_to_none=True)
        losses.sum().backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimiser.step()
        self.step += 1
        # The decay ramps up, or the random start would linger in a short run.
        self._copy_to_average(min(self.recipe.average_decay, (1 + self.step) / (10 + self.step)))
        return self.processes.mean(losses.detach()).tolist()

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
    def _copy_to_average(self, decay: float) -> None:
        """average = decay * average + (1 - decay) * network"""
        network = self.network.state_dict()
        for name, kept in self.average.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(network[name], 1 - decay)
            else:
                kept.copy_(network[name])

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
        header = {
            _RECIPE_KEY: self.recipe.model_dump_json(),
            _STEP_KEY: str(self.step),
            _DATA_KEY: self.data_hash,
        }
        contiguous = {name: value.contiguous() for name, value in tensors.items()}
        save_tensors(contiguous, header, self.state_path)

    def _restore(self) -> None:
        tensors, header = load_tensors(self.state_path)
        if header.get(_RECIPE_KEY) != self.recipe.model_dump_json():
            raise CheckpointError(
                f"{self.state_path}: belongs to a run with another recipe; choose another --out "
                "or delete that folder"
            )
        if header.get(_DATA_KEY) != self.data_hash:
            raise CheckpointError(
                f"{self.state_path}: belongs to a run on other images; restore them, or choose "
                "another --out"
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
