"""What every dataset offers, and how to open one from the command line's NAME:PATH."""

from pathlib import Path
from typing import Protocol

from perception.data.camvid import CamVid
from perception.data.sample import Sample
from perception.data.synthetic import Synthetic
from perception.errors import DatasetError


class Dataset(Protocol):
    """Annotated images, read one at a time.

    Opening checks that all files are listed and there; a file's content is checked when it is
    read. Both raise DatasetError.
    """

    @property
    def name(self) -> str: ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the dataset's own labels, in order of their byte in Sample.labels."""
        ...

    @property
    def label_to_scene(self) -> tuple[frozenset[str], ...]:
        """For each label the scene classes that it covers; an empty set is ignored."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Image file of each sample."""
        ...

    @property
    def buckets(self) -> tuple[str, ...]:
        """Network bucket (ModelSpec.buckets) that each sample is meant for."""
        ...

    @property
    def box_origin(self) -> str:
        """`exact`, or `mask-derived` where boxes were guessed from a label image."""
        ...

    def __len__(self) -> int: ...

    def sample(self, index: int) -> Sample: ...


def open_dataset(name_and_path: str) -> Dataset:
    """Open `camvid:FOLDER[/SPLIT]` (split train by default) or `sim:FOLDER`.

    Raises DatasetError for an unknown name, and what the reader raises.
    """
    name, _, path = name_and_path.partition(":")
    if not path or name not in ("camvid", "sim"):
        raise DatasetError(
            f"dataset '{name_and_path}' is not NAME:PATH; write camvid:FOLDER/SPLIT or sim:FOLDER"
        )
    folder = Path(path)
    if name == "sim":
        return Synthetic(folder)
    return CamVid(folder / "train" if (folder / "train").is_dir() else folder)
