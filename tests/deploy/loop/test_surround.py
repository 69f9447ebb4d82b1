"""The surround head in the loop: a grid in the log, cameras that fail, files that are no heads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from calib.rig import Rig
from deploy.errors import EngineError
from deploy.log import channels
from deploy.log.grids import from_grid
from deploy.log.reader import LogReader
from deploy.loop.clock import LockstepClock
from deploy.loop.engine import load_engine
from deploy.loop.join import join_frames
from deploy.loop.pipeline import Pipeline, TickResult
from deploy.loop.replay import replay
from deploy.loop.surround import Surround, SurroundMap, shipped_head
from export.surround import write_head
from perception.spec import ModelSpec
from perception.surround.network import SurroundHead
from perception.surround.spec import SurroundSpec

SPEC = SurroundSpec(x_min=-16, x_max=24, y_min=-12, y_max=12, cell=1.6, width=8)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    network = SurroundHead(SPEC).eval()
    torch.nn.init.normal_(network.classify.weight, std=3.0)
    path = tmp_path_factory.mktemp("head") / "head.onnx"
    write_head(network, path)
    return path


@pytest.fixture(scope="module")
def tick(log: Path, rig: Rig, model: Path) -> TickResult:
    frames = next(iter(LockstepClock().pace(join_frames(LogReader(log).images(), rig))))
    return Pipeline(rig, load_engine(model)).tick(frames)


def test_replay_writes_its_grid_only_when_asked(
    tmp_path: Path, log: Path, model: Path, head: Path
) -> None:
    grids = {}
    for name, surround in (("without", None), ("with", head), ("again", head)):
        replay(log, model, tmp_path / name, clock=LockstepClock(), mosaic=False, surround=surround)
        reader = LogReader(tmp_path / name / "perception.mcap")
        found = [from_grid(m.decode()) for m in reader.messages([channels.SURROUND])]
        grids[name] = found
    assert grids["without"] == [] and len(grids["with"]) == 4
    grid = grids["with"][0]
    assert (grid.x_min, grid.y_min, grid.cell) == (SPEC.x_min, SPEC.y_min, SPEC.cell)
    assert {"drivable", "vehicle", "alpha"} <= grid.layers.keys()
    assert grid.layers["drivable"].std() > 1
    for name in grid.layers:
        assert np.array_equal(grid.layers[name], grids["again"][0].layers[name])


def test_each_camera_counts_and_a_camera_without_result_is_no_camera(
    tick: TickResult, rig: Rig, spec: ModelSpec, head: Path
) -> None:
    surround = Surround(head, rig, spec)
    whole = surround.see(tick.cameras)
    assert whole is not None and whole.probability.shape == (2, *SPEC.shape)
    for name in rig.names:
        rest = {other: result for other, result in tick.cameras.items() if other != name}
        without = surround.see(rest)
        assert without is not None
        few = Rig("few", tuple(camera for camera in rig if camera.name != name))
        alone = Surround(head, few, spec).see(rest)
        assert alone is not None
        assert np.allclose(without.probability, alone.probability, atol=1e-5)
        assert np.abs(without.probability - whole.probability).max() > 1e-3, name
        assert (without.seen <= whole.seen).all()
    assert surround.see({}) is None


def test_swapped_pictures_are_noticed(
    tick: TickResult, rig: Rig, spec: ModelSpec, head: Path
) -> None:
    surround = Surround(head, rig, spec)
    left, right = tick.cameras["left_pillar"], tick.cameras["right_pillar"]
    swapped = {**tick.cameras, "left_pillar": right, "right_pillar": left}
    whole, other = surround.see(tick.cameras), surround.see(swapped)
    assert whole is not None and other is not None
    assert np.abs(whole.probability - other.probability).max() > 0.01


def test_between_cells_it_is_bilinear() -> None:
    rows, columns = SPEC.shape
    x, y = np.moveaxis(SPEC.points()[0, :, :, :2], -1, 0)
    layers = np.stack([x, 2 * y]).astype(np.float32)
    grid = SurroundMap(SPEC, layers, np.ones((rows, columns), bool))
    points = np.array([[[3.3, -2.1], [0.0, 0.0]]])
    assert np.allclose(grid.at(points), [[[3.3, 0.0]], [[-4.2, 0.0]]], atol=0.06)


def test_files_that_are_no_heads_are_named(
    rig: Rig, spec: ModelSpec, model: Path, head: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="no such model"):
        Surround(tmp_path / "absent.onnx", rig, spec)
    with pytest.raises(EngineError, match="give a surround head, not a network"):
        Surround(model, rig, spec)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(head.read_bytes()[:1000])
    with pytest.raises(EngineError, match=r"damaged\.onnx: can't be loaded"):
        Surround(damaged, rig, spec)
    other = spec.model_copy(update={"scene_classes": ("road", *spec.scene_classes[1:])})
    with pytest.raises(EngineError, match="train a head for this network"):
        Surround(head, rig, other)


def test_the_shipped_head_sees_the_road_of_the_drawn_world(
    tick: TickResult, rig: Rig, spec: ModelSpec
) -> None:
    """It was never shown such pictures nor this stand-in network: what is seen counts alone."""
    grid = Surround(shipped_head(), rig, spec).see(tick.cameras)
    assert grid is not None
    points = np.array([[[10.0, 0.0], [20.0, -3.0], [-8.0, 0.0], [10.0, 12.0], [10.0, -12.0]]])
    drivable = grid.at(points)[grid.spec.layers.index("drivable")][0]
    assert (drivable[:3] > 0.7).all() and (drivable[3:] < 0.3).all()
    # Two vehicles stand ahead, one behind.
    vehicles = np.array([[[14.0, 2.5], [9.0, -6.0], [-9.0, 2.4], [25.0, 0.0]]])
    found = grid.at(vehicles)[grid.spec.layers.index("vehicle")][0]
    assert (found[:3] > 0.3).sum() >= 2 and found[3] < 0.2
