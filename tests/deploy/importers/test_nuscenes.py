"""The nuScenes importer on a tiny version in the official layout, and on broken ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.errors import LogError
from deploy.importers import source_folder
from deploy.importers.nuscenes import import_nuscenes
from deploy.log import channels
from deploy.log.boxes import from_scene_update
from deploy.log.reader import LogReader
from deploy.log.rig_messages import to_pose
from tests.deploy.importers.pictures import HEIGHT, WIDTH, jpeg, level

US = 1_532_402_927_600_000
AHEAD = [0.5, -0.5, 0.5, -0.5]  # w x y z: optical axes, looking along x
BACK = [0.5, -0.5, -0.5, 0.5]
LEFT_90 = [np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)]
LEVEL = [1.0, 0, 0, 0]
K = [[50.0, 0, 31], [0, 50, 23], [0, 0, 1]]

Tables = dict[str, list[dict[str, Any]]]


def sensor(token: str, kind: str, place: list[float], turn: list[float], intrinsic: Any) -> Any:
    return {
        "token": token,
        "sensor_token": kind,
        "translation": place,
        "rotation": turn,
        "camera_intrinsic": intrinsic,
    }


def annotation(token: str, instance: str, place: list[float], size: list[float], hits: int) -> Any:
    return {
        "token": token,
        "sample_token": "a",
        "instance_token": instance,
        "attribute_tokens": ["T"],
        "translation": place,
        "rotation": LEFT_90,
        "size": size,
        "num_lidar_pts": hits,
    }


def tiny() -> Tables:
    """Scene one: a keyframe and a sweep of two cameras, the lidar; scene two: one image more.

    At the keyframe the vehicle is at (100, 50), turned left by 90 degrees; a car stands 10 m in
    front of it and 2 m to the left, looking as it does.
    """
    tables: Tables = {
        "scene": [{"token": "s1", "name": "scene-0001"}, {"token": "s2", "name": "scene-0002"}],
        "sample": [
            {"token": "a", "timestamp": US, "scene_token": "s1"},
            {"token": "b", "timestamp": US, "scene_token": "s2"},
        ],
        "sensor": [
            {"token": "S1", "channel": "CAM_FRONT", "modality": "camera"},
            {"token": "S2", "channel": "CAM_BACK", "modality": "camera"},
            {"token": "S3", "channel": "LIDAR_TOP", "modality": "lidar"},
        ],
        "calibrated_sensor": [
            sensor("C1", "S1", [1.7, 0, 1.5], AHEAD, K),
            sensor("C2", "S2", [0, 0, 1.6], BACK, K),
            sensor("C3", "S3", [0.9, 0, 1.8], LEVEL, []),
        ],
        "ego_pose": [
            {"token": "E0", "translation": [100, 50, 0], "rotation": LEFT_90, "timestamp": US},
            {"token": "E1", "translation": [100, 50.5, 0], "rotation": LEFT_90, "timestamp": US},
            {"token": "E2", "translation": [100, 51, 0], "rotation": LEFT_90, "timestamp": US},
        ],
        "sample_data": [],
        "sample_annotation": [
            annotation("A", "I", [98, 60, 0.8], [1.9, 4.5, 1.6], 33),
            annotation("B", "J", [100, 55, 0.8], [0.6, 1.8, 1.6], 3),
        ],
        "instance": [
            {"token": "I", "category_token": "car"},
            {"token": "J", "category_token": "bike"},
        ],
        "category": [
            {"token": "car", "name": "vehicle.car"},
            {"token": "bike", "name": "vehicle.bicycle"},
        ],
        "attribute": [{"token": "T", "name": "cycle.with_rider"}],
    }
    for sample, by, pose, after_us, key, folder in (
        ("a", "C3", "E0", 0, True, "samples/LIDAR_TOP"),
        ("a", "C2", "E1", 30_000, True, "samples/CAM_BACK"),
        ("a", "C1", "E1", 20_000, True, "samples/CAM_FRONT"),
        ("a", "C1", "E2", 90_000, False, "sweeps/CAM_FRONT"),
        ("b", "C1", "E2", 90_000, True, "samples/CAM_FRONT"),
    ):
        row = {
            "token": f"d{len(tables['sample_data'])}",
            "sample_token": sample,
            "ego_pose_token": pose,
            "calibrated_sensor_token": by,
            "timestamp": US + after_us,
            "is_key_frame": key,
            "filename": f"{folder}/{sample}{after_us}.jpg",
            "width": WIDTH,
            "height": HEIGHT,
        }
        tables["sample_data"].append(row)
    return tables


def write(tables: Tables, folder: Path) -> Path:
    (folder / "v1.0-mini").mkdir(parents=True)
    for name, rows in tables.items():
        (folder / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows, indent=0))
    for index, row in enumerate(tables["sample_data"]):
        path = folder / row["filename"]
        if path.suffix == ".jpg" and path.parts[-3] in ("samples", "sweeps"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(40 + 20 * index))
    return folder


def do(tables: Tables, tmp_path: Path, scene: str | None = "scene-0001") -> LogReader:
    out = tmp_path / "o.mcap"
    import_nuscenes(write(tables, tmp_path / "set"), out, lambda done, total: None, scene)
    return LogReader(out)


def test_keyframes_and_sweeps_of_the_scene_alone(tmp_path: Path) -> None:
    log = do(tiny(), tmp_path)
    found = [(i.camera, i.stamp_ns - US * 1000, level(i.data)) for i in log.images()]
    assert found == [
        ("CAM_FRONT", 20_000_000, 80),
        ("CAM_BACK", 30_000_000, 60),
        ("CAM_FRONT", 90_000_000, 100),
    ]
    original = (tmp_path / "set" / "samples/CAM_FRONT/a20000.jpg").read_bytes()
    assert next(log.images()).data == original
    rig = log.rig
    assert (rig.name, set(rig.names)) == ("nuscenes-scene-0001", {"CAM_FRONT", "CAM_BACK"})
    np.testing.assert_allclose(rig["CAM_FRONT"].ego_from_camera[:3, 2], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(rig["CAM_BACK"].ego_from_camera[:3, 2], [-1, 0, 0], atol=1e-9)
    assert rig["CAM_FRONT"].lens.matrix.tolist() == K


def test_boxes_are_in_the_ego_frame_of_the_lidars_instant(tmp_path: Path) -> None:
    log = do(tiny(), tmp_path)
    (message,) = log.messages([channels.TRUTH_OBJECTS])
    assert message.stamp_ns == US * 1000
    car, bike = from_scene_update(message.decode())
    np.testing.assert_allclose(car.ego_from_box[:3, 3], [10, 2, 0.8], atol=1e-9)
    np.testing.assert_allclose(car.ego_from_box[:3, :3], np.eye(3), atol=1e-9)
    assert (car.id, car.object_class, car.size) == ("I", "vehicle", (4.5, 1.9, 1.6))
    assert car.metadata == {"label": "vehicle.car", "lidar_points": "33"}
    assert bike.object_class == "cyclist"


def test_positions(tmp_path: Path) -> None:
    log = do(tiny(), tmp_path)
    found = [m.decode() for m in log.messages([channels.TRANSFORMS])]
    poses = [to_pose(m) for m in found if m.child_frame_id == channels.EGO_FRAME]
    np.testing.assert_allclose([p[:3, 3] for p in poses], [[100, 50.5, 0]] * 2 + [[100, 51, 0]])


def test_the_scene_has_to_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="choose with --scene one of scene-0001, scene-0002"):
        do(tiny(), tmp_path, None)
    with pytest.raises(LogError, match="no scene 'x'"):
        import_nuscenes(tmp_path / "set", tmp_path / "o.mcap", lambda done, total: None, "x")


def edit(table: str, row: int, **values: Any) -> Callable[[Tables], None]:
    return lambda tables: tables[table][row].update(values)


OUT = "leads out of the folder"


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (edit("sample_data", 2, filename="../../../etc/passwd"), OUT),
        (edit("sample_data", 2, filename="/etc/passwd"), OUT),
        (edit("sample_data", 2, filename="samples/../../../x.jpg"), OUT),
        (edit("sample_data", 2, filename="a\0b.jpg"), OUT),
        (edit("sample_data", 2, filename="samples/gone.txt"), "is no .jpg or .png"),
        (edit("sample_data", 2, timestamp="noon"), r"\[2\].timestamp"),
        (edit("ego_pose", 1, token=[]), "ego_pose.json: has no E1"),
        (edit("sample_data", 2, calibrated_sensor_token="x"), "calibrated_sensor.json: has no x"),
        (edit("calibrated_sensor", 0, rotation=[1, 1, 1, 1]), "is not a rotation"),
        (edit("calibrated_sensor", 0, camera_intrinsic=[[1]]), "camera_intrinsic"),
        (edit("ego_pose", 1, token="other"), "ego_pose.json: has no E1"),
        (edit("ego_pose", 1, translation=[float("nan"), 0, 0]), "finite"),
        (edit("category", 0, name="vehicle.ufo"), "unknown category 'vehicle.ufo'"),
        (edit("sample_annotation", 0, size=[1, 2]), "size"),
    ],
)
def test_what_is_wrong_is_one_line(
    harm: Callable[[Tables], None], reason: str, tmp_path: Path
) -> None:
    tables = tiny()
    harm(tables)
    with pytest.raises(LogError, match=reason) as error:
        do(tables, tmp_path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    assert not list(tmp_path.glob("o.mcap*"))


def test_a_row_whose_sample_is_no_token_is_none_of_the_scene(tmp_path: Path) -> None:
    tables = tiny()
    edit("sample_data", 2, sample_token=["a"])(tables)
    assert len(list(do(tables, tmp_path).images())) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ends before its list does"),
        ("{}", "is no list"),
        ('[{"token": "a"}', "ends before its list does"),
        ('[{"token": "a"}, 3]', "no record: 3"),
        ('[{"token" "a"}]', "ends before its list does"),
        ("[" * 100_000, "recursion|no record|ends before"),
        ("[\xff]", "ends before|codec"),
    ],
)
def test_tables_that_are_none(text: str, reason: str, tmp_path: Path) -> None:
    folder = write(tiny(), tmp_path / "set")
    (folder / "v1.0-mini" / "ego_pose.json").write_text(text, encoding="latin-1")
    with pytest.raises(LogError, match=rf"ego_pose\.json: .*({reason})") as error:
        import_nuscenes(folder, tmp_path / "o.mcap", lambda done, total: None, "scene-0001")
    assert "\n" not in str(error.value)


def test_tables_are_read_in_small_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that lie across the steps in which a table is read come out whole."""
    whole = do(tiny(), tmp_path / "whole").path.read_bytes()
    monkeypatch.setattr(source_folder, "_STEP", 7)
    assert do(tiny(), tmp_path / "steps").path.read_bytes() == whole
