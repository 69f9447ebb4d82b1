"""DGP's 2D boxes, in scenes written as the format has them, and in a real one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.data.check import accept, check
from perception.data.dataset import open_dataset
from perception.data.dgp import Dgp
from perception.errors import DatasetError
from perception.taxonomy import OBJECT_CLASSES
from tests.perception.data.folders import cut, write_image, write_json

LABELS = ("Person", "Truck", "Car", "Motorcycle", "Wheeled Slow", "Trailer")
CAMERAS = ("CAMERA_01", "CAMERA_05", "CAMERA_06")


def annotation(label: str, **box: int) -> dict[str, Any]:
    """As protobuf's JSON: what is zero is left out."""
    content: dict[str, Any] = {"box": box, "instance_id": 7, "area": 1}
    if LABELS.index(label):
        content["class_id"] = LABELS.index(label)
    return content


BOXES = {
    "CAMERA_01": [
        annotation("Car", x=20, y=10, w=30, h=20),
        annotation("Person", y=5, w=8, h=16),  # x is zero
        annotation("Trailer", x=60, y=10, w=10, h=10),
        annotation("Wheeled Slow", x=75, y=10, w=4, h=6),
        annotation("Truck", x=52, y=12, w=6, h=6) | {"iscrowd": True},
    ],
    "CAMERA_05": [],
    "CAMERA_06": [annotation("Truck", x=1, y=2, w=3, h=4)],
}


def write_scene(folder: Path, boxes: dict[str, list[dict[str, Any]]] | None = None) -> Path:
    """One instant of three cameras of different sizes, and a lidar."""
    data = []
    for k, camera in enumerate(CAMERAS):
        write_image(folder / f"rgb/{camera}/1.jpg", 80 + k, 50, shade=k)
        write_json(
            folder / f"bounding_box_2d/{camera}/2.json", {"annotations": (boxes or BOXES)[camera]}
        )
        image = {
            "filename": f"rgb/{camera}/1.jpg",
            "width": 80 + k,
            "height": 50,
            "annotations": {"0": f"bounding_box_2d/{camera}/2.json"},
        }
        data.append(datum(camera, {"image": image}))
    data.append(datum("LIDAR", {"point_cloud": {"filename": "point_cloud/1.npz"}}))
    sample = {
        "id": {"timestamp": "2019-06-27T06:00:25Z"},
        "datum_keys": [one["key"] for one in data],
        "calibration_key": "c",
    }
    scene = {"samples": [sample], "data": data, "ontologies": {"0": "o"}}
    write_json(folder / "scene_fe9f29d3.json", scene)
    items = [{"id": n, "name": name} for n, name in enumerate(LABELS)]
    write_json(folder / "ontology/o.json", {"items": items})
    return folder


def datum(sensor: str, value: dict[str, Any]) -> dict[str, Any]:
    identity = {"name": sensor, "timestamp": "2019-06-27T06:00:25Z"}
    return {"id": identity, "key": f"key {sensor}", "datum": value}


def test_boxes(tmp_path: Path) -> None:
    dataset = Dgp(write_scene(tmp_path / "scene"))
    assert (dataset.name, len(dataset)) == ("dgp/scene", 3)
    sample = dataset.sample(0)
    assert sample.camera == "CAMERA_01"
    objects = sample.objects
    kept = ~objects.ignore
    assert objects.boxes[kept].tolist() == [[19.5, 9.5, 49.5, 29.5], [-0.5, 4.5, 7.5, 20.5]]
    assert [OBJECT_CLASSES[kind] for kind in objects.classes[kept]] == ["vehicle", "pedestrian"]
    assert np.unique(objects.boxes[~kept], axis=0).tolist() == [
        [51.5, 11.5, 57.5, 17.5],  # a crowd
        [59.5, 9.5, 69.5, 19.5],  # a trailer
        [74.5, 9.5, 78.5, 15.5],  # none of ours
    ]
    assert len(dataset.sample(1).objects) == 0
    assert dataset.sample(2).camera == "CAMERA_06"
    assert dataset.sample(2).objects.boxes.tolist() == [[0.5, 1.5, 3.5, 5.5]]


def test_a_moved_box_moves(tmp_path: Path) -> None:
    moved = BOXES | {"CAMERA_06": [annotation("Truck", x=6, y=2, w=3, h=4)]}
    objects = Dgp(write_scene(tmp_path, moved)).sample(2).objects
    assert objects.boxes.tolist() == [[5.5, 1.5, 8.5, 5.5]]


def test_all_scenes_of_a_folder(tmp_path: Path) -> None:
    for name in ("000000", "000001"):
        write_scene(tmp_path / name)
    dataset = open_dataset(f"dgp:{tmp_path}")
    assert len(dataset) == 6
    assert [Path(source).parts[-4] for source in dataset.sources] == ["000000"] * 3 + ["000001"] * 3


def test_what_the_lidar_did_not_see_is_ignored(tmp_path: Path) -> None:
    """Boxes are projected through walls. The other images here have no 3D boxes to tell."""
    boxes = {camera: [annotation("Car", x=20, y=10, w=30, h=20)] for camera in CAMERAS}
    boxes["CAMERA_01"].append(annotation("Car", x=52, y=10, w=9, h=9) | {"instance_id": 8})
    write_scene(tmp_path, boxes)
    path = tmp_path / "scene_fe9f29d3.json"
    scene = json.loads(path.read_text())
    scene["data"][0]["datum"]["image"]["annotations"]["1"] = "bounding_box_3d/CAMERA_01/3.json"
    write_json(path, scene)
    seen = [{"instance_id": 7, "num_points": 3, "box": {}}, {"instance_id": 8, "num_points": 2}]
    file = write_json(tmp_path / "bounding_box_3d/CAMERA_01/3.json", {"annotations": seen})
    dataset = Dgp(tmp_path)
    objects = dataset.sample(0).objects
    assert objects.boxes[~objects.ignore].tolist() == [[19.5, 9.5, 49.5, 29.5]]
    assert objects.boxes[objects.ignore].tolist() == [[51.5, 9.5, 60.5, 18.5]] * 3
    assert not dataset.sample(1).objects.ignore.any()
    file.unlink()
    with pytest.raises(DatasetError, match=r"01/3\.json: No such file"):
        dataset.sample(0)


def _boxes(content: object) -> Callable[[Path], Any]:
    return lambda folder: write_json(
        folder / "bounding_box_2d/CAMERA_01/2.json", {"annotations": [content]}
    )


BROKEN_SAMPLES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "image cut": (lambda f: cut(f / "rgb/CAMERA_01/1.jpg"), r"_01/1\.jpg: damaged"),
    "image of another size": (
        lambda f: write_image(f / "rgb/CAMERA_01/1.jpg", 50, 80),
        r"_01/1\.jpg: is 50x80, but its annotation says 80x50",
    ),
    "boxes gone": (
        lambda f: (f / "bounding_box_2d/CAMERA_01/2.json").unlink(),
        r"_01/2\.json: No such file",
    ),
    "boxes cut": (lambda f: cut(f / "bounding_box_2d/CAMERA_01/2.json"), r"2\.json: file: Invalid"),
    "unknown class": (
        _boxes({"class_id": 9, "box": {"w": 1, "h": 1}}),
        r"2\.json: unknown class 9",
    ),
    "empty box": (_boxes({"box": {"x": 4, "h": 1}}), r"_01/1\.jpg: box .* is empty"),
    "box outside": (_boxes({"box": {"x": 80, "w": 1, "h": 1}}), r"_01/1\.jpg: box .* lies outside"),
}


@pytest.mark.parametrize("case", BROKEN_SAMPLES)
def test_a_broken_sample_is_named_and_the_rest_goes_on(tmp_path: Path, case: str) -> None:
    spoil, message = BROKEN_SAMPLES[case]
    spoil(write_scene(tmp_path))
    checked = check(Dgp(tmp_path))
    with pytest.raises(DatasetError, match=f"^1 of 3 samples are bad, .*{message}"):
        accept([checked], skip_bad=False)
    [rest] = accept([checked], skip_bad=True)
    assert [Path(source).parent.name for source in rest.sources] == ["CAMERA_05", "CAMERA_06"]


def _scene(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def spoil(folder: Path) -> None:
        image = {"image": {"filename": "rgb/CAMERA_01/1.jpg"}}
        scene = {"samples": [], "data": [datum("CAMERA_01", image)], "ontologies": {}}
        change(scene)
        write_json(folder / "scene_fe9f29d3.json", scene)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "scene_fe9f29d3.json").unlink(), r"no scene_\*\.json there"),
        (lambda f: cut(f / "scene_fe9f29d3.json"), r"scene_fe9f29d3\.json: file: Invalid JSON"),
        (lambda f: (f / "ontology/o.json").unlink(), r"ontology/o\.json: No such file"),
        (_scene(lambda scene: None), "no image has 2D boxes"),
        (_scene(lambda scene: scene["data"][0].pop("id")), r"data\.0\.id: "),
    ],
)
def test_a_broken_scene_is_no_dataset(
    tmp_path: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(write_scene(tmp_path))
    with pytest.raises(DatasetError, match=message):
        Dgp(tmp_path)


def test_real_scene(shared_data: Path) -> None:
    folder = shared_data / "dgp_scene"
    if not folder.is_dir():
        pytest.skip(f"no real scene: {folder} is absent")
    dataset = Dgp(folder)
    checked = check(dataset)
    assert checked.problems == {} and len(set(checked.fingerprints)) == 18
    samples = [dataset.sample(index) for index in range(len(dataset))]
    assert sum(len(np.unique(s.objects.boxes, axis=0)) for s in samples) == 39
    # CAMERA_05 looks at a bush and a house, with cars annotated behind them.
    behind = [sample for sample in samples if sample.camera == "CAMERA_05"]
    assert all(len(s.objects) and s.objects.ignore.all() for s in behind)
    ahead = [sample for sample in samples if sample.camera == "CAMERA_01"]
    assert all(len(s.objects) and not s.objects.ignore.any() for s in ahead)
    cars = samples[0]
    assert cars.camera == "CAMERA_01" and cars.image.shape == (1216, 1936, 3)
    assert cars.objects.boxes.tolist()[0] == [1040.5, 521.5, 1126.5, 597.5]
