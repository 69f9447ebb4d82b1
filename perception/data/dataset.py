"""What every dataset offers, and how to open one from the command line's NAME:PATH."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, cast, get_args

from perception.data.bdd100k import Bdd100k
from perception.data.camvid import CamVid
from perception.data.coco import Coco
from perception.data.dgp import Dgp
from perception.data.idd_lite import IddLite, Part
from perception.data.nuscenes import NuScenes
from perception.data.rendered import rendered
from perception.data.sample import Sample
from perception.data.synthetic import Synthetic
from perception.data.yolo import Yolo
from perception.errors import DatasetError


class Dataset(Protocol):
    """Annotated images, read one at a time.

    Opening checks that the folder is one of the dataset; a sample's files are checked when it
    is read. Both raise DatasetError.
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
        """`exact`; `mask-derived` where boxes were guessed from a label image, `projected` where
        3D boxes were; `none` where there are none."""
        ...

    def __len__(self) -> int: ...

    def sample(self, index: int) -> Sample: ...


Progress = Callable[[int, int], None]
"""Hears (done, in all) of what a dataset must do before it can be read."""


def open_dataset(text: str, progress: Progress = lambda done, total: None) -> Dataset:
    """Open NAME:PATH. Without a SPLIT a training command gets what is meant for training.

    Raises DatasetError for an unknown name, which lists all, and what the reader raises.
    """
    name, _, path = text.partition(":")
    if not path or name not in _FORMATS:
        forms = ", ".join(f"{name}:{form.path}" for name, form in _FORMATS.items())
        raise DatasetError(f"dataset '{text}' is not NAME:PATH; write one of {forms}")
    return _FORMATS[name].open(path, progress)


class _Format(NamedTuple):
    path: str
    open: Callable[[str, Progress], Dataset]


def _camvid(path: str, _: Progress) -> Dataset:
    folder = Path(path)
    return CamVid(folder / "train" if (folder / "train").is_dir() else folder)


def _idd_lite(path: str, _: Progress) -> Dataset:
    folder, part = _split(path, "images", "all")
    if part not in get_args(Part):
        raise DatasetError(f"{path}: no part '{part}'; IDD-Lite has {', '.join(get_args(Part))}")
    return IddLite(folder, cast(Part, part))


def _sim(path: str, progress: Progress) -> Dataset:
    """An integer is a number of views to render, anything else a folder of such views."""
    number = re.fullmatch(r"(\d+)(?:/(\d+))?", path)
    if not number:
        return Synthetic(Path(path))
    if int(number[1]) == 0:
        raise DatasetError(f"sim:{path}: no views; ask for at least one")
    return rendered(int(number[1]), int(number[2] or 0), progress)


def _bdd100k(path: str, _: Progress) -> Dataset:
    return Bdd100k(*_split(path, "images", "train"))


def _coco(path: str, _: Progress) -> Dataset:
    """COCO itself names its splits by year."""
    folder, split = _split(path, "annotations", "")
    official = (folder / "annotations" / "instances_train2017.json").exists()
    return Coco(folder, split or ("train2017" if official else "train"))


def _yolo(path: str, _: Progress) -> Dataset:
    return Yolo(*_split(path, "data.yaml", "train"))


def _nuscenes(path: str, _: Progress) -> Dataset:
    """nuScenes has versions where others have splits; most people have one."""
    folder, version = _split(path, "samples", "")
    found = sorted(one.name for one in folder.glob("v1.0-*"))
    return NuScenes(folder, version or (found[0] if len(found) == 1 else "v1.0-trainval"))


def _dgp(path: str, _: Progress) -> Dataset:
    return Dgp(Path(path))


def _split(path: str, marker: str, default: str) -> tuple[Path, str]:
    """Folder and split of FOLDER/SPLIT, or FOLDER and `default`. FOLDER holds `marker`."""
    folder = Path(path)
    if not (folder / marker).exists() and (folder.parent / marker).exists():
        return folder.parent, folder.name
    return folder, default


_FORMATS = {
    "bdd100k": _Format("FOLDER[/SPLIT]", _bdd100k),
    "camvid": _Format("FOLDER[/SPLIT]", _camvid),
    "coco": _Format("FOLDER[/SPLIT]", _coco),
    "dgp": _Format("FOLDER", _dgp),
    "idd-lite": _Format("FOLDER[/PART]", _idd_lite),
    "nuscenes": _Format("FOLDER[/VERSION]", _nuscenes),
    "sim": _Format("FOLDER or sim:VIEWS[/SEED]", _sim),
    "yolo": _Format("FOLDER[/SPLIT]", _yolo),
}
