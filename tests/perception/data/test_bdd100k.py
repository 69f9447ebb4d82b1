"""BDD100K in its official layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from perception.data.bdd100k import Bdd100k
from perception.data.check import accept, check
from perception.data.dataset import open_dataset
from perception.errors import DatasetError
from perception.taxonomy import IGNORE, OBJECT_CLASSES, SCENE_CLASSES
from tests.perception.data.folders import cut, write_image, write_json

NAMES = ("0000f77c-6257be58", "0000f77c-62c2a288", "0000f77c-cb820c98", "0001542f-5ce3cf52")
SIZES = ((128, 72), (128, 72), (64, 36), (128, 72))


def label(category: str, *corners: float, **attributes: bool) -> dict[str, Any]:
    box = dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))
    return {"id": "1", "category": category, "attributes": attributes, "box2d": box}


def frames() -> list[dict[str, Any]]:
    """Of the first three images; the last is in no detection file, as some official ones are."""
    return [
        {
            "name": f"{NAMES[0]}.jpg",
            "attributes": {"weather": "clear", "timeofday": "daytime", "scene": "city street"},
            "timestamp": 10000,
            "labels": [
                label("car", 10, 20, 29, 49, occluded=False, truncated=False, crowd=False),
                label("rider", 60, 10, 69, 39, occluded=True),
                label("bicycle", 55, 25, 74, 44),
                label("motorcycle", 100, 30, 119, 49),
                label("pedestrian", 80, 10, 85, 30, crowd=True),
                label("traffic sign", 0, 0, 5, 5),
            ],
        },
        {"name": f"{NAMES[1]}.jpg", "labels": None},
        {
            "name": f"{NAMES[2]}.jpg",
            "labels": [label("person", 3.5, 4.5, 7.5, 20), {"category": "lane", "poly2d": []}],
        },
    ]


def write(folder: Path) -> Path:
    for k, (name, (width, height)) in enumerate(zip(NAMES, SIZES, strict=True)):
        write_image(folder / f"images/100k/val/{name}.jpg", width, height, 20 * k)
        mask = np.full((height, width), 2, np.uint8)
        mask[height // 2 :, : width // 2] = 0
        mask[height // 2 :, width // 2 :] = 1
        mask[0, 0] = 255
        path = folder / f"labels/drivable/masks/val/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), mask)
    write_json(folder / "labels/det_20/det_val.json", frames())
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def test_areas_and_boxes(folder: Path) -> None:
    dataset = Bdd100k(folder, "val")
    assert (dataset.name, len(dataset)) == ("bdd100k/val", 4)
    assert dataset.label_to_scene == ({"drivable"}, set(SCENE_CLASSES) - {"drivable"})
    sample = dataset.sample(0)
    assert sample.labels.shape == (72, 128)
    assert [sample.labels[y, x] for y, x in ((0, 0), (10, 10), (50, 10), (50, 100))] == [
        IGNORE,
        dataset.labels.index("background"),
        dataset.labels.index("drivable"),  # direct
        dataset.labels.index("drivable"),  # alternative
    ]
    objects = sample.objects
    learnt = {
        OBJECT_CLASSES[kind]: box.tolist()
        for box, kind in zip(
            objects.boxes[~objects.ignore], objects.classes[~objects.ignore], strict=True
        )
    }
    # The rider and the bicycle under them are one cyclist; the other machine has no rider.
    assert learnt == {"vehicle": [9.5, 19.5, 29.5, 49.5], "cyclist": [54.5, 9.5, 74.5, 44.5]}
    ignored = np.unique(objects.boxes[objects.ignore], axis=0).tolist()
    assert ignored == [[79.5, 9.5, 85.5, 30.5], [99.5, 29.5, 119.5, 49.5]]


def test_images_without_objects_and_of_another_size(folder: Path) -> None:
    dataset = Bdd100k(folder, "val")
    assert len(dataset.sample(1).objects) == 0
    np.testing.assert_array_equal(dataset.sample(2).objects.boxes, [[3, 4, 8, 20.5]])
    assert dataset.sample(2).image.shape == (36, 64, 3)


def test_an_image_of_no_detection_file_teaches_no_background(folder: Path) -> None:
    objects = Bdd100k(folder, "val").sample(3).objects
    assert objects.ignore.all() and set(objects.classes) == {0, 1, 2}
    assert np.unique(objects.boxes, axis=0).tolist() == [[-0.5, -0.5, 127.5, 71.5]]


def test_a_moved_box_moves(folder: Path) -> None:
    content = frames()
    content[2]["labels"][0]["box2d"]["x1"] -= 2
    write_json(folder / "labels/det_20/det_val.json", content)
    box = Bdd100k(folder, "val").sample(2).objects.boxes[0]
    np.testing.assert_array_equal(box, [1, 4, 8, 20.5])


def test_opened_by_name(folder: Path) -> None:
    assert open_dataset(f"bdd100k:{folder}/val").name == "bdd100k/val"
    with pytest.raises(DatasetError, match="masks/train: no such folder"):
        open_dataset(f"bdd100k:{folder}")


def _edit(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Path], Any]:
    def spoil(folder: Path) -> None:
        content = frames()
        change(content)
        write_json(folder / "labels/det_20/det_val.json", content)

    return spoil


MASK = f"labels/drivable/masks/val/{NAMES[0]}.png"
BROKEN_SAMPLES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "image cut": (lambda f: cut(f / f"images/100k/val/{NAMES[0]}.jpg"), r"58\.jpg: damaged"),
    "mask gone": (lambda f: (f / MASK).unlink(), r"58\.png: No such file"),
    "mask in colour": (lambda f: write_image(f / MASK, 128, 72), r"58\.png: 3 x uint8"),
    "mask of another size": (
        lambda f: cv2.imwrite(str(f / MASK), np.full((36, 64), 2, np.uint8)),
        r"58\.png: 64x36, but its image is 128x72",
    ),
    "unknown area": (
        lambda f: cv2.imwrite(str(f / MASK), np.full((72, 128), 3, np.uint8)),
        "unknown label value 3",
    ),
    "unknown category": (
        _edit(lambda c: c[0]["labels"].append(label("ufo", 1, 1, 2, 2))),
        r"58\.jpg: unknown category 'ufo'",
    ),
    "box outside": (
        _edit(lambda c: c[0]["labels"].append(label("car", 200, 1, 220, 2))),
        r"58\.jpg: box .* lies outside",
    ),
    "box inside out": (
        _edit(lambda c: c[0]["labels"].append(label("car", 20, 1, 10, 2))),
        r"58\.jpg: box .* is empty",
    ),
}


@pytest.mark.parametrize("case", BROKEN_SAMPLES)
def test_a_broken_sample_is_named_and_the_rest_goes_on(folder: Path, case: str) -> None:
    spoil, message = BROKEN_SAMPLES[case]
    spoil(folder)
    checked = check(Bdd100k(folder, "val"))
    with pytest.raises(DatasetError, match=f"^1 of 4 samples are bad, .*{message}"):
        accept([checked], skip_bad=False)
    [rest] = accept([checked], skip_bad=True)
    assert [Path(source).stem for source in rest.sources] == list(NAMES[1:])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: cut(f / "labels/det_20/det_val.json"), r"det_val\.json: file: Invalid JSON"),
        (lambda f: (f / "labels/det_20/det_val.json").unlink(), r"det_val\.json: No such file"),
        (_edit(lambda c: c[0].pop("name")), r"det_val\.json: 0\.name: "),
        (lambda f: (f / "images").rename(f / "moved"), "images/100k/val: no such folder"),
    ],
)
def test_a_broken_folder_is_no_dataset(
    folder: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(folder)
    with pytest.raises(DatasetError, match=message):
        Bdd100k(folder, "val")
