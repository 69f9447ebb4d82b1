"""The table of parsers: what reads a file that somebody else may have made."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import yaml
from safetensors.numpy import save_file

from calib.boards.parse import parse_board
from calib.encoded_image import decode
from calib.errors import CalibError
from calib.extrinsics.targets import load_targets
from calib.formats.convert import FORMATS, read_cameras
from calib.formats.document import Given
from calib.intrinsics.camera_file import load_lens
from calib.intrinsics.images import find_boards
from calib.rig import load_rig, save_rig
from calib.surround.homography import load_ground_views
from calib.surround.pictures import load_pictures
from deploy.bench.compare import read_result
from deploy.device.engines import read_status
from deploy.device.report import report
from deploy.device.seal import check_all
from deploy.device.slots import Slots
from deploy.device.update import read_release
from deploy.importers.dgp import import_dgp
from deploy.importers.kitti import import_kitti
from deploy.importers.nuscenes import import_nuscenes
from deploy.importers.openpilot import import_openpilot
from deploy.importers.rosbag import import_rosbag
from deploy.importers.teslacam import import_teslacam
from deploy.importers.video import import_videos
from deploy.log.reader import LogReader
from deploy.loop.artefact import read_spec
from deploy.loop.engine import load_engine
from deploy.package.build import check_mapping
from deploy.package.wheels import read_lock
from deploy.sources.config import open_run
from export.tensorrt_file import EngineKey, read_engine, write_engine
from perception.checkpoint import load_tensors
from perception.data.bdd100k import Bdd100k
from perception.data.camvid import CamVid
from perception.data.coco import Coco
from perception.data.dataset import Dataset
from perception.data.dgp import Dgp
from perception.data.nuscenes import NuScenes
from perception.data.policy import BUILT_IN as POLICIES
from perception.data.policy import load_policy
from perception.data.synthetic import Synthetic
from perception.data.yolo import Yolo
from perception.spec import PRESETS, SPEC_HASH_KEY, SPEC_KEY, ModelSpec
from perception.surround.spec import SURROUND_HASH_KEY, SURROUND_KEY, SurroundSpec
from tests.calib.formats.test_foreign_files import WHOLE
from tests.deploy.conftest import write_model
from tests.deploy.device.fake import make_version
from tests.deploy.importers import test_dgp as dgp_scene
from tests.deploy.importers import test_kitti as kitti_drive
from tests.deploy.importers import test_nuscenes as nuscenes_scene
from tests.deploy.importers import test_rosbag as bags
from tests.deploy.importers.pictures import grey, png, write_clip
from tests.fuzz import hostile, logs
from tests.fuzz.parser import OUT, Parser
from tests.perception.data import (
    folders,
    test_bdd100k,
    test_coco,
    test_dgp,
    test_nuscenes,
    test_yolo,
)


def _quiet(*_: object) -> None:
    pass


def _text(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


def _imported(act: Callable[[Path, Path], object]) -> Callable[[Path], None]:
    """Import, then read what was written: no import may leave a log that can't be read."""

    def read(folder: Path) -> None:
        log = folder.parent / OUT
        act(folder, log)
        try:
            found = LogReader(log)
            names = found.rig.names
            assert {image.camera for image in found.images()} <= set(names)
        except CalibError as error:
            raise AssertionError(f"the import is no log: {error}") from error

    return read


def _dataset(opened: Callable[[Path], Dataset]) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        dataset = opened(folder)
        for index in range(len(dataset)):
            dataset.sample(index)

    return read


# --- calib --------------------------------------------------------------------------------------

_GIVEN = {
    "opencv": Given("fisheye"),
    "nuscenes": Given(sizes={"": (1600, 900)}),
    "dgp": Given(sizes={"": (1600, 900)}),
}


def _format(key: str) -> Parser:
    return Parser(
        _text("cameras.yaml", WHOLE[key]),
        lambda folder: read_cameras(
            [folder / "cameras.yaml"], _GIVEN.get(key, Given()), FORMATS[key]
        ),
        hostile=hostile.YAML | hostile.JSON,
    )


_RIG = """\
name: one
cameras:
- name: main
  rate_hz: 36.0
  bucket: large
  lens: {model: fisheye, width: 64, height: 48, fx: 50.0, fy: 50.0, cx: 31.5, cy: 23.5,
    distortion: [0.1, 0.0, 0.0, 0.0]}
  pose: {position: [1.9, 0.0, 1.4], yaw_deg: 0.0, pitch_deg: 1.0, roll_deg: 0.0}
"""


_PLACEMENT = "front: {pixel_m: 0.01, origin: [4.8, 3.0], columns: right, rows: back}\n"
_GROUND = """\
%YAML:1.0
---
camera_matrix: !!opencv-matrix
   {rows: 3, cols: 3, dt: d, data: [300., 0., 480., 0., 300., 320., 0., 0., 1.]}
dist_coeffs: !!opencv-matrix
   {rows: 4, cols: 1, dt: d, data: [0., 0., 0., 0.]}
resolution: !!opencv-matrix
   {rows: 2, cols: 1, dt: i, data: [960, 640]}
project_matrix: !!opencv-matrix
   {rows: 3, cols: 3, dt: d, data: [1., 0., 0., 0., 1., 0., 0., 0.001, 1.]}
"""


def _ground(folder: Path) -> None:
    (folder / "placement.yaml").write_text(_PLACEMENT)
    (folder / "front.yaml").write_text(_GROUND)


def _rigs(folder: Path) -> None:
    (folder / "angles.yaml").write_text(_RIG)
    save_rig(logs.small_rig(), folder / "matrices.yaml")


def _read_rigs(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        load_rig(path)


_TARGETS = """\
front:
  first: [3.0, 0.4, 0.5]
  row_end: [3.0, -0.4, 0.5]
  column_end: [3.0, 0.4, 0.0]
  sigma_m: 0.003
"""

CALIB = {
    "rig file": Parser(_rigs, _read_rigs, hostile=hostile.YAML),
    **{f"calibration: {key}": _format(key) for key in WHOLE},
    "camera file": Parser(
        _text(
            "camera.yaml",
            yaml.safe_dump(
                {"lens": dict(model="pinhole", width=64, height=48, fx=50, fy=50, cx=31, cy=23)}
            ),
        ),
        lambda folder: load_lens(folder / "camera.yaml"),
        hostile=hostile.YAML,
    ),
    "taped targets": Parser(
        _text("tape.yaml", _TARGETS),
        lambda folder: load_targets(folder / "tape.yaml", parse_board("chessboard:9x6:0.1")),
        hostile=hostile.YAML,
    ),
    "ground pictures": Parser(
        _ground,
        lambda folder: load_ground_views(folder, folder / "placement.yaml"),
        hostile=hostile.YAML,
    ),
    "board's description": Parser(
        _text("board", "charuco:9x6:0.025:0.018"),
        lambda folder: parse_board((folder / "board").read_text(errors="replace")),
    ),
    "encoded images": Parser(
        lambda folder: [
            (folder / f"a{suffix}").write_bytes(cv2.imencode(suffix, grey(80))[1].tobytes())
            for suffix in (".bmp", ".jpg", ".png", ".ppm", ".tiff", ".webp")
        ],
        lambda folder: [decode(p.read_bytes(), cv2.IMREAD_COLOR) for p in folder.iterdir()],
        hostile=hostile.IMAGES,
    ),
    "calibration pictures": Parser(
        lambda folder: (folder / "a.png").write_bytes(png(80)),
        lambda folder: find_boards(folder, parse_board("chessboard:9x6:0.025")),
        hostile=hostile.IMAGES,
    ),
    "surround pictures": Parser(
        lambda folder: [(folder / f"{n}.png").write_bytes(png(80)) for n in logs.NAMES],
        lambda folder: load_pictures(folder, logs.small_rig()),
        hostile=hostile.IMAGES,
    ),
}

# --- perception ---------------------------------------------------------------------------------


def _read_metadata(folder: Path) -> None:
    text = (folder / "spec.json").read_text(errors="surrogateescape")
    spec = ModelSpec.from_json(text)
    metadata = {SPEC_KEY: text, SPEC_HASH_KEY: spec.hash}
    assert read_spec(folder, metadata) == spec
    spec.outputs  # noqa: B018


def _read_surround(folder: Path) -> None:
    text = (folder / "surround.json").read_text(errors="surrogateescape")
    metadata = {SURROUND_KEY: text}
    with suppress(ValueError):  # whoever makes such a file can make its hash
        metadata[SURROUND_HASH_KEY] = SurroundSpec.model_validate_json(text).hash
    SurroundSpec.from_metadata(metadata).points()


PERCEPTION = {
    "model spec": Parser(
        _text("spec.json", PRESETS["nano"].to_json()), _read_metadata, hostile=hostile.JSON
    ),
    "surround spec": Parser(
        _text("surround.json", SurroundSpec().to_json()), _read_surround, hostile=hostile.JSON
    ),
    "augmentation policy": Parser(
        lambda folder: (folder / "p.yaml").write_bytes(POLICIES["strong"].read_bytes()),
        lambda folder: load_policy(folder / "p.yaml"),
        hostile=hostile.YAML,
    ),
    "weights": Parser(
        lambda folder: save_file(
            {"a": np.zeros((2, 3), np.float32)}, folder / "w.safetensors", {SPEC_KEY: "{}"}
        ),
        lambda folder: load_tensors(folder / "w.safetensors"),
        hostile=hostile.JSON,
    ),
    "dataset: camvid": Parser(
        lambda folder: folders.write_camvid(folder, n=1),
        _dataset(lambda folder: CamVid(folder / "val")),
        hostile=hostile.IMAGES,
    ),
    "dataset: bdd100k": Parser(
        test_bdd100k.write,
        _dataset(lambda folder: Bdd100k(folder, "val")),
        ("**/*.json",),
        hostile.JSON,
    ),
    "dataset: coco": Parser(
        test_coco.write,
        _dataset(lambda folder: Coco(folder, "val2017")),
        ("**/*.json",),
        hostile.JSON,
    ),
    "dataset: yolo": Parser(
        test_yolo.write,
        _dataset(lambda folder: Yolo(folder, "train")),
        ("**/*.yaml", "**/*.txt"),
        hostile.YAML,
    ),
    "dataset: nuscenes": Parser(
        test_nuscenes.write,
        _dataset(lambda folder: NuScenes(folder, test_nuscenes.VERSION)),
        ("**/*.json",),
        hostile.JSON,
    ),
    "dataset: dgp": Parser(test_dgp.write_scene, _dataset(Dgp), ("**/*.json",), hostile.JSON),
    "dataset: synthetic": Parser(
        folders.write_synthetic, _dataset(Synthetic), ("**/*.json",), hostile.JSON
    ),
}

# --- logs and importers -------------------------------------------------------------------------


def _bag(version: int) -> Callable[[Path], object]:
    name = "a.bag" if version == 1 else "a"
    return lambda folder: bags.write_drive(folder / name, bags.Messages(version))


LOGS = {
    "log": Parser(
        lambda folder: logs.write_log(folder / "log.mcap"),
        lambda folder: logs.read_log(folder / "log.mcap"),
    ),
    "log: records of a chunk": Parser(
        lambda folder: logs.write_records(folder / "records"),
        lambda folder: logs.read_records(folder / "records", folder.parent / OUT),
    ),
    "log: messages": Parser(
        logs.write_messages,
        lambda folder: logs.read_log(logs.write_message_log(folder, folder.parent / OUT)),
        hostile={
            f"health as {name}": b"/perception/health\noctoview.Health\njson\n" + content
            for name, content in hostile.JSON.items()
        },
    ),
    "import: nuscenes": Parser(
        lambda folder: nuscenes_scene.write(nuscenes_scene.tiny(), folder),
        _imported(lambda folder, out: import_nuscenes(folder, out, _quiet, "scene-0001")),
        ("**/*.json",),
        hostile.JSON,
    ),
    "import: dgp": Parser(
        lambda folder: dgp_scene.write(folder, dgp_scene.tiny_scene()),
        _imported(lambda folder, out: import_dgp(folder, out, _quiet)),
        ("**/*.json", "**/*.npz"),
        hostile.JSON,
    ),
    "import: kitti": Parser(
        kitti_drive.write_drive,
        _imported(
            lambda folder, out: import_kitti(
                next(path for path in folder.iterdir() if path.is_dir()), out, _quiet
            )
        ),
        ("**/*.txt",),
        hostile.JSON,
    ),
    "import: teslacam": Parser(
        lambda folder: write_clip(folder / "2024-05-01_17-30-00-front.mp4", [20, 40]),
        _imported(lambda folder, out: import_teslacam(folder, out, _quiet)),
    ),
    "import: openpilot": Parser(
        lambda folder: write_clip(folder / "a--0" / "fcamera.hevc", [20, 40], 20, "libx265"),
        _imported(lambda folder, out: import_openpilot(folder, out, _quiet, logs.small_rig())),
    ),
    "import: video": Parser(
        lambda folder: write_clip(folder / "drive.mp4", [20, 40]),
        _imported(lambda folder, out: import_videos({"main": folder / "drive.mp4"}, out, _quiet)),
    ),
    "import: bag of ros 1": Parser(
        _bag(1), _imported(lambda folder, out: import_rosbag(folder / "a.bag", out, _quiet))
    ),
    "import: bag of ros 2": Parser(
        _bag(2), _imported(lambda folder, out: import_rosbag(folder / "a", out, _quiet))
    ),
}

# --- runs, artefacts, devices -------------------------------------------------------------------

_RUN = """\
rig: rig.yaml
deadline_ms: 80
cameras:
  main: {gstreamer: 'videotestsrc ! video/x-raw,width=64,height=48'}
  rear: {rtsp: 'rtsp://127.0.0.1:1/rear'}
"""
_CARRIER = "cameras:\n" + "".join(
    f"  {name}: {{v4l2: /dev/video{index}}}\n" for index, name in enumerate(load_rig("hw2").names)
)


def _run(folder: Path) -> None:
    save_rig(logs.small_rig(), folder / "rig.yaml")
    (folder / "run.yaml").write_text(_RUN)


def _plans(folder: Path) -> None:
    spec = PRESETS["nano"]
    key = EngineKey("0" * 64, "fp16", "tensorrt", "10.3", "Orin 8.7", "any", 4)
    metadata = {SPEC_KEY: spec.to_json(), SPEC_HASH_KEY: spec.hash}
    write_engine(folder / "a.engine", key, metadata, {bucket: b"plan" for bucket in spec.buckets})


def _read_plans(folder: Path) -> None:
    found = read_engine(folder / "a.engine")
    for bucket in found.spec.buckets:
        found.plan(bucket)


def _device(folder: Path) -> None:
    slot = make_version(folder / "factory", "0.1.0")
    Slots(folder, folder / "factory").begin_trial(slot)
    for name, content in {
        "trial.json": {"slot": str(slot), "starts": 1},
        "refused.json": {"0.0.1": "failed"},
        "health/self-test.json": {"passed": True, "latency_ms": 1, "engine": "x", "ticks": 9},
        "engines/status.json": {"state": "ready", "key": "k"},
    }.items():
        folders.write_json(folder / name, content)


def _read_device(folder: Path) -> None:
    slots = Slots(folder, folder / "factory")
    report(slots, folder)
    slot = folder / "factory" / "0.1.0"
    read_status(folder / "engines")
    slots.starts()
    check_all(slot)
    read_release(slot)


def _bench_result(folder: Path) -> None:
    quartiles = {"p25": 1.0, "p50": 2.0, "p75": 3.0}
    content = {
        "rig": "hw2",
        "model": dict(file="n", precision="int8", spec_hash="00", engine="openvino", threads=2),
        "machine": {"cpu": "x", "physical_cores": 1, "logical_cpus": 2},
        "quartiles_ms": {"tick": quartiles},
    }
    folders.write_json(folder / "result.json", content)


DEPLOY = {
    "run file": Parser(_run, lambda folder: open_run(folder / "run.yaml"), hostile=hostile.YAML),
    "camera mapping": Parser(
        _text("carrier.yaml", _CARRIER),
        lambda folder: check_mapping(folder / "carrier.yaml", "hw2"),
        hostile=hostile.YAML,
    ),
    "model": Parser(
        lambda folder: write_model(folder / "m.onnx", PRESETS["nano"]),
        lambda folder: load_engine(folder / "m.onnx", threads=1, engine="onnxruntime"),
    ),
    "model in openvino": Parser(
        lambda folder: write_model(folder / "m.onnx", PRESETS["nano"]),
        lambda folder: load_engine(folder / "m.onnx", threads=1, engine="openvino"),
        needs="openvino",
    ),
    "engine file": Parser(_plans, _read_plans),
    "state of a device": Parser(_device, _read_device, ("*.json", "*/*.json", "factory/*/[Mr]*"),
                                hostile.JSON),
    "result of a bench": Parser(
        _bench_result, lambda folder: read_result(folder / "result.json"), hostile=hostile.JSON
    ),
    "lock of wheels": Parser(
        _text("lock.txt", f"# wheels\nnumpy==2.2.6 --hash=sha256:{'0' * 64}\n"),
        lambda folder: read_lock(folder / "lock.txt"),
    ),
}  # fmt: skip

PARSERS: dict[str, Parser] = CALIB | PERCEPTION | LOGS | DEPLOY
