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
from perception.data.sample import Sample
from perception.data.targets import Targets, encode
from perception.spec import ModelSpec
from perception.taxonomy import IGNORE

_CACHE_BYTES = 4 << 30
_SCALE = (0.6, 1.6)
"""Augmentation's range of sizes, relative to what the camera's bucket shows the network."""


@dataclass(frozen=True)
class Batch:
    """N augmented samples. `labels` are rows of `Mixture.label_sets`, or IGNORE."""

    images: npt.NDArray[np.float32]  # (N, 3, H, W), normalised
    labels: npt.NDArray[np.uint8]  # (N, H, W)
    objects: list[Targets]


class Mixture:
    """Draws samples from datasets with given weights.

    The batch of a step depends on the seed and the step alone, so an interrupted run goes on
    with the very samples it would have seen. Decoded samples stay in memory while they fit.
    """

    def __init__(
        self, datasets: Sequence[Dataset], weights: Sequence[float], spec: ModelSpec, seed: int
    ) -> None:
        self._datasets = datasets
        self._share = np.asarray(weights, np.float64) / np.sum(weights)
        self._spec = spec
        self._seed = seed
        self._cache: dict[tuple[int, int], Sample] = {}
        self._cached_bytes = 0
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

    def batch(self, step: int, size: int, height: int, width: int) -> Batch:
        """`size` samples cropped to `height` x `width`. Raises DatasetError for a bad file."""
        rng = np.random.default_rng([self._seed, step])
        images, labels, objects = [], [], []
        for which in rng.choice(len(self._datasets), size, p=self._share):
            index = int(rng.integers(len(self._datasets[which])))
            sample = self._load(int(which), index)
            bucket = self._spec.bucket(self._datasets[which].buckets[index])
            rows, columns = sample.image.shape[:2]
            fit = Letterbox.fit(columns, rows, bucket.width, bucket.height).scale[0]
            scale = (fit * _SCALE[0], fit * _SCALE[1])
            sample = augment(sample, self._spec, height=height, width=width, scale=scale, rng=rng)
            images.append(normalise(sample.image, self._spec))
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

    def _load(self, which: int, index: int) -> Sample:
        key = which, index
        if key in self._cache:
            return self._cache[key]
        sample = self._datasets[which].sample(index)
        size = sample.image.nbytes + sample.labels.nbytes
        if self._cached_bytes + size <= _CACHE_BYTES:
            self._cache[key] = sample
            self._cached_bytes += size
        return sample
