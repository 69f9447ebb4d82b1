"""Decoded samples held in memory, as far as they fit."""

import os
from threading import Lock

from perception.data.dataset import Dataset
from perception.data.sample import Sample


class Memory:
    """Room for the samples of several datasets: half of the memory that is free, shared by the
    `processes` of a run."""

    def __init__(self, processes: int = 1) -> None:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._room = free // (2 * processes)
        self._lock = Lock()

    def holding(self, dataset: Dataset) -> Dataset:
        """A view of `dataset` that reads each sample once, while there is room."""
        return _Held(dataset, self)

    def take(self, size: int) -> bool:
        """Whether `size` bytes still fit; if so they are taken."""
        with self._lock:
            if size > self._room:
                return False
            self._room -= size
            return True


class _Held:
    def __init__(self, dataset: Dataset, memory: Memory) -> None:
        self._dataset, self._memory = dataset, memory
        self._samples: dict[int, Sample] = {}
        self.name = dataset.name
        self.labels = dataset.labels
        self.label_to_scene = dataset.label_to_scene
        self.sources = dataset.sources
        self.buckets = dataset.buckets
        self.box_origin = dataset.box_origin

    def __len__(self) -> int:
        return len(self._dataset)

    def sample(self, index: int) -> Sample:
        held = self._samples.get(index)
        if held is not None:
            return held
        sample = self._dataset.sample(index)
        arrays = (sample.image, sample.labels, sample.previous)
        if self._memory.take(sum(array.nbytes for array in arrays if array is not None)):
            self._samples[index] = sample
        return sample
