"""The head: any number of cameras in any order, and it can learn."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from calib.rig import load_rig
from perception.spec import PRESETS
from perception.surround.checkpoint import load_head, save_head
from perception.surround.examples import Example
from perception.surround.lookup import rig_lookup
from perception.surround.network import SurroundHead
from perception.surround.spec import SurroundSpec
from perception.surround.train import loss_of

SPEC = SurroundSpec(x_min=-16, x_max=16, y_min=-12, y_max=12, cell=1.6, width=8)
HW2 = load_rig("hw2")
RIG_LOOKUP = rig_lookup(HW2.cameras, PRESETS["nano"], SPEC)
LOOKUP = torch.from_numpy(RIG_LOOKUP.values)


def lively_head() -> SurroundHead:
    torch.manual_seed(1)
    head = SurroundHead(SPEC).eval()
    torch.nn.init.normal_(head.classify.weight, std=3.0)
    return head


def scenes(cameras: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return 3 * torch.randn(cameras, len(SPEC.scene_classes), 120, 160, generator=generator)


@torch.no_grad()
def test_any_number_of_cameras_in_any_order():
    head, scene = lively_head(), scenes()
    whole = head(scene, LOOKUP)
    assert whole.shape == (2, *SPEC.shape)
    assert len(LOOKUP) < len(HW2)  # few cameras see the same cell

    def of(places: list[int]) -> torch.Tensor:
        cameras = [HW2.cameras[place] for place in places]
        values = rig_lookup(cameras, PRESETS["nano"], SPEC).values
        return head(scene[places], torch.from_numpy(values))

    assert torch.allclose(of([3, 0, 7, 1, 6, 2, 5, 4]), whole, atol=1e-5)
    # A camera that sees nothing is no camera; one that is taken off is missed.
    blind = torch.from_numpy(RIG_LOOKUP.without([2, 3, 4, 5, 6, 7]))
    two = of([0, 1])
    assert torch.allclose(head(scene, blind), two, atol=1e-5)
    assert (two - whole).abs().max() > 0.05
    assert torch.allclose(of([0, 0, 1, 1]), two, atol=0.5)  # twice the same says little more
    assert torch.isfinite(of([0, 1, 2, 3, 4, 5, 6, 7] * 2)).all()


@torch.no_grad()
def test_swapped_pictures_and_another_calibration_are_noticed():
    head, scene = lively_head(), scenes()
    whole = head(scene, LOOKUP)
    swapped = scene[[0, 1, 2, 4, 3, 5, 6, 7]]
    assert (head(swapped, LOOKUP) - whole).abs().max() > 0.05
    turned = LOOKUP + torch.tensor([0.2, 0.0, 0.0])
    assert (head(scene, turned) - whole).abs().max() > 0.05


def test_it_learns_two_examples_by_heart_and_reads_back_equal(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = SurroundHead(SPEC)
    x, y = np.moveaxis(SPEC.points()[0, :, :, :2], -1, 0)
    examples = []
    for sign in (-1, 1):  # the same road elsewhere: only the pictures tell which it is
        truth = np.stack([np.abs(y - 4 * sign) < 5, np.hypot(x - 6 * sign, y) < 3])
        truth = truth.astype(np.float32)
        truth[1, :2] = np.nan  # what no camera sees teaches nothing
        with torch.no_grad():
            seen = head.look_up(sign * scenes(), LOOKUP).numpy()
        examples.append(Example(seen, LOOKUP[..., 2].numpy(), RIG_LOOKUP.cameras, truth))
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = loss_of(head.train(), examples)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 < 0.4 < losses[0]
    wrong = [replace(one, truth=other.truth) for one, other in pairwise([*examples, examples[0]])]
    assert loss_of(head, wrong) > 5 * losses[-1]
    save_head(head, tmp_path / "head.safetensors")
    again = load_head(tmp_path / "head.safetensors")
    assert again.spec == SPEC
    with torch.no_grad():
        assert torch.equal(again(scenes(), LOOKUP), head.eval()(scenes(), LOOKUP))
