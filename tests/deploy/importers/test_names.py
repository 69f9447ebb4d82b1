"""Names in other people's recordings: none leads out of a folder, neither of those that are read
nor of those that are written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage

from calib.errors import CalibError
from calib.formats.convert import FORMATS, read_cameras, write_cameras
from calib.formats.document import Given
from deploy.errors import DeployError
from deploy.importers.dgp import import_dgp
from deploy.importers.nuscenes import import_nuscenes
from deploy.importers.openpilot import import_openpilot
from deploy.importers.rosbag import import_rosbag
from deploy.importers.video import import_videos
from deploy.log import channels
from deploy.log.reader import LogReader
from deploy.log.rig_messages import to_calibration, to_transform
from deploy.log.writer import LogWriter
from deploy.loop.clock import LockstepClock
from deploy.loop.replay import replay
from perception.data.coco import Coco
from perception.data.dataset import Dataset
from perception.data.dgp import Dgp
from perception.data.nuscenes import NuScenes
from perception.data.synthetic import Synthetic
from perception.errors import DatasetError
from tests.deploy.importers import test_dgp, test_nuscenes
from tests.deploy.importers.pictures import write_clip
from tests.perception.data import folders, test_coco
from tests.perception.data import test_dgp as dgp_boxes
from tests.perception.data import test_nuscenes as nuscenes_boxes

NAMES = ["../../x", "/tmp/x", "a/../../../x", "..", "a\0b", "x\nrm"]
Act = Callable[[Path, str], object]


def quiet(*_: object) -> None:
    pass


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def put(content: bytes | str, old: str, new: str) -> bytes:
    """JSON text with one of its strings replaced by another."""
    text = content if isinstance(content, str) else content.decode()
    assert f'"{old}"' in text
    return text.replace(f'"{old}"', json.dumps(new)).encode()


def nuscenes(table: str, old: str) -> Act:
    def act(root: Path, name: str) -> object:
        folder = test_nuscenes.write(test_nuscenes.tiny(), root / "set")
        path = folder / "v1.0-mini" / f"{table}.json"
        path.write_bytes(put(path.read_bytes(), old, name))
        return import_nuscenes(folder, root / "out" / "o.mcap", quiet, "scene-0001")

    return act


def dgp(file: str, old: str) -> Act:
    def act(root: Path, name: str) -> object:
        folder = test_dgp.write(root / "set", test_dgp.tiny_scene())
        path = next(folder.glob(file))
        path.write_bytes(put(path.read_bytes(), old, name))
        return import_dgp(folder, root / "out" / "o.mcap", quiet)

    return act


def video(root: Path, name: str) -> object:
    clip = write_clip(root / "set" / "a.mp4", [20, 40])
    return import_videos({name: clip}, root / "out" / "o.mcap", quiet)


def openpilot(root: Path, name: str) -> object:
    """Links are names, too."""
    write_clip(root / "x.hevc", [20, 40], 20, "libx265")
    folder = root / "set" / "a--0"
    folder.mkdir(parents=True)
    (folder / "fcamera.hevc").symlink_to(root / "x.hevc")
    return import_openpilot(root / "set", root / "out" / "o.mcap", quiet)


IMPORTS: dict[str, Act] = {
    "nuscenes: channel": nuscenes("sensor", "CAM_FRONT"),
    "nuscenes: image": nuscenes("sample_data", "samples/CAM_FRONT/a20000.jpg"),
    "dgp: camera": dgp("calibration/cal.json", "FRONT"),
    "dgp: image": dgp("scene_0.json", "rgb/FRONT/90.jpg"),
    "dgp: points": dgp("scene_0.json", "point_cloud/LIDAR/0.npz"),
    "dgp: boxes": dgp("scene_0.json", "bounding_box_3d/LIDAR/0.json"),
    "dgp: calibration": dgp("scene_0.json", "cal"),
    "dgp: classes": dgp("scene_0.json", "ont"),
    "video: camera": video,
    "openpilot: a link": openpilot,
}


@pytest.mark.parametrize("act", IMPORTS.values(), ids=[*IMPORTS])
@pytest.mark.parametrize("name", NAMES)
def test_importers_refuse_names_that_lead_out(act: Act, name: str, tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    with pytest.raises((DeployError, CalibError)):
        act(root, name)
    assert {path.name for path in everything(tmp_path)} & {"x", "rm", "o.mcap"} == set()


def test_topics_of_a_bag_become_plain_names(tmp_path: Path) -> None:
    bags = pytest.importorskip("tests.deploy.importers.test_rosbag")
    bag = bags.write_drive(tmp_path / "a.bag", bags.Messages(1))
    content = bag.read_bytes()
    assert content.count(b"/car/left/") > 2
    bag.write_bytes(content.replace(b"/car/left/", b"/../..///x"[:10]))
    import_rosbag(bag, tmp_path / "o.mcap", quiet)
    names = LogReader(tmp_path / "o.mcap").rig.names
    assert all(name.replace("_", "").isalnum() for name in names) and names


def test_frames_of_a_log_become_plain_names(tmp_path: Path, rig, ticks, model: Path) -> None:
    """Another tool's log whose cameras are called like paths: replayed, all stays in its folder."""
    camera = rig["left_pillar"]
    log = tmp_path / "in" / "log.mcap"
    with LogWriter(log) as writer:
        calibration, pose = to_calibration(camera, 0), to_transform(camera, 0)
        calibration.frame_id = pose.child_frame_id = "../../../x"
        writer.message("/../../x/info", calibration, 0)
        writer.message(channels.TRANSFORMS, pose, 0)
        for index, tick in enumerate(ticks[:2]):
            image = CompressedImage(frame_id="../../../x", data=tick["left_pillar"], format="jpeg")
            writer.message("/../../x/image", image, 1 + index * 27_777_778)
    out = tmp_path / "deep" / "deeper" / "out"
    report = replay(log, model, out, clock=LockstepClock(), html=tmp_path / "page.html")
    assert [*report["frames"]["states"]] == ["_x"]
    assert {path.name for path in everything(tmp_path)} == {
        *("in", "log.mcap", "deep", "deeper", "out", "page.html"),
        *("perception.mcap", "report.json", "mosaic.mp4", "mosaic.png"),
    }


def test_cameras_of_a_calibration_are_written_into_their_folder(tmp_path: Path) -> None:
    lens = {"width": 64, "height": 48, "distortion_model": "plumb_bob", "D": [0.0] * 5}
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, name in zip(paths, ("../../x", "/tmp/x/y"), strict=True):
        K = [9, 0, 3, 0, 9, 2, 0, 0, 1]
        path.write_text(json.dumps({**lens, "K": K, "frame_id": name}))
    found = read_cameras(paths, Given())
    written, _ = write_cameras(found, FORMATS["ros"], tmp_path / "out")
    assert [path.parent for path in written] == [tmp_path / "out"] * 2


def dataset(
    write: Callable[[Path], object], file: str, old: str, opened: Callable[[Path], Dataset]
) -> Act:
    def act(root: Path, name: str) -> object:
        write(root)
        path = next(root.glob(file))
        path.write_bytes(put(path.read_bytes(), old, name))
        found = opened(root)
        return [found.sample(index) for index in range(len(found))]

    return act


def scene(file: str, old: str) -> Act:
    return dataset(dgp_boxes.write_scene, file, old, Dgp)


DATASETS: dict[str, Act] = {
    "coco": dataset(
        test_coco.write, test_coco.JSON, "000000000285.jpg", lambda root: Coco(root, "val2017")
    ),
    "nuscenes": dataset(
        nuscenes_boxes.write,
        nuscenes_boxes.JSON,
        nuscenes_boxes.BACK,
        lambda root: NuScenes(root, nuscenes_boxes.VERSION),
    ),
    "dgp: image": scene("scene_*.json", "rgb/CAMERA_05/1.jpg"),
    "dgp: boxes": scene("scene_*.json", "bounding_box_2d/CAMERA_05/2.json"),
    "dgp: classes": scene("scene_*.json", "o"),
    "synthetic": dataset(
        folders.write_synthetic, "index.json", "images/left_pillar.jpg", Synthetic
    ),
}


@pytest.mark.parametrize("act", DATASETS.values(), ids=[*DATASETS])
@pytest.mark.parametrize("name", [name for name in NAMES[:5] if name != ".."])
def test_datasets_refuse_names_that_lead_out(act: Act, name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="leads out of it"):
        act(tmp_path, name)
