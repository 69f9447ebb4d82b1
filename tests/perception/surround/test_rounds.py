"""Folders of rounds: rendered ones hold the truth, damaged ones are named, examples are kept."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from calib.rig import load_rig
from perception.checkpoint import save_network
from perception.errors import DatasetError, PerceptionError, SpecError
from perception.network import OctoNet
from perception.spec import PRESETS
from perception.surround.examples import ExampleMaker
from perception.surround.rounds import read_round, round_folders, scene_maps, truth_layers
from perception.surround.spec import SurroundSpec
from perception.surround.train import SurroundRecipe, train_head
from perception.taxonomy import IGNORE
from tests.perception.surround.folders import write_round

SPEC = SurroundSpec(x_min=-16, x_max=16, y_min=-12, y_max=12, cell=1.6, width=8)
MODEL = PRESETS["nano"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    torch.manual_seed(0)
    save_network(OctoNet(MODEL), path)
    return path


def test_truth_comes_in_cells_of_the_grid(tmp_path: Path) -> None:
    seen = read_round(write_round(tmp_path / "0", slice(182, 218)))  # |y| < 3.6 m
    layers = truth_layers(seen, SPEC)
    x, y = np.moveaxis(SPEC.points()[0, :, :, :2], -1, 0)
    assert layers.shape == (2, *SPEC.shape)
    assert (layers[0][np.abs(y) < 2.4] == 1).all() and (layers[0][np.abs(y) > 4] == 0).all()
    assert np.allclose(layers[0][(np.abs(y) > 2.4) & (np.abs(y) < 4)], 0.75)
    vehicle = (x > 8) & (x < 12.8) & (np.abs(y) < 0.8)
    assert (layers[1][vehicle] > 0.9).all()
    assert np.isnan(layers[1][(x > -9) & (x < -7) & (np.abs(y) < 0.8)]).all()
    odd = SPEC.model_copy(update={"cell": 0.5})
    with pytest.raises(SpecError, match=r"0\.2 m cells within 40 m"):
        truth_layers(seen, odd)


def test_scene_maps_stand_in_the_corner_of_one_canvas(tmp_path: Path) -> None:
    seen = read_round(write_round(tmp_path / "0", slice(180, 220)))

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        mean = images[0].mean(axis=0)[::4, ::4]
        return {"scene": np.repeat(mean[None, None], len(MODEL.scene_classes), axis=1)}

    maps = scene_maps(seen, predict, MODEL)
    assert maps.shape == (2, len(MODEL.scene_classes), 60, 80)
    assert np.abs(maps[0] - maps[1]).max() > 0.01


def test_damaged_and_missing_rounds_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="octoview sim surround"):
        round_folders(tmp_path)
    folder = write_round(tmp_path / "0", slice(180, 220))
    (folder / "left_pillar.jpg").unlink()
    with pytest.raises(DatasetError, match=r"left_pillar\.jpg"):
        read_round(folder)
    other = write_round(tmp_path / "1", slice(180, 220))
    cv2.imwrite(str(other / "drivable.png"), np.zeros((50, 50), np.uint8))
    with pytest.raises(DatasetError, match=r"drivable\.png: 50x50"):
        read_round(other)


def test_training_writes_a_head_and_keeps_what_the_network_saw(
    tmp_path: Path, weights: Path
) -> None:
    for index in range(2):
        write_round(tmp_path / f"rounds/{index}", slice(180 - 20 * index, 220))
    recipe = SurroundRecipe(tmp_path / "rounds", weights, steps=2, batch=2)
    losses: list[float] = []
    heads = [
        train_head(recipe, tmp_path / f"{k}.safetensors", SPEC, lambda _, x: losses.append(x))
        for k in range(2)
    ]
    assert losses[:2] == losses[2:]  # the second run read what the first one kept
    assert len(list((tmp_path / "rounds/0").glob("seen_*.npz"))) == 1
    for one, two in zip(
        heads[0].state_dict().values(), heads[1].state_dict().values(), strict=True
    ):
        assert torch.equal(one, two)
    # Another network has other examples.
    torch.manual_seed(5)
    save_network(OctoNet(MODEL), tmp_path / "other.safetensors")
    make, other = (ExampleMaker(p, SPEC) for p in (weights, tmp_path / "other.safetensors"))
    folder = tmp_path / "rounds/0"
    assert not np.array_equal(make(folder).seen, other(folder).seen)
    assert len(list(folder.glob("seen_*.npz"))) == 2


def test_rendered_rounds_are_whole_and_repeat(tmp_path: Path) -> None:
    pytest.importorskip("moderngl", reason="moderngl is not installed (octoview[sim])")
    from perception.surround.render import write_rounds

    try:
        for name in ("one", "two"):
            write_rounds(tmp_path / name, load_rig("hw2"), 1, seed=11, workers=1)
    except PerceptionError as error:
        pytest.skip(str(error))
    (folder,) = round_folders(tmp_path / "one")
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "two" / folder.name / file.name).read_bytes()
    seen = read_round(folder)
    assert 0.02 < seen.drivable.mean() < 0.9
    assert set(np.unique(seen.vehicles)) <= {0, 1, IGNORE}
    assert not (seen.drivable & (seen.vehicles == 1)).any()  # nothing drives on a vehicle
    with pytest.raises(DatasetError, match="not empty"):
        write_rounds(tmp_path / "one", load_rig("hw2"), 1, seed=11)
