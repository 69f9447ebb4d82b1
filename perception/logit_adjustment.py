"""Move the biases of the scene head from the fewest wrong pixels towards the best mean IoU.

python -m perception.logit_adjustment weights.safetensors --val camvid:CamVid/val \
    --val idd-lite:idd_lite/val --out adjusted.safetensors

A rare class should be called at another probability for IoU than for accuracy (Menon et al. 2021,
"Long-tail learning via logit adjustment"). One number a class, searched on images that the network
was not trained on. What the search gains by luck shows in its other half: biases searched on every
other image are scored on the rest.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from calib.letterbox import Letterbox
from perception.checkpoint import load_network, load_tensors, save_network
from perception.data.dataset import Dataset, open_dataset
from perception.data.label_sets import label_matrix
from perception.evaluate import Predict, network_input
from perception.metrics import class_iou, confusion_matrix, mean
from perception.network import OctoNet
from perception.predict import Predictor
from perception.spec import TRAINED_ON_KEY, ModelSpec
from perception.taxonomy import IGNORE

STEPS = (0.4, 0.2)
LIMIT = 1.0
"""A bias of more than this answers to these images and to no others."""


@dataclass(frozen=True)
class Cells:
    """What the network said at the labelled cells of a dataset's images."""

    sets: npt.NDArray[np.float32]  # (labels, classes)
    image: npt.NDArray[np.int64]  # (n,): which image
    odds: npt.NDArray[np.float32]  # (n, classes): exp of the logits, up to a factor a cell
    truth: npt.NDArray[np.uint8]  # (n,): label

    def of(self, images: Sequence[int]) -> "Cells":
        """Those of some images."""
        kept = np.isin(self.image, images)
        return Cells(self.sets, self.image[kept], self.odds[kept], self.truth[kept])

    def mean_iou(self, biases: npt.NDArray[np.float64]) -> float:
        """Of the dataset's labels, with `biases` (classes,) added to the logits."""
        of_label = self.odds @ (self.sets * np.exp(biases)).T.astype(np.float32)
        predicted = of_label.argmax(axis=1).astype(np.uint8)
        return mean(class_iou(confusion_matrix(self.truth, predicted, len(self.sets))))


def cells(predict: Predict, dataset: Dataset, spec: ModelSpec) -> Cells:
    """Logits at the output stride, each with the label of the pixel in its middle."""
    sets = label_matrix(dataset.label_to_scene, spec.scene_classes)
    ignored = np.append(np.flatnonzero(~sets.any(axis=1)), IGNORE)
    stride = spec.output_stride
    numbers, odds, truths = [], [], []
    for index in range(len(dataset)):
        sample, size = dataset.sample(index), spec.bucket(dataset.buckets[index])
        high, wide = sample.image.shape[:2]
        placement = Letterbox.fit(wide, high, size.width, size.height)
        frames = sample.frames[-spec.frames :]
        logits = predict(network_input(frames, placement, spec)[None])["scene"][0]
        middle = np.indices(logits.shape[1:]).transpose(1, 2, 0)[..., ::-1] * stride
        at = np.rint(placement.inverse(middle + (stride - 1) / 2)).astype(int)
        inside = ((at >= 0) & (at < (wide, high))).all(axis=-1)
        truth = sample.labels[at[inside][:, 1], at[inside][:, 0]]
        known = ~np.isin(truth, ignored)
        values = logits[:, inside].T[known]
        odds.append(np.exp(values - values.max(axis=1, keepdims=True)))
        truths.append(truth[known])
        numbers.append(np.full(int(known.sum()), index))
    return Cells(sets, np.concatenate(numbers), np.concatenate(odds), np.concatenate(truths))


def score(datasets: Sequence[Cells], biases: npt.NDArray[np.float64]) -> float:
    """Mean over datasets of their mean IoU."""
    return float(np.mean([one.mean_iou(biases) for one in datasets]))


def search(datasets: Sequence[Cells]) -> npt.NDArray[np.float64]:
    """The biases (classes,) by coordinate ascent in the STEPS, from none."""
    biases = np.zeros(datasets[0].sets.shape[1])
    best = score(datasets, biases)
    for step in STEPS:
        moved = True
        while moved:
            moved = False
            for index in range(len(biases)):
                for change in (-step, step):
                    tried = biases.copy()
                    tried[index] += change
                    if abs(tried[index]) <= LIMIT and (found := score(datasets, tried)) > best:
                        best, biases, moved = found, tried, True
    return biases.round(3)


def held_out_gains(datasets: Sequence[Cells]) -> list[float]:
    """What biases searched on every other image gain on the rest; both ways."""
    gains = []
    for part in (0, 1):
        halves: list[list[Cells]] = [[], []]
        for one in datasets:
            images = np.unique(one.image)
            halves[0].append(one.of(images[part::2].tolist()))
            halves[1].append(one.of(images[1 - part :: 2].tolist()))
        nothing = np.zeros(datasets[0].sets.shape[1])
        gains.append(score(halves[1], search(halves[0])) - score(halves[1], nothing))
    return gains


def adjusted(network: OctoNet, biases: npt.NDArray[np.float64]) -> OctoNet:
    """The network, its scene head's biases moved in place."""
    head: Any = network.scene[-1]
    with torch.no_grad():
        head.bias += torch.from_numpy(biases).to(head.bias)
    return network


def main() -> None:
    """Search on --val and write the adjusted weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--val", action="append", required=True, help="NAME:PATH; repeatable")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    network, spec = load_network(given.weights)
    found = [cells(Predictor(network), open_dataset(text), spec) for text in given.val]
    biases = search(found)
    halves = ", ".join(f"{gain:+.4f}" for gain in held_out_gains(found))
    print(", ".join(f"{n} {b:+.1f}" for n, b in zip(spec.scene_classes, biases, strict=True)))
    before = score(found, np.zeros(len(biases)))
    print(
        f"mean of the datasets' mean IoU at the cells: {before:.4f} -> {score(found, biases):.4f}"
    )
    print(f"searched on half of the images, gained on the other half: {halves}")
    trained_on = load_tensors(given.weights)[1].get(TRAINED_ON_KEY)
    save_network(adjusted(network, biases), given.out, trained_on)


if __name__ == "__main__":
    main()
