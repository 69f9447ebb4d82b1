"""COCO's format in its official layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.data.check import accept, check
from perception.data.coco import Coco
from perception.data.dataset import open_dataset
from perception.errors import DatasetError
from perception.taxonomy import IGNORE, OBJECT_CLASSES
from tests.perception.data.folders import cut, write_image, write_json

JSON = "annotations/instances_val2017.json"
SIZES = {139: (64, 42), 285: (58, 64), 632: (64, 48)}
CATEGORIES = {1: "person", 2: "bicycle", 3: "car", 8: "truck", 10: "traffic light", 16: "bird"}


def annotation(image: int, category: int, *bbox: float, iscrowd: int = 0) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": category,
        "bbox": list(bbox),
        "iscrowd": iscrowd,
        "area": bbox[2] * bbox[3],
        "segmentation": [[0, 0, 1, 0, 1, 1]],
    }


def instances() -> dict[str, Any]:
    images = [
        {"id": n, "file_name": f"{n:012}.jpg", "width": w, "height": h, "license": 3}
        for n, (w, h) in SIZES.items()
    ]
    annotations = [
        annotation(285, 3, 10, 20, 20, 30),
        annotation(139, 8, 0.25, 1.5, 12, 13.5),
        annotation(285, 1, 40, 5, 5, 20),
        annotation(139, 10, 30, 0, 3, 6),
        annotation(139, 3, 40, 10, 20, 12, iscrowd=1),
        annotation(285, 16, 1, 1, 4, 4),
    ]
    categories = [{"id": n, "name": name, "supercategory": ""} for n, name in CATEGORIES.items()]
    return {
        "info": {},
        "images": images,
        "annotations": [dict(one, id=n) for n, one in enumerate(annotations)],
        "categories": categories,
    }


def write(folder: Path) -> Path:
    for n, (width, height) in SIZES.items():
        write_image(folder / f"val2017/{n:012}.jpg", width, height)
    write_json(folder / JSON, instances())
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def learnt(dataset: Coco, index: int) -> dict[str, list[float]]:
    objects = dataset.sample(index).objects
    return {
        OBJECT_CLASSES[kind]: box
        for box, kind, ignore in zip(
            objects.boxes.tolist(), objects.classes, objects.ignore, strict=True
        )
        if not ignore
    }


def ignored(dataset: Coco, index: int) -> list[list[float]]:
    objects = dataset.sample(index).objects
    return np.unique(objects.boxes[objects.ignore], axis=0).tolist()


def test_boxes(folder: Path) -> None:
    dataset = Coco(folder, "val2017")
    assert (dataset.name, len(dataset), dataset.labels) == ("coco/val2017", 3, ())
    assert learnt(dataset, 0) == {"vehicle": [-0.25, 1.0, 11.75, 14.5]}
    assert ignored(dataset, 0) == [[39.5, 9.5, 59.5, 21.5]]  # the crowd
    assert learnt(dataset, 1) == {
        "vehicle": [9.5, 19.5, 29.5, 49.5],
        "pedestrian": [39.5, 4.5, 44.5, 24.5],
    }
    assert ignored(dataset, 1) == [[0.5, 0.5, 4.5, 4.5]]  # a bird is none of ours
    assert len(dataset.sample(2).objects) == 0
    sample = dataset.sample(1)
    assert sample.image.shape == (64, 58, 3)
    assert sample.labels.shape == (64, 58) and (sample.labels == IGNORE).all()


def test_a_moved_box_moves(folder: Path) -> None:
    content = instances()
    content["annotations"][0]["bbox"][0] += 3
    write_json(folder / JSON, content)
    assert learnt(Coco(folder, "val2017"), 1)["vehicle"] == [12.5, 19.5, 32.5, 49.5]


def test_who_may_be_riding_is_ignored(folder: Path) -> None:
    content = instances()
    content["annotations"].append(annotation(285, 2, 38, 15, 12, 15))
    write_json(folder / JSON, content)
    dataset = Coco(folder, "val2017")
    assert learnt(dataset, 1) == {"vehicle": [9.5, 19.5, 29.5, 49.5]}
    assert [37.5, 14.5, 49.5, 29.5] in ignored(dataset, 1)
    assert [39.5, 4.5, 44.5, 24.5] in ignored(dataset, 1)


def test_a_category_for_cyclists_says_that_the_others_walk(folder: Path) -> None:
    content = instances()
    content["annotations"].append(annotation(285, 2, 38, 15, 12, 15))
    content["categories"].append({"id": 99, "name": "cyclist"})
    content["annotations"].append(annotation(285, 99, 1, 30, 8, 20))
    write_json(folder / JSON, content)
    assert learnt(Coco(folder, "val2017"), 1) == {
        "vehicle": [9.5, 19.5, 29.5, 49.5],
        "pedestrian": [39.5, 4.5, 44.5, 24.5],
        "cyclist": [0.5, 29.5, 8.5, 49.5],
    }


def test_opened_by_name(folder: Path) -> None:
    assert open_dataset(f"coco:{folder}/val2017").name == "coco/val2017"
    with pytest.raises(DatasetError, match=r"instances_train\.json: No such file"):
        open_dataset(f"coco:{folder}")
    write_json(folder / "annotations/instances_train2017.json", instances())
    assert open_dataset(f"coco:{folder}").name == "coco/train2017"


def _edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def spoil(folder: Path) -> None:
        content = instances()
        change(content)
        write_json(folder / JSON, content)

    return spoil


def _add(*values: Any) -> Callable[[Path], Any]:
    return _edit(lambda content: content["annotations"].append(annotation(*values)))


IMAGE = "val2017/000000000285.jpg"
BROKEN_SAMPLES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "image gone": (lambda f: (f / IMAGE).unlink(), r"285\.jpg: No such file"),
    "image cut": (lambda f: cut(f / IMAGE), r"285\.jpg: damaged"),
    "image of another size": (
        lambda f: write_image(f / IMAGE, 64, 58),
        r"285\.jpg: is 64x58, but its annotation says 58x64",
    ),
    "unknown category": (_add(285, 77, 1, 1, 2, 2), r"285\.jpg: unknown category 77"),
    "empty box": (_add(285, 3, 1, 1, 0, 2), r"285\.jpg: box .* is empty"),
    "box outside": (_add(285, 3, 60, 1, 5, 2), r"285\.jpg: box .* lies outside"),
    "box not finite": (_add(285, 3, 1, float("nan"), 5, 2), r"285\.jpg: box .* is not finite"),
}


@pytest.mark.parametrize("case", BROKEN_SAMPLES)
def test_a_broken_sample_is_named_and_the_rest_goes_on(folder: Path, case: str) -> None:
    spoil, message = BROKEN_SAMPLES[case]
    spoil(folder)
    checked = check(Coco(folder, "val2017"))
    with pytest.raises(DatasetError, match=f"^1 of 3 samples are bad, .*{message}"):
        accept([checked], skip_bad=False)
    [rest] = accept([checked], skip_bad=True)
    assert [Path(source).stem for source in rest.sources] == ["000000000139", "000000000632"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: cut(f / JSON), r"val2017\.json: file: Invalid JSON"),
        (_edit(lambda c: c.update(images=[], annotations=[])), "lists no images"),
        (_edit(lambda c: c["images"][0].pop("width")), r"images\.0\.width: "),
        (_add(77, 3, 1, 1, 2, 2), "annotates image 77, which it does not list"),
        (_edit(lambda c: c.update(categories=[{"id": 1, "name": "cat"}])), r"classes \(cat\)"),
    ],
)
def test_a_broken_file_is_no_dataset(
    folder: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(folder)
    with pytest.raises(DatasetError, match=message):
        Coco(folder, "val2017")
