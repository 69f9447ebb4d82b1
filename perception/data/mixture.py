"""Several datasets mixed into training batches, the same batch for the same step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calib.letterbox import Letterbox
from perception.data.augment import augment
from perception.data.dataset import Dataset
from perception.data.label_sets import label_matrix
from perception.data.normalise import normalise
from perception.data.policy import Policy
from perception.data.targets import Targets, encode
from perception.spec import ModelSpec
from perception.taxonomy import IGNORE

_COUNTED = 200
"""Samples of each dataset whose pixels are counted for the balance of labels."""
_RARE = 4.0
"""How much more than the common label the rarest may count."""


@dataclass(frozen=True)
class Batch:
    """N augmented samples. `labels` are rows of `Mixture.label_sets`, or IGNORE."""

    images: npt.NDArray[np.float32]  # (N, 3 * frames, H, W), normalised
    labels: npt.NDArray[np.uint8]  # (N, H, W)
    objects: list[Targets]


class Mixture:
    """Draws samples from datasets with given weights.

    The sample at a place of a step's batch depends on the seed, the step and the place alone:
    an interrupted run goes on with the very samples it would have seen, and processes that
    share a batch each load their own part of it.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        weights: Sequence[float],
        spec: ModelSpec,
        policy: Policy,
        seed: int,
        balance: float = 0.0,
    ) -> None:
        """`policy` augments every sample. `balance` 0 counts all pixels alike, 1 all labels
        alike (see `label_weights`)."""
        self._datasets = datasets
        self._share = np.asarray(weights, np.float64) / np.sum(weights)
        self._spec = spec
        self._policy = policy
        self._seed = seed
        rows: dict[frozenset[str], int] = {}
        self._row_of_label: list[npt.NDArray[np.uint8]] = []
        for dataset in datasets:
            table = np.full(256, IGNORE, np.uint8)
            for label, names in enumerate(dataset.label_to_scene):
                if names:
                    table[label] = rows.setdefault(names, len(rows))
            self._row_of_label.append(table)
        self.label_sets = label_matrix(tuple(rows), spec.scene_classes)
        """(rows, scene classes) of 0 and 1: every distinct label set of all datasets."""
        self.label_weights = self._balanced(balance)
        """(rows,) how much a pixel of each label set counts in training."""

    def batch(self, step: int, places: Sequence[int], height: int, width: int) -> Batch:
        """The samples at `places` of a step's batch, cropped to `height` x `width`.

        Raises DatasetError for a bad file.
        """
        images, labels, objects = [], [], []
        for place in places:
            rng = np.random.default_rng([self._seed, step, place])
            which = int(rng.choice(len(self._datasets), p=self._share))
            index = int(rng.integers(len(self._datasets[which])))
            sample = self._datasets[which].sample(index)
            bucket = self._spec.bucket(self._datasets[which].buckets[index])
            rows, columns = sample.image.shape[:2]
            fit = Letterbox.fit(columns, rows, bucket.width, bucket.height).scale[0]
            sample = augment(
                sample, self._spec, self._policy, fit=fit, height=height, width=width, rng=rng
            )
            frames = sample.frames[-self._spec.frames :]
            images.append(np.concatenate([normalise(frame, self._spec) for frame in frames]))
            labels.append(self._row_of_label[which][sample.labels])
            objects.append(
                encode(
                    sample.objects,
                    height=height,
                    width=width,
                    n_classes=len(self._spec.object_classes),
                    stride=self._spec.output_stride,
                )
            )
        return Batch(np.stack(images), np.stack(labels), objects)

    def _balanced(self, exponent: float) -> npt.NDArray[np.float32]:
        """Weights (share of pixels) ** -exponent, limited and with a mean of 1 over pixels.

        In the line of Eigen & Fergus 2015, who weight by inverse frequency; a part of that is
        enough to learn poles and signs without seeing them everywhere.
        """
        share = np.zeros(len(self.label_sets))
        if not len(share):  # boxes alone
            return share.astype(np.float32)
        for which, dataset in enumerate(self._datasets):
            counts = np.zeros(256, np.int64)
            chosen = np.linspace(0, len(dataset) - 1, min(_COUNTED, len(dataset)), dtype=int)
            for index in chosen:
                labels = dataset.sample(int(index)).labels
                counts += np.bincount(labels.ravel(), minlength=256)
            rows = self._row_of_label[which]
            labelled = rows != IGNORE
            seen = np.bincount(rows[labelled], counts[labelled], minlength=len(share))
            share += self._share[which] * seen / max(seen.sum(), 1)
        weights = np.maximum(share, 1e-6) ** -exponent
        weights = np.minimum(weights, _RARE * np.average(weights, weights=share + 1e-9))
        return (weights / np.average(weights, weights=share + 1e-9)).astype(np.float32)
