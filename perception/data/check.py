"""The check before training: every sample of a dataset is read once, and what is bad is named.

checked = [check(open_dataset(text)) for text in texts]
datasets = accept(checked, skip_bad=False, say=print)
trained_on = [digits for one in checked for digits in one.fingerprints]
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from perception.data.dataset import Dataset
from perception.data.fingerprint import fingerprint
from perception.data.sample import Sample
from perception.errors import DatasetError

_THREADS = 2  # decoding leaves the interpreter's lock alone
_SHOWN = 20


@dataclass(frozen=True)
class Checked:
    """A dataset of which every sample was read."""

    dataset: Dataset
    problems: dict[int, str]  # by index of the sample: what is wrong, beginning with the file
    fingerprints: tuple[str, ...]  # of the images of the good samples, in order

    @property
    def good(self) -> Dataset:
        """The dataset without its bad samples."""
        return without(self.dataset, self.problems) if self.problems else self.dataset

    def report(self) -> str:
        """How many samples are bad, and the first of them, a line each; empty if none is."""
        if not self.problems:
            return ""
        bad, total = len(self.problems), len(self.dataset)
        lines = [f"{self.dataset.name}: {bad} of {total} samples are bad"]
        lines += [f"  {message}" for message in list(self.problems.values())[:_SHOWN]]
        hidden = bad - _SHOWN
        return "\n".join(lines + ([f"  and {hidden} more"] if hidden > 0 else []))


def check(dataset: Dataset, progress: Callable[[int], None] = lambda done: None) -> Checked:
    """Read every sample once, keeping none. `progress` hears how many are done."""

    def read(index: int) -> tuple[str, str]:
        """Fingerprint and problem of one sample; one of the two is empty."""
        try:
            return fingerprint(dataset.sample(index).image), ""
        except DatasetError as error:
            return "", str(error)

    problems: dict[int, str] = {}
    fingerprints = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for index, (digits, problem) in enumerate(pool.map(read, range(len(dataset)))):
            if problem:
                problems[index] = problem
            else:
                fingerprints.append(digits)
            progress(index + 1)
    return Checked(dataset, problems, tuple(fingerprints))


def accept(
    checked: Sequence[Checked], skip_bad: bool, say: Callable[[str], None] = lambda report: None
) -> list[Dataset]:
    """The datasets, without bad samples. `say` hears the report on each that has some.

    Raises DatasetError if there are bad samples and they may not be skipped, or if a dataset has
    no good one.
    """
    for one in checked:
        if one.problems:
            say(one.report())
    bad = sum(len(one.problems) for one in checked)
    if bad and not skip_bad:
        first = next(message for one in checked for message in one.problems.values())
        raise DatasetError(
            f"{bad} of {sum(len(one.dataset) for one in checked)} samples are bad, the first is "
            f"{first}; correct them, or leave them out with --skip-bad"
        )
    for one in checked:
        if not one.fingerprints:
            raise DatasetError(f"{one.dataset.name}: no good sample is left; leave it out")
    return [one.good for one in checked]


def without(dataset: Dataset, bad: Collection[int]) -> Dataset:
    """A view of `dataset` that lacks the samples of the indices `bad`."""
    return _Part(dataset, [index for index in range(len(dataset)) if index not in bad])


class _Part:
    """Some samples of a dataset."""

    def __init__(self, whole: Dataset, kept: Sequence[int]) -> None:
        self._whole, self._kept = whole, kept
        self.name = whole.name
        self.labels = whole.labels
        self.label_to_scene = whole.label_to_scene
        self.sources = tuple(whole.sources[index] for index in kept)
        self.buckets = tuple(whole.buckets[index] for index in kept)
        self.box_origin = whole.box_origin

    def __len__(self) -> int:
        return len(self._kept)

    def sample(self, index: int) -> Sample:
        return self._whole.sample(self._kept[index])
