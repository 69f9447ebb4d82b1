"""YOLO's text files in Ultralytics' layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.data.check import accept, check
from perception.data.dataset import open_dataset
from perception.data.yolo import Yolo
from perception.errors import DatasetError
from perception.taxonomy import OBJECT_CLASSES
from tests.perception.data.folders import cut, write_image

YAML = """\
path: .
train: images/train
names:
  0: car
  1: person
  2: cyclist
  5: wheelbarrow
"""
SIZES = {"a": (100, 50), "b": (64, 48), "c": (40, 80)}


def write(folder: Path) -> Path:
    for name, (width, height) in SIZES.items():
        write_image(folder / f"images/train/{name}.png", width, height)
    (folder / "data.yaml").write_text(YAML)
    labels = folder / "labels/train"
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text("0 0.5 0.5 0.2 0.4\n1 0.05 0.1 0.1 0.2\n\n5 0.8 0.8 0.1 0.1\n")
    (labels / "c.txt").write_text("2 0.25 0.5 0.5 1.0")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def test_boxes(folder: Path) -> None:
    dataset = Yolo(folder, "train")
    assert (dataset.name, len(dataset)) == ("yolo/train", 3)
    objects = dataset.sample(0).objects
    kept = ~objects.ignore
    np.testing.assert_allclose(
        objects.boxes[kept], [[39.5, 14.5, 59.5, 34.5], [-0.5, -0.5, 9.5, 9.5]], atol=1e-5
    )
    assert [OBJECT_CLASSES[kind] for kind in objects.classes[kept]] == ["vehicle", "pedestrian"]
    np.testing.assert_allclose(  # a wheelbarrow is none of ours
        objects.boxes[~kept], [[74.5, 37.0, 84.5, 42.0]] * len(OBJECT_CLASSES), atol=1e-5
    )
    assert len(dataset.sample(1).objects) == 0  # has no text file
    # Parts of a high image: width and height are not exchanged.
    tall = dataset.sample(2).objects
    np.testing.assert_allclose(tall.boxes, [[-0.5, -0.5, 19.5, 79.5]], atol=1e-5)
    assert tall.classes.tolist() == [OBJECT_CLASSES.index("cyclist")]


def test_a_moved_box_moves(folder: Path) -> None:
    (folder / "labels/train/c.txt").write_text("2 0.5 0.5 0.5 1.0")
    box = Yolo(folder, "train").sample(2).objects.boxes[0]
    np.testing.assert_allclose(box, [9.5, -0.5, 29.5, 79.5], atol=1e-5)


def test_names_as_a_list(folder: Path) -> None:
    (folder / "data.yaml").write_text("nc: 3\nnames: [person, car, bicycle]\n")
    (folder / "labels/train/a.txt").write_text("1 0.5 0.5 0.2 0.4")
    objects = Yolo(folder, "train").sample(0).objects
    assert objects.classes.tolist() == [OBJECT_CLASSES.index("vehicle")]


def test_opened_by_name(folder: Path) -> None:
    assert open_dataset(f"yolo:{folder}").name == "yolo/train"
    (folder / "images/train").rename(folder / "images/night")
    (folder / "labels/train").rename(folder / "labels/night")
    assert open_dataset(f"yolo:{folder}/night").name == "yolo/night"


def _line(text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / "labels/train/a.txt").write_text(f"0 0.5 0.5 0.2 0.4\n{text}")


BROKEN_SAMPLES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "image cut": (lambda f: cut(f / "images/train/a.png"), r"a\.png: damaged"),
    "unknown class": (_line("3 0.5 0.5 0.2 0.4"), r"a\.txt: line 2: unknown class 3"),
    "four numbers": (_line("0 0.5 0.5 0.2"), r"a\.txt: line 2: .* is not: class x y"),
    "a polygon": (_line("0 0.1 0.1 0.2 0.2 0.3 0.3"), r"a\.txt: line 2: .* is not: class"),
    "a name": (_line("car 0.5 0.5 0.2 0.2"), r"a\.txt: line 2: .* is not: class"),
    "pixels": (_line("0 50 25 20 20"), r"a\.txt: line 2: .* is not in parts"),
    "NaN": (_line("0 nan 0.5 0.2 0.2"), r"a\.txt: line 2: .* is not in parts"),
    "empty box": (_line("0 0.5 0.5 0 0.2"), r"a\.png: box .* is empty"),
    "no text": (
        lambda f: (f / "labels/train/a.txt").write_bytes(b"\xff\xfe"),
        r"a\.txt: can't be read",
    ),
}


@pytest.mark.parametrize("case", BROKEN_SAMPLES)
def test_a_broken_sample_is_named_and_the_rest_goes_on(folder: Path, case: str) -> None:
    spoil, message = BROKEN_SAMPLES[case]
    spoil(folder)
    checked = check(Yolo(folder, "train"))
    with pytest.raises(DatasetError, match=f"^1 of 3 samples are bad, .*{message}"):
        accept([checked], skip_bad=False)
    [rest] = accept([checked], skip_bad=True)
    assert [Path(source).stem for source in rest.sources] == ["b", "c"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "data.yaml").unlink(), r"data\.yaml: can't be read .*No such file"),
        (lambda f: (f / "data.yaml").write_text("names: ["), r"data\.yaml: can't be read"),
        (lambda f: (f / "data.yaml").write_text("nc: 3"), r"data\.yaml: names is no list"),
        (lambda f: (f / "data.yaml").write_text("names: [cat]"), r"none of its classes \(cat\)"),
        (lambda f: (f / "labels").rename(f / "moved"), "labels/train: has no text file"),
        (lambda f: (f / "images").rename(f / "moved"), "images/train: no such folder"),
    ],
)
def test_a_broken_folder_is_no_dataset(
    folder: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(folder)
    with pytest.raises(DatasetError, match=message) as caught:
        Yolo(folder, "train")
    assert "\n" not in str(caught.value)
