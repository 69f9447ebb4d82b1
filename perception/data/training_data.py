"""The datasets of a training run, read and checked before the first step."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from perception.data.check import accept, check
from perception.data.dataset import Dataset, open_dataset
from perception.data.memory import Memory


@dataclass(frozen=True)
class TrainingData:
    """Datasets whose samples can all be read, and the fingerprints of their images."""

    datasets: tuple[Dataset, ...]
    fingerprints: tuple[str, ...]

    @property
    def hash(self) -> str:
        """SHA-256 over the images in their order, hexadecimal."""
        return hashlib.sha256("".join(self.fingerprints).encode()).hexdigest()


def read_training_data(
    names_and_paths: Sequence[str],
    skip_bad: bool = False,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
    processes: int = 1,
) -> TrainingData:
    """Open datasets by `NAME:PATH` and read every sample once.

    `say` hears what is bad, file by file; `progress` the dataset, and how many of its samples
    are done. Raises DatasetError, for bad samples unless `skip_bad`.
    """
    memory = Memory(processes)
    checked = []
    for text in names_and_paths:
        dataset = memory.holding(open_dataset(text, partial(progress, f"rendering {text}")))

        def advance(done: int, dataset: Dataset = dataset) -> None:
            progress(dataset.name, done, len(dataset))

        checked.append(check(dataset, advance))
    datasets = accept(checked, skip_bad, say)
    return TrainingData(
        tuple(datasets), tuple(digits for c in checked for digits in c.fingerprints)
    )
