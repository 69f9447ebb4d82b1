"""nuScenes as its devkit writes the projected boxes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.data.check import accept, check
from perception.data.dataset import open_dataset
from perception.data.nuscenes import NuScenes
from perception.errors import DatasetError
from perception.taxonomy import OBJECT_CLASSES
from tests.perception.data.folders import cut, write_image, write_json

VERSION = "v1.0-mini"
JSON = f"{VERSION}/image_annotations.json"
WITH_RIDER, WITHOUT_RIDER = "a14936d8", "5a655f9f"
FRONT = "samples/CAM_FRONT/n015-2018-07-24-11-22-45+0800__CAM_FRONT__1532402927612460.jpg"
BACK = "samples/CAM_BACK/n015-2018-07-24-11-22-45+0800__CAM_BACK__1532402927637525.jpg"


def annotation(
    file: str,
    category: str,
    *corners: float,
    visibility: str = "4",
    points: int = 5,
    rider: str = "",
) -> dict[str, Any]:
    return {
        "attribute_tokens": [rider] if rider else [],
        "bbox_corners": list(corners),
        "category_name": category,
        "filename": file,
        "instance_token": "6dd2cbf4c24b4caeb625035869bca7b5",
        "next": "",
        "num_lidar_pts": points,
        "num_radar_pts": 0,
        "prev": "",
        "sample_annotation_token": "ef63a697930c4b20a6b9791f423351da",
        "sample_data_token": "e3d495d4ac534d54b321f50006683844",
        "visibility_token": visibility,
    }


def annotations() -> list[dict[str, Any]]:
    """Rows of two images, mixed."""
    cycle = "vehicle.bicycle"
    return [
        annotation(FRONT, "vehicle.bus.rigid", 10, 12, 40.5, 30.25),
        annotation(BACK, "human.pedestrian.adult", 0, 5, 8, 31),
        annotation(FRONT, cycle, 50, 20, 60, 40, rider=WITH_RIDER),
        annotation(FRONT, "vehicle.motorcycle", 70, 20, 80, 40, rider=WITHOUT_RIDER),
        annotation(FRONT, cycle, 82, 20, 90, 40),
        annotation(FRONT, "movable_object.trafficcone", 1, 1, 5, 9),
        annotation(BACK, "vehicle.car", 20, 20, 60, 40, visibility="1"),
        annotation(BACK, "vehicle.car", 62, 20, 70, 30, points=0),
        annotation(BACK, "animal", 75, 25, 80, 30),
    ]


def write(folder: Path) -> Path:
    write_image(folder / FRONT, 160, 90)
    write_image(folder / BACK, 160, 90, shade=50)
    write_json(folder / JSON, annotations())
    write_json(
        folder / VERSION / "attribute.json",
        [
            {"token": WITH_RIDER, "name": "cycle.with_rider", "description": ""},
            {"token": WITHOUT_RIDER, "name": "cycle.without_rider", "description": ""},
        ],
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def learnt(dataset: NuScenes, index: int) -> dict[str, list[float]]:
    objects = dataset.sample(index).objects
    return {
        OBJECT_CLASSES[kind]: box
        for box, kind, ignore in zip(
            objects.boxes.tolist(), objects.classes, objects.ignore, strict=True
        )
        if not ignore
    }


def ignored(dataset: NuScenes, index: int) -> list[list[float]]:
    objects = dataset.sample(index).objects
    return np.unique(objects.boxes[objects.ignore], axis=0).tolist()


def test_boxes(folder: Path) -> None:
    dataset = NuScenes(folder, VERSION)
    assert (dataset.name, len(dataset)) == ("nuscenes/v1.0-mini", 2)
    assert dataset.box_origin == "projected"
    assert [dataset.sample(n).camera for n in (0, 1)] == ["CAM_FRONT", "CAM_BACK"]
    assert learnt(dataset, 0) == {
        "vehicle": [9.5, 11.5, 40.0, 29.75],
        "cyclist": [49.5, 19.5, 59.5, 39.5],
    }
    assert ignored(dataset, 0) == [[69.5, 19.5, 79.5, 39.5], [81.5, 19.5, 89.5, 39.5]]
    assert learnt(dataset, 1) == {"pedestrian": [-0.5, 4.5, 7.5, 30.5]}
    assert len(ignored(dataset, 1)) == 3  # hidden, without a point, and an animal


def test_a_moved_box_moves(folder: Path) -> None:
    content = annotations()
    content[1]["bbox_corners"][2] = 11
    write_json(folder / JSON, content)
    assert learnt(NuScenes(folder, VERSION), 1) == {"pedestrian": [-0.5, 4.5, 10.5, 30.5]}


def test_opened_by_name(folder: Path) -> None:
    assert open_dataset(f"nuscenes:{folder}").name == "nuscenes/v1.0-mini"
    assert open_dataset(f"nuscenes:{folder}/v1.0-mini").name == "nuscenes/v1.0-mini"
    (folder / "v1.0-test").mkdir()
    with pytest.raises(DatasetError, match=r"v1\.0-trainval/image_annotations\.json: No such file"):
        open_dataset(f"nuscenes:{folder}")


def _add(*values: Any) -> Callable[[Path], Any]:
    return lambda folder: write_json(folder / JSON, [*annotations(), annotation(FRONT, *values)])


BROKEN_SAMPLES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "image gone": (lambda f: (f / FRONT).unlink(), r"460\.jpg: No such file"),
    "image cut": (lambda f: cut(f / FRONT), r"460\.jpg: damaged"),
    "unknown category": (_add("vehicle.ufo", 1, 1, 2, 2), r"460\.jpg: unknown .*'vehicle\.ufo'"),
    "empty box": (_add("vehicle.car", 1, 1, 1, 2), r"460\.jpg: box .* is empty"),
    "box outside": (_add("vehicle.car", 161, 1, 170, 2), r"460\.jpg: box .* lies outside"),
}


@pytest.mark.parametrize("case", BROKEN_SAMPLES)
def test_a_broken_sample_is_named_and_the_rest_goes_on(folder: Path, case: str) -> None:
    spoil, message = BROKEN_SAMPLES[case]
    spoil(folder)
    checked = check(NuScenes(folder, VERSION))
    with pytest.raises(DatasetError, match=f"^1 of 2 samples are bad, .*{message}"):
        accept([checked], skip_bad=False)
    [rest] = accept([checked], skip_bad=True)
    assert [Path(source).name for source in rest.sources] == [Path(BACK).name]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / JSON).unlink(), r"annotations\.json: No .*export_2d_annotations_as_json"),
        (lambda f: write_json(f / JSON, []), r"annotations\.json: annotates no image"),
        (lambda f: write_json(f / JSON, [{"filename": 3}]), r"annotations\.json: 0\.filename: "),
        (lambda f: cut(f / VERSION / "attribute.json"), r"attribute\.json: file: Invalid JSON"),
    ],
)
def test_broken_tables_are_no_dataset(
    folder: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(folder)
    with pytest.raises(DatasetError, match=message):
        NuScenes(folder, VERSION)
