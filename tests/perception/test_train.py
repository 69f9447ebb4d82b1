"""Training learns, and an interrupted run ends with the very same weights."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from perception.checkpoint import load_network, load_tensors, save_network, save_tensors
from perception.data.dataset import open_dataset
from perception.data.policy import load_policy
from perception.errors import CheckpointError, PerceptionError, SpecError
from perception.evaluate import evaluate
from perception.network import OctoNet
from perception.predict import Predictor
from perception.recipe import Recipe, Source
from perception.spec import PRESETS, SPEC_KEY
from perception.taxonomy import OBJECT_CLASSES, SCENE_CLASSES
from perception.train import Progress, train


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey road under blue sky with one red car, eight views."""
    folder = tmp_path_factory.mktemp("views")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    rng = np.random.default_rng(0)
    listed = []
    for index in range(8):
        image = np.full((240, 320, 3), (230, 160, 90), np.uint8)
        labels = np.full((240, 320), SCENE_CLASSES.index("sky"), np.uint8)
        image[120:], labels[120:] = 90, SCENE_CLASSES.index("drivable")
        x, y = int(rng.integers(20, 220)), int(rng.integers(100, 150))
        image[y : y + 50, x : x + 70] = (30, 30, 200)
        labels[y : y + 50, x : x + 70] = SCENE_CLASSES.index("vehicle")
        names = {"image": f"images/{index}.png", "labels": f"labels/{index}.png"}
        cv2.imwrite(str(folder / names["image"]), image)
        cv2.imwrite(str(folder / names["labels"]), labels)
        box = [x - 0.5, y - 0.5, x + 69.5, y + 49.5]
        car = {"class": "vehicle", "box": box, "ground_point": [x + 35, y + 50]}
        car |= {"occlusion": 0.0, "instance": 1, "ignore": False}
        listed.append(names | {"camera": "rear", "bucket": "small", "scene": 0, "objects": [car]})
    index_json = {"seed": 0, "scene_classes": SCENE_CLASSES, "object_classes": OBJECT_CLASSES}
    (folder / "index.json").write_text(json.dumps(index_json | {"views": listed}))
    return folder


def recipe(views: Path, steps: int) -> Recipe:
    return Recipe(
        preset="nano",
        sources=(Source(dataset=f"sim:{views}"),),
        steps=steps,
        batch=2,
        crop_height=96,
        crop_width=128,
    )


def test_loss_falls_and_the_curve_is_written(views: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    train(recipe(views, 30), tmp_path, seen.append)
    first, last = np.mean([p.loss for p in seen[:4]]), np.mean([p.loss for p in seen[-4:]])
    assert last < 0.7 * first
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 31


def test_interrupted_run_ends_with_the_same_weights(views: Path, tmp_path: Path) -> None:
    plan = recipe(views, 6)
    whole = train(plan, tmp_path / "whole")

    def interrupt(progress: Progress) -> None:
        if progress.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan, tmp_path / "broken", interrupt, save_every=3)
    assert load_tensors(tmp_path / "broken/state.safetensors")[1]["octoview.step"] == "3"
    resumed = train(plan, tmp_path / "broken")
    expected, actual = load_tensors(whole)[0], load_tensors(resumed)[0]
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    curves = [(tmp_path / name / "curve.csv").read_text() for name in ("whole", "broken")]
    assert curves[0] == curves[1]  # step 4 was taken twice and stands there once
    other_seed = train(plan.model_copy(update={"seed": 1}), tmp_path / "other")
    different = load_tensors(other_seed)[0]
    assert any(not torch.equal(expected[name], different[name]) for name in expected)


def test_two_frames_tell_what_one_cannot(views: Path, tmp_path: Path) -> None:
    """All images are the same grey; only the frame before shows which of two labels is true."""
    folder = tmp_path / "flicker"
    shutil.copytree(views, folder)
    index = json.loads((folder / "index.json").read_text())
    for number, view in enumerate(index["views"]):
        name = SCENE_CLASSES.index("drivable" if number % 2 else "sky")
        cv2.imwrite(str(folder / view["image"]), np.full((240, 320, 3), 128, np.uint8))
        cv2.imwrite(str(folder / view["labels"]), np.full((240, 320), name, np.uint8))
        view |= {"previous": f"images/before{number}.png", "objects": []}
        before = np.full((240, 320, 3), 220 if number % 2 else 40, np.uint8)
        cv2.imwrite(str(folder / view["previous"]), before)
    (folder / "index.json").write_text(json.dumps(index))
    dataset, plain = open_dataset(f"sim:{folder}"), load_policy("none")
    scores = {}
    for frames in (1, 2):
        changes = {"frames": frames, "augmentation": plain, "average_decay": 0.5}
        weights = train(recipe(folder, 50).model_copy(update=changes), tmp_path / str(frames))
        network, spec = load_network(weights)
        assert spec.frames == frames
        scores[frames] = evaluate(Predictor(network), dataset, spec).mean_iou
    assert scores[2] > 0.9 and scores[1] < 0.7


def test_boxes_alone_can_be_trained_on(tmp_path: Path) -> None:
    """YOLO's text files have no scene labels."""
    data = tmp_path / "yolo"
    for folder in ("images/train", "labels/train"):
        (data / folder).mkdir(parents=True)
    (data / "data.yaml").write_text("train: images/train\nnames: {0: car}\n")
    for index in range(4):
        image = np.full((120, 160, 3), 90, np.uint8)
        image[40:80, 20 + 20 * index : 70 + 20 * index] = (30, 30, 200)
        cv2.imwrite(str(data / f"images/train/{index}.png"), image)
        x = (45 + 20 * index) / 160
        (data / f"labels/train/{index}.txt").write_text(f"0 {x} 0.5 {50 / 160} {40 / 120}\n")
    plan = recipe(tmp_path, 20).model_copy(update={"sources": (Source(dataset=f"yolo:{data}"),)})
    seen: list[float] = []
    weights = train(plan, tmp_path / "run", lambda progress: seen.append(progress.loss))
    assert np.mean(seen[-4:]) < 0.8 * np.mean(seen[:4])
    load_network(weights)


def test_other_images_than_before_are_noticed(views: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(views, copy)
    plan = recipe(copy, 4)
    train(plan, tmp_path / "run", stop_after=2)
    image = cv2.imread(str(copy / "images/3.png"))
    image[0, 0] += 1
    cv2.imwrite(str(copy / "images/3.png"), image)
    with pytest.raises(CheckpointError, match="other images"):
        train(plan, tmp_path / "run")


def test_folder_of_another_recipe_is_refused(views: Path, tmp_path: Path) -> None:
    train(recipe(views, 2), tmp_path)
    with pytest.raises(CheckpointError, match="another recipe"):
        train(recipe(views, 3), tmp_path)


def test_unknown_preset_is_named(views: Path) -> None:
    with pytest.raises(PerceptionError, match=r"'giant'.*base or nano"):
        Recipe.model_validate(recipe(views, 1).model_dump() | {"preset": "giant"})


def test_checkpoints_reload_strictly(tmp_path: Path) -> None:
    network = OctoNet(PRESETS["nano"]).eval()
    path = tmp_path / "nano.safetensors"
    save_network(network, path)
    again, spec = load_network(path)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert spec == network.spec
        assert torch.equal(again(images)["scene"], network(images)["scene"])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a readable"):
        load_network(path)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_network(tmp_path / "absent.safetensors")


def test_weights_that_do_not_fit_are_named_in_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    spec = PRESETS["nano"].to_json()
    save_tensors({"heat.bias": torch.zeros(7)}, {SPEC_KEY: spec}, path)
    with pytest.raises(CheckpointError, match=r"do not fit preset 'nano': \d+ differ") as caught:
        load_network(path)
    assert len(str(caught.value)) < 300
    save_tensors({}, {SPEC_KEY: '{"preset": 1}'}, path)
    with pytest.raises(SpecError, match=path.name):
        load_network(path)
