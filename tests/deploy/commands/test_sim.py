"""`octoview sim` as a person runs it, with a rig of two small cameras."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calib.rig import Rig, load_rig, save_rig
from deploy.log import channels
from deploy.log.boxes import from_scene_update
from deploy.log.grids import from_grid
from deploy.log.reader import LogReader
from perception.data.synthetic import Synthetic
from perception.errors import PerceptionError
from perception.taxonomy import SCENE_CLASSES
from tests.deploy.command_line import Octoview, command_line

SEED = "3"  # a quiet suburb, quick to build


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "sim")


@pytest.fixture(scope="module")
def rig_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fisheye and a pinhole of hw2 at a quarter of their size."""
    pytest.importorskip("moderngl", reason="moderngl is not installed (octoview[sim])")
    from perception.synthetic.renderer import Renderer

    try:
        Renderer()
    except PerceptionError as error:
        pytest.skip(str(error))
    hw2 = load_rig("hw2")
    cameras = [
        replace(camera, lens=camera.lens.resized(320, 240), bucket="small")
        for camera in (hw2["wide"], hw2["left_pillar"])
    ]
    path = tmp_path_factory.mktemp("rig") / "pair.yaml"
    save_rig(Rig("pair", tuple(cameras)), path)
    return path


def test_views_are_a_training_folder_and_equal_for_any_number_of_workers(
    octoview: Octoview, rig_file: Path, tmp_path: Path
) -> None:
    common = ("--views", "5", "--seed", SEED, "--rig", rig_file)
    one, two, report = tmp_path / "one", tmp_path / "two", tmp_path / "report.json"
    first = octoview("views", one, *common, "--workers", "1", "--json", report)
    assert first.code == 0, first.err
    assert octoview("views", two, *common, "--workers", "2").code == 0
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
    assert json.loads(report.read_text())["views"] == 5

    dataset = Synthetic(one)
    samples = [dataset.sample(i) for i in range(len(dataset))]
    assert [s.camera for s in samples] == ["wide", "left_pillar"] * 2 + ["wide"]
    assert sum(len(s.objects.boxes) for s in samples) > 5
    for sample in samples:
        assert sample.image.shape == (240, 320, 3) and sample.labels.max() < len(SCENE_CLASSES)
        share = np.bincount(sample.labels.ravel(), minlength=len(SCENE_CLASSES)) / 320 / 240
        assert 0.1 < share[SCENE_CLASSES.index("drivable")] < 0.9
    pictures = [s.image.astype(int) for s in samples]
    assert np.abs(pictures[0] - pictures[2]).mean() > 2  # another time
    assert np.abs(pictures[0] - pictures[4]).mean() > 2  # another world

    two_frames = tmp_path / "two_frames"
    assert octoview("views", two_frames, *common, "--frames", 2).code == 0
    for sample, alone in zip(map(Synthetic(two_frames).sample, range(5)), samples, strict=True):
        np.testing.assert_array_equal(sample.image, alone.image)  # the frame before is extra
        assert alone.previous is None and sample.previous is not None
        moved = np.abs(sample.previous.astype(int) - sample.image).mean()
        assert 0.5 < moved < 0.5 * np.abs(pictures[0] - pictures[2]).mean()  # a 36th of a second

    again = octoview("views", one, *common)
    assert again.code == 2 and "not empty" in again.err and again.err.count("\n") == 1


def test_log_holds_rig_pictures_truth_and_the_way_of_the_vehicle(
    octoview: Octoview, rig_file: Path, tmp_path: Path
) -> None:
    common = ("--seconds", "0.3", "--rate", "10", "--rig", rig_file, "--truth")
    paths = [tmp_path / "one.mcap", tmp_path / "two.mcap"]
    for path, workers in zip(paths, ("1", "2"), strict=True):
        done = octoview("log", path, *common, "--seed", SEED, "--workers", workers)
        assert done.code == 0, done.err
    assert paths[0].read_bytes() == paths[1].read_bytes()

    reader = LogReader(paths[0])
    assert reader.rig.names == ("wide", "left_pillar")
    assert np.allclose(
        reader.rig["wide"].ego_from_camera, load_rig(rig_file)["wide"].ego_from_camera
    )
    images = list(reader.images())
    assert [i.stamp_ns for i in images if i.camera == "wide"] == [0, 100_000_000, 200_000_000]
    decoded = cv2.imdecode(np.frombuffer(images[0].data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (240, 320, 3)

    way = [
        message.translation.x
        for message in (m.decode() for m in reader.messages([channels.TRANSFORMS]))
        if message.parent_frame_id == channels.MAP_FRAME
        and message.child_frame_id == channels.EGO_FRAME
    ]
    assert len(way) == 3 and way[0] < way[1] < way[2]
    updates = [m.decode() for m in reader.messages([channels.TRUTH_OBJECTS])]
    boxes = from_scene_update(updates[0])
    assert len(updates) == 3 and boxes
    for box in boxes:
        assert any(key.startswith("box/") for key in box.metadata)
        assert box.ego_from_box[2, 3] >= box.size[2] / 2 - 1e-6  # stands on the ground
    grounds = [from_grid(m.decode()) for m in reader.messages([channels.TRUTH_DRIVABLE])]
    assert len(grounds) == 3
    drivable = grounds[0].layers["drivable"]
    assert drivable.shape == (400, 400) and set(np.unique(drivable)) == {0, 100}
    assert drivable[200, 200] == 100  # the road under the vehicle
    scene = next(iter(reader.messages([channels.truth_scene_topic("wide")]))).decode()
    labels = cv2.imdecode(np.frombuffer(scene.data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (240, 320) and labels[200, 160] == SCENE_CLASSES.index("drivable")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("views", "new", "--rig", "nowhere.yaml"), "nowhere.yaml"),
        (("log", "new.mcap", "--rig", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_bad_rig_is_one_line_and_leaves_nothing(
    octoview: Octoview,
    rig_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = octoview(*arguments)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
