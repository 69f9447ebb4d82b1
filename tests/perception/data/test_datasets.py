"""Reading datasets: what arrives, and one line for every way in which a folder can be broken."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from perception.data.camvid import LABELS, CamVid, boxes_from_labels
from perception.data.dataset import Dataset, open_dataset
from perception.data.label_sets import label_matrix
from perception.data.synthetic import Synthetic
from perception.errors import DatasetError
from perception.taxonomy import IGNORE, OBJECT_CLASSES, SCENE_CLASSES
from tests.perception.data.folders import cut, synthetic_index, write_camvid, write_synthetic

CAR, PEDESTRIAN, ROAD = (LABELS.index(n) for n in ("car", "pedestrian", "road"))


def test_camvid_sample(tmp_path: Path) -> None:
    dataset = CamVid(write_camvid(tmp_path))
    assert (dataset.name, len(dataset), dataset.buckets) == ("camvid/val", 2, ("large",) * 2)
    sample = dataset.sample(1)
    assert sample.image.shape == (90, 120, 3) and sample.source == dataset.sources[1]
    assert sample.labels[80, 0] == ROAD
    np.testing.assert_array_equal(sample.objects.boxes, [[29.5, 39.5, 59.5, 59.5]])
    assert sample.objects.classes.tolist() == [OBJECT_CLASSES.index("vehicle")]
    assert not sample.objects.ignore.any() and np.isnan(sample.objects.ground_points).all()


def test_open_dataset_finds_the_split(tmp_path: Path) -> None:
    write_camvid(tmp_path, split="train")
    write_camvid(tmp_path, split="val")
    assert open_dataset(f"camvid:{tmp_path}").name == "camvid/train"
    assert open_dataset(f"camvid:{tmp_path}/val").name == "camvid/val"
    assert open_dataset(f"sim:{write_synthetic(tmp_path / 'sim')}").box_origin == "exact"


@pytest.mark.parametrize("text", ["camvid", "camvid:", "kitti:/data", ""])
def test_open_dataset_refuses_and_lists_what_there_is(text: str) -> None:
    with pytest.raises(DatasetError, match="NAME:PATH") as caught:
        open_dataset(text)
    for name in ("bdd100k", "camvid", "coco", "dgp", "idd-lite", "nuscenes", "sim", "yolo"):
        assert f"{name}:" in str(caught.value)


def _ignored(draw: Callable[[np.ndarray], None]) -> list[bool]:
    labels = np.full((120, 160), ROAD, np.uint8)
    draw(labels)
    return boxes_from_labels(labels).ignore.tolist()


def _fill(y: slice, x: slice, label: int) -> Callable[[np.ndarray], None]:
    def draw(labels: np.ndarray) -> None:
        labels[y, x] = label

    return draw


def _two_cars_touching(labels: np.ndarray) -> None:
    labels[60:100, 20:70] = CAR
    labels[40:65, 70:110] = CAR


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (_fill(slice(40, 80), slice(20, 80), CAR), [False]),
        (_fill(slice(40, 49), slice(20, 30), CAR), [True]),  # low
        (_fill(slice(40, 60), slice(20, 80), CAR), [True]),  # broad
        (_two_cars_touching, [True]),  # loose
        (_fill(slice(40, 41), slice(20, 23), CAR), []),  # a speck
        (_fill(slice(40, 80), slice(20, 35), PEDESTRIAN), [False]),
        (_fill(slice(40, 80), slice(20, 60), PEDESTRIAN), [True]),  # broad
    ],
)
def test_merged_and_small_components_are_ignored(
    draw: Callable[[np.ndarray], None], expected: list[bool]
) -> None:
    assert _ignored(draw) == expected


def test_what_is_not_annotated_may_hold_any_object() -> None:
    """Masks of one's own that know the road alone must not teach that nothing stands beside it."""
    labels = np.full((60, 80), IGNORE, np.uint8)
    labels[40:] = ROAD
    objects = boxes_from_labels(labels)
    assert objects.ignore.all() and objects.classes.tolist() == [0, 1, 2]
    assert np.unique(objects.boxes, axis=0).tolist() == [[-0.5, -0.5, 79.5, 39.5]]


def test_real_camvid(shared_data: Path) -> None:
    dataset = open_dataset(f"camvid:{shared_data}/camvid/val")
    assert len(dataset) == 101
    sample = dataset.sample(50)
    assert sample.image.shape == (360, 480, 3)
    # Every mask-derived box bounds pixels of its own label.
    label_of_class = [CAR, PEDESTRIAN, LABELS.index("bicyclist")]
    assert len(sample.objects) > 0
    for box, label in zip(sample.objects.boxes, sample.objects.classes, strict=True):
        x0, y0, x1, y1 = (box + 0.5).astype(int)
        inside = sample.labels[y0:y1, x0:x1] == label_of_class[label]
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_synthetic_sample(tmp_path: Path) -> None:
    dataset = Synthetic(write_synthetic(tmp_path / "sim"))
    assert dataset.buckets == ("large", "small")
    assert dataset.label_to_scene[0] == {"drivable"}
    sample = dataset.sample(0)
    assert sample.camera == "main"
    np.testing.assert_array_equal(
        sample.objects.boxes, [[59.5, 49.5, 99.5, 79.5], [9.5, 39.5, 19.5, 69.5]]
    )
    assert sample.objects.classes.tolist() == [0, 1]
    assert sample.objects.ignore.tolist() == [False, True]
    np.testing.assert_array_equal(sample.objects.ground_points, [[80, 90], [np.nan, np.nan]])
    assert dataset.sample(1).objects.boxes.shape == (0, 4)


def test_synthetic_frame_before(tmp_path: Path) -> None:
    index = synthetic_index()
    index["views"][0]["previous"] = "images/left_pillar.jpg"
    dataset = Synthetic(write_synthetic(tmp_path / "sim", index))
    assert dataset.sample(1).previous is None
    sample = dataset.sample(0)
    np.testing.assert_array_equal(sample.previous, dataset.sample(1).image)
    assert not np.array_equal(sample.previous, sample.image)
    cv2.imwrite(str(tmp_path / "sim/images/left_pillar.jpg"), np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"left_pillar.jpg: is 80x60, the frame after it 160x1"):
        dataset.sample(0)


def test_synthetic_labels_go_by_name(tmp_path: Path) -> None:
    """A folder written with another class order keeps its meaning."""
    index = synthetic_index()
    index["scene_classes"].reverse()
    dataset = Synthetic(write_synthetic(tmp_path / "sim", index))
    assert dataset.label_to_scene[0] == {SCENE_CLASSES[-1]}
    assert dataset.labels[-1] == "drivable"


def _claim_huge(path: Path) -> None:
    """A sound PNG, except that its header lies about the size."""
    png = bytearray(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1])
    png[16:24] = (200_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    path.write_bytes(png + b"\xff\xd9")


def _write_labels(path: Path, labels: np.ndarray) -> None:
    cv2.imwrite(str(path), labels)


BROKEN_FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (lambda f: f.rename(f.with_name("moved")), "no such folder"),
    "no annotations": (
        lambda f: f.with_name("valannot").rename(f.with_name("moved")),
        "valannot: no such folder",
    ),
    "empty": (lambda f: [p.unlink() for p in f.iterdir()], r"no image there \(\.jpg"),
}


@pytest.mark.parametrize("case", BROKEN_FOLDERS)
def test_camvid_checks_the_folder_when_opened(tmp_path: Path, case: str) -> None:
    spoil, message = BROKEN_FOLDERS[case]
    folder = write_camvid(tmp_path)
    spoil(folder)
    _assert_one_line(lambda: CamVid(folder), message)


BROKEN_FILES: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "image cut": (lambda image, _: cut(image), r"1\.jpg: damaged"),
    "image empty": (lambda image, _: image.write_bytes(b""), r"1\.jpg: damaged image of 0 bytes"),
    "image is text": (lambda image, _: image.write_text("hello"), r"1\.jpg: damaged"),
    "image gone": (lambda image, _: image.unlink(), r"1\.jpg: No such file"),
    "image of 40 gigapixels": (lambda image, _: _claim_huge(image), r"1\.jpg: damaged"),
    "labels gone": (lambda _, labels: labels.unlink(), r"1\.png: No such file"),
    "labels cut": (lambda _, labels: cut(labels), r"1\.png: damaged"),
    "labels of other size": (
        lambda _, labels: _write_labels(labels, np.zeros((45, 60), np.uint8)),
        r"1\.png: 60x45, but its image is 120x90",
    ),
    "labels in colour": (
        lambda _, labels: _write_labels(labels, np.zeros((90, 120, 3), np.uint8)),
        r"1\.png: 3 x uint8 a pixel",
    ),
    "labels of 16 bit": (
        lambda _, labels: _write_labels(labels, np.zeros((90, 120), np.uint16)),
        r"1\.png: 1 x uint16 a pixel",
    ),
    "unknown label": (
        lambda _, labels: _write_labels(labels, np.full((90, 120), 12, np.uint8)),
        r"1\.png: unknown label value 12",
    ),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_broken_file_costs_one_line(tmp_path: Path, case: str) -> None:
    spoil, message = BROKEN_FILES[case]
    dataset = CamVid(write_camvid(tmp_path))
    spoil(tmp_path / "val" / "1.jpg", tmp_path / "valannot" / "1.png")
    dataset.sample(0)
    _assert_one_line(lambda: dataset.sample(1), message)


def _change(**change: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda index: index.update(change)


def _change_object(**change: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda index: index["views"][0]["objects"][0].update(change)


BROKEN_INDEXES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no views": (_change(views=[]), "holds no views"),
    "views missing": (lambda index: index.pop("views"), "views: Field required"),
    "unknown scene class": (_change(scene_classes=["lava"]), "unknown scene class 'lava'"),
    "unknown object": (_change_object(**{"class": "ufo"}), r"objects\.0: .*'ufo'"),
    "box NaN": (_change_object(box=[0, 0, float("nan"), 9]), r"box\.2: .*finite"),
    "box empty": (_change_object(box=[9, 0, 9, 9]), "is empty"),
    "box of three": (_change_object(box=[0, 0, 9]), r"box"),
}


@pytest.mark.parametrize("case", BROKEN_INDEXES)
def test_synthetic_checks_the_index_when_opened(tmp_path: Path, case: str) -> None:
    spoil, message = BROKEN_INDEXES[case]
    index = synthetic_index()
    spoil(index)
    folder = write_synthetic(tmp_path / "sim", index)
    _assert_one_line(lambda: Synthetic(folder), message)


@pytest.mark.parametrize("part", ["images", "labels"])
def test_a_view_that_is_gone_costs_one_line(tmp_path: Path, part: str) -> None:
    folder = write_synthetic(tmp_path / "sim")
    [gone] = (folder / part).glob("left_pillar.*")
    gone.unlink()
    dataset = Synthetic(folder)
    dataset.sample(0)
    _assert_one_line(lambda: dataset.sample(1), rf"{gone.name}: No such file")


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff\xfe", b'{"views": '])
def test_synthetic_index_is_no_json(tmp_path: Path, text: bytes) -> None:
    folder = write_synthetic(tmp_path / "sim")
    (folder / "index.json").write_bytes(text)
    _assert_one_line(lambda: Synthetic(folder), r"index\.json: file: ")


def test_synthetic_folder_missing(tmp_path: Path) -> None:
    _assert_one_line(lambda: Synthetic(tmp_path / "none"), "No such file")


def test_index_survives_unknown_keys(tmp_path: Path) -> None:
    folder = write_synthetic(tmp_path / "sim")
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"made_by": "someone"}))
    dataset: Dataset = Synthetic(folder)
    assert len(dataset) == 2


def test_label_matrix() -> None:
    sets = (frozenset({"a"}), frozenset({"b", "c"}), frozenset[str]())
    np.testing.assert_array_equal(
        label_matrix(sets, ("a", "b", "c")), [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    )
    with pytest.raises(DatasetError, match=r"label 1 .*'c'"):
        label_matrix(sets, ("a", "b"))


def _assert_one_line(action: Callable[[], object], message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        action()
    assert "\n" not in str(caught.value)
