"""Training losses, each from its paper.

Scene: cross-entropy over label *sets*, so that a dataset's coarse label trains the sum of
our fine classes' probabilities, and beside it IoU itself, by its Lovasz extension (Berman et
al. 2018). Centres: penalty-reduced focal loss (Law & Deng 2018,
CornerNet; Zhou et al. 2019, Objects as Points). Boxes: generalised IoU (Rezatofighi et al.
2019). Ground points: smooth L1 (Girshick 2015) in units of the output stride.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.network import Predictions
from perception.taxonomy import IGNORE


class BatchTargets(NamedTuple):
    """What the head outputs should be; maps are at the network's output stride.

    `labels` N x H x W uint8 at input size: row of the `label_sets` matrix, or IGNORE.
    `heat` N x objects x h x w in 0..1. `regression` N x 6 x h x w: left, top, right, bottom
    distance and ground-point offset x, y in input pixels. `heat_weight`, `box_weight`,
    `ground_weight` N x h x w: 0 trains nothing.
    """

    labels: Tensor
    heat: Tensor
    regression: Tensor
    heat_weight: Tensor
    box_weight: Tensor
    ground_weight: Tensor


class Labels(NamedTuple):
    """What the rows of a batch's labels mean: `sets` is rows x scene classes, 0 or 1, and
    `weights` (rows) is how much a pixel of each counts."""

    sets: Tensor
    weights: Tensor


class Losses(NamedTuple):
    """Scalar losses, already weighted; their sum is what training minimises."""

    scene: Tensor
    heat: Tensor
    box: Tensor
    ground: Tensor
    auxiliary: Tensor  # scene losses of the auxiliary classifiers


def total_loss(predictions: Predictions, targets: BatchTargets, labels: Labels) -> Losses:
    """The losses with the weights that balance them at the start of training."""
    positives = targets.box_weight.sum().clamp(min=1)
    return Losses(
        scene=scene_loss(predictions.scene, targets.labels, labels),
        heat=heat_loss(predictions.heat, targets.heat, targets.heat_weight),
        box=2
        * box_loss(predictions.box, targets.regression[:, :4], targets.box_weight)
        / positives,
        ground=0.1
        * ground_loss(predictions.ground, targets.regression[:, 4:], targets.ground_weight)
        / positives,
        # 0.3 each is the paper's weight.
        auxiliary=sum(
            (0.3 * scene_loss(x, targets.labels, labels) for x in predictions.auxiliary),
            start=predictions.scene.new_zeros(()),
        ),
    )


def scene_loss(logits: Tensor, targets: Tensor, labels: Labels) -> Tensor:
    """Cross-entropy and Lovasz loss of N x classes x h x w scene `logits`.

    `targets` N x H x W holds rows of `labels`; one whose set is empty must be given as IGNORE.
    """
    if not len(labels.sets):  # boxes alone: nothing to learn, yet part of the graph
        return logits.sum() * 0
    log_p, targets = log_probabilities(logits, targets, labels.sets)
    # Every other row and column is enough for the second, which sorts all pixels.
    p = log_p[:, :, ::2, ::2].exp()
    return cross_entropy(log_p, targets, labels.weights) + lovasz_loss(
        p, targets[:, ::2, ::2], labels.sets
    )


def log_probabilities(logits: Tensor, targets: Tensor, sets: Tensor) -> tuple[Tensor, Tensor]:
    """N x sets x 2h x 2w: log of the sum of each set's probabilities; and the targets there.

    At twice the logits' resolution: half the stride keeps poles and kerbs, the full resolution
    would cost more than the network.
    """
    logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
    log_p = F.log_softmax(logits, dim=1)
    singles = sets.sum(1) == 1
    channels = [
        log_p[:, row.argmax()] if single else log_p[:, row.bool()].logsumexp(dim=1)
        for row, single in zip(sets, singles, strict=True)
    ]
    return torch.stack(channels, dim=1), _sampled(targets, *logits.shape[-2:]).long()


def cross_entropy(log_p: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean of -log p over labelled pixels, each weighted by its label."""
    total = F.nll_loss(log_p, targets, weights, ignore_index=IGNORE, reduction="sum")
    # Not nll_loss's own mean: that is NaN where no pixel has a label.
    return total / weights[targets[targets != IGNORE]].sum().clamp(min=1e-6)


def lovasz_loss(p: Tensor, targets: Tensor, sets: Tensor) -> Tensor:
    """1 - IoU, made continuous, of each label set in `targets`, and their mean.

    `p` N x sets x h x w: probability of each set. A pixel labelled with a part of a set counts as
    inside it, one whose label shares no class with it as outside, and any other says nothing.
    """
    p, targets = p.movedim(1, 0)[:, targets != IGNORE], targets[targets != IGNORE]
    common = sets @ sets.T  # classes that two sets share
    inside, outside = common == sets.sum(1), common == 0  # [set, label of a pixel]
    losses = []
    for row in targets.unique():
        known = (inside[row] | outside[row])[targets]
        truth = inside[row][targets][known].to(p.dtype)
        error, order = (truth - p[row][known]).abs().sort(descending=True)
        losses.append(error @ _jaccard_steps(truth[order]))
    return torch.stack(losses).mean() if losses else p.sum() * 0


def _jaccard_steps(truth: Tensor) -> Tensor:
    """How much each pixel adds to 1 - IoU when all pixels before it are wrong already."""
    intersection = truth.sum() - truth.cumsum(0)
    union = truth.sum() + (1 - truth).cumsum(0)
    jaccard = 1 - intersection / union
    return torch.cat((jaccard[:1], jaccard[1:] - jaccard[:-1]))


def _sampled(image: Tensor, height: int, width: int) -> Tensor:
    """The middle pixels of a grid of `height` x `width` over N x H x W."""
    rows, columns = (
        ((torch.arange(n, device=image.device) + 0.5) * (size / n)).long()
        for n, size in zip((height, width), image.shape[-2:], strict=True)
    )
    return image[:, rows[:, None], columns]


def heat_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Focal loss with penalty reduced near a centre, per object (alpha 2, beta 4)."""
    log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = logits.sigmoid()
    centre = (target == 1).to(logits.dtype)
    positive = centre * (1 - p).square() * log_p
    negative = (1 - centre) * (1 - target).pow(4) * p.square() * log_q
    loss = -((positive + negative) * weight.unsqueeze(1)).sum()
    return loss / (centre * weight.unsqueeze(1)).sum().clamp(min=1)


def box_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum of weight * (1 - GIoU) of boxes given as distances of their sides from a cell."""
    cells = weight > 0
    p, t = predicted.movedim(1, -1)[cells], target.movedim(1, -1)[cells].clamp(min=0)

    def area(sides: Tensor) -> Tensor:
        return (sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3])

    inner, outer = area(torch.minimum(p, t)), area(torch.maximum(p, t))
    union = area(p) + area(t) - inner
    giou = inner / union.clamp(min=1e-6) - (outer - union) / outer.clamp(min=1e-6)
    return (weight[cells] * (1 - giou)).sum()


def ground_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of smooth L1 distances in units of four pixels."""
    cells = weight > 0
    p, t = predicted.movedim(1, -1)[cells], target.movedim(1, -1)[cells]
    return (weight[cells, None] * F.smooth_l1_loss(p / 4, t / 4, reduction="none")).sum()
