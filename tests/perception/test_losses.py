"""Losses are lowest at the truth, and a coarse label trains the sum of its classes."""

import math

import pytest
import torch

from perception.losses import (
    Labels,
    box_loss,
    cross_entropy,
    ground_loss,
    heat_loss,
    log_probabilities,
    lovasz_loss,
    scene_loss,
)
from perception.taxonomy import IGNORE


def plain(sets: torch.Tensor) -> Labels:
    """All labels count alike."""
    return Labels(sets, torch.ones(len(sets)))


def entropy(logits: torch.Tensor, targets: torch.Tensor, labels: Labels) -> torch.Tensor:
    return cross_entropy(*log_probabilities(logits, targets, labels.sets), labels.weights)


def test_cross_entropy_of_a_label_set_is_minus_log_of_its_probability_sum() -> None:
    logits = torch.zeros(1, 4, 8, 8)  # four classes, each 1/4
    labels = torch.full((1, 32, 32), 1, dtype=torch.uint8)
    sets = plain(torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0]]))
    assert math.isclose(entropy(logits, labels, sets).item(), math.log(2), rel_tol=1e-5)
    labels[:] = 0
    assert math.isclose(entropy(logits, labels, sets).item(), math.log(4), rel_tol=1e-5)


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
    assert math.isclose(entropy(logits, labels, weighted).item(), expected, rel_tol=1e-5)
    labels[:] = IGNORE
    assert scene_loss(logits, labels, weighted).item() == 0  # not NaN: a batch without labels


def test_lovasz_loss_of_a_decision_is_one_minus_iou() -> None:
    """Of 100 cells 30 are class 1, of which 20 are found, and 10 of the others are taken for it."""
    targets = torch.zeros(1, 10, 10, dtype=torch.long)
    targets[0, :3] = 1
    decided = torch.zeros(10, 10)
    decided[1:4] = 1
    p = torch.stack((1 - decided, decided))[None]
    expected = ((1 - 60 / 80) + (1 - 20 / 40)) / 2
    assert math.isclose(lovasz_loss(p, targets, torch.eye(2)).item(), expected, rel_tol=1e-5)
    targets[0, 0] = IGNORE  # and so all that were missed
    expected = ((1 - 60 / 70) + (1 - 20 / 30)) / 2
    assert math.isclose(lovasz_loss(p, targets, torch.eye(2)).item(), expected, rel_tol=1e-5)


def test_lovasz_loss_leaves_a_set_alone_where_the_label_does_not_tell() -> None:
    """Sets {0}, {1}, {1, 2}: a pixel of {1, 2} says nothing about {1}, one of {1} is in {1, 2}."""
    sets = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 1]])
    targets = torch.tensor([[[0, 1, 2]]])
    p = torch.tensor([[[1.0, 0, 0]], [[0, 1, 0.9]], [[0, 1, 1]]])[None]
    assert lovasz_loss(p, targets, sets).item() < 1e-6
    p[0, 1, 0, 0] = 1.0  # a pixel of {0} is no {1}
    assert lovasz_loss(p, targets, sets).item() > 0.1


def test_lovasz_loss_pulls_at_what_costs_most_iou() -> None:
    """A missed pixel of a class of ten outweighs one of a class of ninety."""
    targets = torch.zeros(1, 10, 10, dtype=torch.long)
    targets[0, 0] = 1
    logits = torch.zeros(1, 2, 10, 10)
    logits[:, 0] = 1.0
    logits.requires_grad_()
    lovasz_loss(logits.softmax(1), targets, torch.eye(2)).backward()
    assert logits.grad is not None
    pull = logits.grad[0, 1]
    assert (pull[0] < 0).all() and pull[1:].mean() > 0
    assert -pull[0].mean() > 3 * pull[1:].mean()


@pytest.mark.parametrize("stride", [4, 16])
def test_labels_are_met_where_they_lie(stride: int) -> None:
    """A crop of 80 x 112 at any stride, whose halves the logits tell apart."""
    height, width = -(-80 // stride), -(-112 // stride)
    logits = torch.zeros(1, 2, height, width)
    logits[:, 0, :, : width // 2], logits[:, 1, :, width // 2 :] = 9.0, 9.0
    labels = torch.zeros(1, 80, 112, dtype=torch.uint8)
    labels[:, :, 56:] = 1
    eye = plain(torch.eye(2))
    assert entropy(logits, labels, eye) < 0.5 < 7 < entropy(logits, 1 - labels, eye)


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
