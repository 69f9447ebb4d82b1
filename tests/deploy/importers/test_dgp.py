"""The DGP importer on a tiny scene in the official layout, and on broken ones."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.errors import LogError
from deploy.importers.dgp import import_dgp
from deploy.log.boxes import Box, from_scene_update
from deploy.log.reader import LogReader

LEVEL = {"qw": 0.5, "qx": -0.5, "qy": 0.5, "qz": -0.5}  # optical axes, looking ahead
BACK = {"qw": 0.5, "qx": -0.5, "qy": -0.5, "qz": 0.5}
ROAD = 0.25  # height of the road in the vehicle frame, metres
STAMPS = ("2021-05-04T10:00:00.100Z", "2021-05-04T10:00:00.300Z")
STAMPS_NS = [1_620_122_400_100_000_000, 1_620_122_400_300_000_000]


def pose(x: float, y: float, z: float, rotation: dict[str, float] | None = None) -> dict[str, Any]:
    # Protobuf's JSON leaves zeros out.
    axes = {axis: value for axis, value in zip("xyz", (x, y, z), strict=True) if value}
    return {"translation": axes, "rotation": rotation or {"qw": 1.0}}


def cuboid(instance: int, class_id: int, place: dict[str, Any]) -> dict[str, Any]:
    size = {"length": 4.0, "width": 2.0, "height": 1.5}
    return {"class_id": class_id, "instance_id": instance, "box": {"pose": place, **size}}


Scene = dict[str, Any]  # file name -> content, JSON or bytes


def tiny_scene() -> Scene:
    """Two cameras and a lidar at two instants; the second camera looks back."""
    files: Scene = {
        "calibration/cal.json": {
            "names": ["LIDAR", "FRONT", "BACK"],
            "intrinsics": [
                {},
                {"fx": 500.0, "fy": 510.0, "cx": 320.0, "cy": 240.0},
                {"fx": 400.0, "fy": 400.0, "cx": 310.0, "cy": 230.0, "k1": -0.1, "p2": 0.01},
            ],
            "extrinsics": [pose(0, 0, 0), pose(1.5, 0.1, 1.6, LEVEL), pose(0.2, 0, 1.5, BACK)],
        },
        "ontology/ont.json": {"items": [{"name": "Person"}, {"id": 2, "name": "Car"}]},
    }
    data, samples = [], []
    # The second sample comes first in the file: order follows from time.
    for i in (1, 0):
        boxes = f"bounding_box_3d/LIDAR/{i}.json"
        files[boxes] = {
            "annotations": [cuboid(7, 2, pose(10 + i, 2, 1)), cuboid(8, 0, pose(5, -3, 1))]
        }
        cloud = {
            "filename": f"point_cloud/LIDAR/{i}.npz",
            "point_format": ["X", "Y", "Z", "INTENSITY"],
            "annotations": {"1": boxes},
        }
        data.append(datum("LIDAR", i, {"point_cloud": cloud}))
        for camera in ("FRONT", "BACK"):
            file = f"rgb/{camera}/{90 + i}.jpg"  # named after another time than the boxes
            files[file] = f"jpeg of {camera} at {i}".encode()
            image = {"filename": file, "width": 640, "height": 480}
            data.append(datum(camera, i, {"image": image}))
        samples.append(
            {
                "id": {"timestamp": STAMPS[i]},
                "datum_keys": [f"{sensor}{i}" for sensor in ("LIDAR", "FRONT", "BACK")],
                "calibration_key": "cal",
            }
        )
    files["scene_0.json"] = {"samples": samples, "data": data, "ontologies": {"1": "ont"}}
    return files


def datum(sensor: str, i: int, value: dict[str, Any]) -> dict[str, Any]:
    identity = {"name": sensor, "timestamp": "2021-05-04T10:00:00.090Z"}
    return {"id": identity, "key": f"{sensor}{i}", "datum": value}


def write(folder: Path, files: Scene) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    points = np.random.default_rng(0).uniform([-15, -1.4, ROAD, 0], [15, 1.4, ROAD, 1], (200, 4))
    walls = np.random.default_rng(1).uniform([-15, 5, 0, 0], [15, 9, 6, 1], (900, 4))
    for i in (0, 1):
        cloud = folder / f"point_cloud/LIDAR/{i}.npz"
        cloud.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cloud, data=np.vstack([points, walls]))
    return folder


def do(folder: Path, files: Scene) -> LogReader:
    import_dgp(write(folder / "scene", files), folder / "out.mcap", lambda done, total: None)
    return LogReader(folder / "out.mcap")


def boxes_of(log: LogReader) -> dict[int, dict[str, Box]]:
    updates = log.messages(["/truth/objects"])
    return {u.stamp_ns: {b.id: b for b in from_scene_update(u.decode())} for u in updates}


def test_images_carry_the_stamp_of_their_sample(tmp_path: Path) -> None:
    found = [(i.stamp_ns, i.camera, i.data) for i in do(tmp_path, tiny_scene()).images()]
    assert found == [
        (STAMPS_NS[i], camera, f"jpeg of {camera} at {i}".encode())
        for i in (0, 1)
        for camera in ("FRONT", "BACK")
    ]


def test_rig_stands_on_the_road(tmp_path: Path) -> None:
    log = do(tmp_path, tiny_scene())
    assert log.rig.names == ("FRONT", "BACK")
    front, back = log.rig
    assert front.rate_hz == pytest.approx(5) and front.bucket == "small"
    np.testing.assert_allclose(front.ego_from_camera[:3, 3], [1.5, 0.1, 1.6 - ROAD], atol=1e-9)
    np.testing.assert_allclose(front.ego_from_camera[:3, 2], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(back.ego_from_camera[:3, 2], [-1, 0, 0], atol=1e-9)
    assert (front.lens.fx, front.lens.cy, front.lens.distortion) == (500, 240, ())
    assert back.lens.distortion == (-0.1, 0, 0, 0.01, 0, 0, 0, 0)  # k1 k2 p1 p2 k3 ...


def test_boxes_become_truth_in_ego(tmp_path: Path) -> None:
    log = do(tmp_path, tiny_scene())
    first, second = (boxes_of(log)[stamp] for stamp in STAMPS_NS)
    assert first.keys() == second.keys() == {"7", "8"}
    car, person = first["7"], first["8"]
    assert (car.object_class, car.metadata["label"]) == ("vehicle", "Car")
    assert person.object_class == "pedestrian"
    assert car.size == (4, 2, 1.5)
    np.testing.assert_allclose(car.ego_from_box[:3, 3], [10, 2, 1 - ROAD], atol=1e-9)
    np.testing.assert_allclose(second["7"].ego_from_box[:3, 3], [11, 2, 1 - ROAD], atol=1e-9)


def test_boxes_of_a_scene_without_lidar(tmp_path: Path) -> None:
    """Boxes then come in camera frames; an object that two cameras list is there once."""
    files = tiny_scene()
    scene = files["scene_0.json"]
    scene["data"] = [d for d in scene["data"] if d["id"]["name"] != "LIDAR"]
    for sample in scene["samples"]:
        sample["datum_keys"].pop(0)
    for d in scene["data"]:
        # 10 m ahead of the front camera, which is 11.3 m behind the one that looks back.
        in_front, in_back = pose(0, 0, 10), pose(0.1, -0.1, -11.3)
        file = f"bounding_box_3d/{d['key']}.json"
        front = d["id"]["name"] == "FRONT"
        found = [cuboid(7, 2, in_front)] if front else [cuboid(i, 2, in_back) for i in (7, 9)]
        files[file] = {"annotations": found}
        d["datum"]["image"]["annotations"] = {"1": file}
    boxes = boxes_of(do(tmp_path, files))[STAMPS_NS[0]]
    assert boxes.keys() == {"7", "9"}
    for box in boxes.values():
        np.testing.assert_allclose(box.ego_from_box[:3, 3], [11.5, 0.1, 1.6], atol=1e-9)


def test_stamps_past_signed_64_bit_count_100_ns(tmp_path: Path) -> None:
    """Such stamps are a known fault of the public test scene (docs/logs.md)."""
    files = tiny_scene()
    early, late = files["scene_0.json"]["samples"][::-1]
    early["id"]["timestamp"] = "2464-11-12T01:04:10.027900Z"
    late["id"]["timestamp"] = "2464-11-12T01:04:11.018358Z"
    log = do(tmp_path, files)
    stamps = sorted({i.stamp_ns for i in log.images()})
    assert stamps == [1561645825_002790000, 1561645825_101835800]


def test_the_scene_file_itself(tmp_path: Path) -> None:
    folder = write(tmp_path / "scene", tiny_scene())
    (folder / "scene_1.json").write_text("{}")
    with pytest.raises(LogError, match="2 scene files"):
        import_dgp(folder, tmp_path / "out.mcap", lambda done, total: None)
    seen: list[tuple[int, int]] = []
    images = import_dgp(
        folder / "scene_0.json",
        tmp_path / "out.mcap",
        lambda done, total: seen.append((done, total)),
    )
    assert images == 4 and seen == [(done, 4) for done in range(1, 5)]


def edit(name: str, change: Callable[[Any], None]) -> Callable[[Scene], None]:
    return lambda files: change(files[name])


def without(name: str) -> Callable[[Scene], None]:
    return lambda files: files.pop(name)


def put(name: str, content: Any) -> Callable[[Scene], None]:
    return lambda files: files.update({name: content})


NAN_CALIBRATION = json.dumps(tiny_scene()["calibration/cal.json"]).replace("500.0", "NaN").encode()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (without("scene_0.json"), r"scene: no scene_\*\.json there"),
        (put("scene_0.json", b"{"), r"scene_0\.json: not DGP Scene"),
        (put("scene_0.json", b"[]"), r"scene_0\.json: not DGP Scene"),
        (put("scene_0.json", {"samples": [], "data": []}), r"scene_0\.json: has no samples"),
        (edit("scene_0.json", lambda s: s["data"].pop(1)), "names datum FRONT1"),
        (
            edit("scene_0.json", lambda s: s["samples"][0]["id"].update(timestamp="noon")),
            r"samples\.0\.id\.timestamp",
        ),
        (
            edit("scene_0.json", lambda s: s["samples"][0].update(calibration_key="b")),
            "use 2 calibrations",
        ),
        (
            edit("scene_0.json", lambda s: s["data"][4]["datum"]["image"].update(width=0)),
            "'FRONT': width is 0",
        ),
        (without("calibration/cal.json"), r"cal\.json: can't be read"),
        (put("calibration/cal.json", NAN_CALIBRATION), r"cal\.json: .*fx: .*finite"),
        (edit("calibration/cal.json", lambda c: c["names"].pop()), "differ in number"),
        (
            edit("calibration/cal.json", lambda c: c["names"].__setitem__(1, "OTHER")),
            "camera 'FRONT' has images but no calibration",
        ),
        (
            edit("calibration/cal.json", lambda c: c["intrinsics"][1].update(fisheye=1)),
            "camera 'FRONT': lens parameter 'fisheye' is set",
        ),
        (
            edit("calibration/cal.json", lambda c: c["extrinsics"][2].update(rotation={})),
            "not a rotation",
        ),
        (without("ontology/ont.json"), r"ont\.json: can't be read"),
        (without("rgb/BACK/91.jpg"), r"rgb/BACK/91\.jpg: can't be read"),
        (without("bounding_box_3d/LIDAR/1.json"), r"LIDAR/1\.json: can't be read"),
        (
            edit("bounding_box_3d/LIDAR/1.json", lambda b: b["annotations"][0].pop("box")),
            r"1\.json: not DGP BoxAnnotations: annotations\.0\.box",
        ),
    ],
)
def test_broken_scene(harm: Callable[[Scene], None], reason: str, tmp_path: Path) -> None:
    files = tiny_scene()
    harm(files)
    with pytest.raises(LogError, match=reason) as error:
        do(tmp_path, files)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("out.mcap*"))


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


NOT_AN_ARCHIVE = npy(np.zeros((5, 4)))


def zipped(data: bytes, copies: int = 1) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", data * copies)
    return stream.getvalue()


CLAIM = npy(np.zeros((5, 4))).replace(b"(5, 4)", b"(9999999999, 4)")
MORE_THAN_A_LIDAR = zipped(bytes(1 << 20), 70)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 cut",
        b"\x93NUMPY",
        b"text",
        NOT_AN_ARCHIVE,
        zipped(CLAIM),
        MORE_THAN_A_LIDAR,
    ],
)
def test_broken_point_cloud(content: bytes, tmp_path: Path) -> None:
    folder = write(tmp_path / "scene", tiny_scene())
    (folder / "point_cloud/LIDAR/0.npz").write_bytes(content)
    with pytest.raises(LogError, match=r"0\.npz: no point cloud can be read"):
        import_dgp(folder, tmp_path / "out.mcap", lambda done, total: None)
