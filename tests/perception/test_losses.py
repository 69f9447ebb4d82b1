"""Losses are lowest at the truth, and a coarse label trains the sum of its classes."""

import math

import pytest
import torch

from perception.losses import Labels, box_loss, ground_loss, heat_loss, scene_loss
from perception.taxonomy import IGNORE


def plain(sets: torch.Tensor) -> Labels:
    """All labels count alike."""
    return Labels(sets, torch.ones(len(sets)))


def test_scene_loss_of_a_label_set_is_minus_log_of_its_probability_sum() -> None:
    logits = torch.zeros(1, 4, 8, 8)  # four classes, each 1/4
    labels = torch.full((1, 32, 32), 1, dtype=torch.uint8)
    sets = plain(torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0]]))
    assert math.isclose(scene_loss(logits, labels, sets).item(), math.log(2), rel_tol=1e-5)
    labels[:] = 0
    assert math.isclose(scene_loss(logits, labels, sets).item(), math.log(4), rel_tol=1e-5)


def test_coarse_label_leaves_its_fine_classes_free() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    sets = plain(torch.tensor([[1.0, 1, 1]]))
    labels = torch.zeros(1, 16, 16, dtype=torch.uint8)
    scene_loss(logits, labels, sets).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


def test_ignored_pixels_train_nothing() -> None:
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    labels = torch.zeros(1, 32, 32, dtype=torch.uint8)
    labels[:, :16] = IGNORE
    scene_loss(logits, labels, plain(torch.eye(3))).backward()
    assert logits.grad is not None
    assert logits.grad[:, :, :3].abs().max() == 0
    assert logits.grad[:, :, 5:].abs().min() > 0


def test_pixels_count_by_the_weight_of_their_label() -> None:
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, 0] = 2.0  # class 0 everywhere: right in the upper half, wrong in the lower
    labels = torch.zeros(1, 32, 32, dtype=torch.uint8)
    labels[:, 16:] = 1
    right, wrong = math.log(1 + math.exp(-2)), 2 + math.log(1 + math.exp(-2))
    weighted = Labels(torch.eye(2), torch.tensor([1.0, 3.0]))
    expected = (right + 3 * wrong) / 4
    assert math.isclose(scene_loss(logits, labels, weighted).item(), expected, rel_tol=1e-5)
    labels[:] = IGNORE
    assert scene_loss(logits, labels, weighted).item() == 0  # not NaN: a batch without labels


@pytest.mark.parametrize("stride", [4, 16])
def test_labels_are_met_where_they_lie(stride: int) -> None:
    """A crop of 80 x 112 at any stride, whose halves the logits tell apart."""
    height, width = -(-80 // stride), -(-112 // stride)
    logits = torch.zeros(1, 2, height, width)
    logits[:, 0, :, : width // 2], logits[:, 1, :, width // 2 :] = 9.0, 9.0
    labels = torch.zeros(1, 80, 112, dtype=torch.uint8)
    labels[:, :, 56:] = 1
    eye = plain(torch.eye(2))
    assert scene_loss(logits, labels, eye) < 0.5 < 7 < scene_loss(logits, 1 - labels, eye)


def test_heat_loss_prefers_the_peak_and_skips_ignored_cells() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[0, 0, 3, 4] = 1
    weight = torch.ones(1, 8, 8)
    right, wrong = torch.full((1, 1, 8, 8), -5.0), torch.full((1, 1, 8, 8), -5.0)
    right[0, 0, 3, 4] = 5
    wrong[0, 0, 6, 6] = 5
    assert heat_loss(right, target, weight) < 0.01 < 4 < heat_loss(wrong, target, weight)
    weight[0, 6, 6] = 0
    assert heat_loss(wrong, target, weight) < 6


def test_box_loss_is_zero_at_the_truth_and_grows_away_from_it() -> None:
    truth = torch.full((1, 4, 2, 2), 8.0)
    weight = torch.tensor([[[1.0, 0], [0, 0]]])
    assert box_loss(truth.clone(), truth, weight).item() == 0
    near, far = truth + 1, truth + 20
    assert 0 < box_loss(near, truth, weight) < box_loss(far, truth, weight)
    elsewhere = truth.clone()
    elsewhere[:, :, 1, 1] = 99  # no weight there
    assert box_loss(elsewhere, truth, weight).item() == 0


def test_ground_loss_counts_weighted_cells_alone() -> None:
    truth, weight = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2)
    predicted = torch.full((1, 2, 2, 2), 40.0)
    assert ground_loss(predicted, truth, weight).item() == 0
    weight[0, 0, 0] = 1
    assert ground_loss(predicted, truth, weight).item() == 2 * (10 - 0.5)
