"""Training of the head: rounds in, weights out. The network below it stays as it is."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from calib.rig import MAX_CAMERAS
from perception.errors import PerceptionError
from perception.surround.checkpoint import save_head
from perception.surround.examples import Example, ExampleMaker
from perception.surround.network import SurroundHead
from perception.surround.rounds import round_folders
from perception.surround.spec import SurroundSpec
from perception.train import flushed_denormals

# A camera is left out of an example with this chance, so that none is relied on.
DROP = 0.1
# Few cells hold a vehicle: those count more.
VEHICLE_WEIGHT = 2.0


@dataclass(frozen=True)
class SurroundRecipe:
    """AdamW in one cycle, as perception/recipe.py has it; an exponential average of the weights
    is what is kept."""

    rounds: Path
    network: Path
    steps: int = 1200
    batch: int = 4
    learning_rate: float = 3e-3
    seed: int = 0


def train_head(
    recipe: SurroundRecipe,
    out: Path,
    spec: SurroundSpec | None = None,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> SurroundHead:
    """Train a head on the rounds of a folder and write it to `out`. `report` hears each step and
    its loss. Raises DatasetError, CheckpointError, and PerceptionError for a loss that is not
    finite."""
    torch.manual_seed(recipe.seed)
    spec = spec or SurroundSpec()
    make = ExampleMaker(recipe.network, spec)
    folders = round_folders(recipe.rounds)
    head = SurroundHead(spec)
    average = torch.optim.swa_utils.AveragedModel(
        head, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99), use_buffers=True
    )
    optimiser = torch.optim.AdamW(head.parameters(), lr=recipe.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.steps, pct_start=0.25
    )
    rng = np.random.default_rng(recipe.seed)
    order = _shuffled(len(folders), rng)
    with flushed_denormals():
        for step in range(1, recipe.steps + 1):
            examples = [_varied(make(folders[next(order)]), rng) for _ in range(recipe.batch)]
            loss = loss_of(head.train(), examples)
            if not math.isfinite(loss.item()):
                raise PerceptionError(f"step {step}: loss is {loss.item()}; lower --learning-rate")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(head)
            report(step, loss.item())
    head.load_state_dict(average.module.state_dict())
    save_head(head.eval(), out)
    return head


def loss_of(head: SurroundHead, examples: Sequence[Example]) -> Tensor:
    """Mean cross-entropy of both layers over the cells that have truth."""
    joined = [head.join(torch.from_numpy(e.seen), torch.from_numpy(e.weight)) for e in examples]
    logits = head.grid(torch.stack(joined))
    truth = torch.from_numpy(np.stack([example.truth for example in examples]))
    known = ~truth.isnan()
    truth = truth.nan_to_num()
    each = F.binary_cross_entropy_with_logits(
        logits,
        truth,
        weight=known.float(),
        pos_weight=torch.tensor([1.0, VEHICLE_WEIGHT]).view(2, 1, 1),
        reduction="sum",
    )
    return each / known.sum()


def _shuffled(count: int, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(count).tolist()


def _varied(example: Example, rng: np.random.Generator) -> Example:
    """Some cameras taken off; half the time mirrored, left for right."""
    kept = rng.random(MAX_CAMERAS) >= DROP
    weight = example.weight * kept[example.cameras][:, None]
    flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
    return Example(
        np.ascontiguousarray(example.seen[..., flip, :]),
        np.ascontiguousarray(weight[..., flip, :]),
        example.cameras[:, flip],
        np.ascontiguousarray(example.truth[:, flip]),
    )
