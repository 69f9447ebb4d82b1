"""`octoview evaluate map` as a person runs it."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from calib.rig import Rig, load_rig
from deploy.log import channels
from deploy.log.boxes import Box, to_scene_update
from deploy.log.grids import GroundGrid, to_grid
from deploy.log.writer import LogWriter
from export.surround import write_head
from perception.surround.network import SurroundHead
from perception.surround.spec import SurroundSpec
from tests.deploy.command_line import Octoview, command_line


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys, "evaluate")


def write_log(path: Path, truth: bool) -> None:
    """One picture of one small camera; a true road and a true vehicle."""
    camera = load_rig("hw2")["main"]
    small = replace(camera, lens=camera.lens.resized(320, 240), bucket="small")
    # Blocks with edges: a camera that shows none is blind, and kept off every map.
    blocks = np.random.default_rng(0).integers(20, 220, (24, 32, 3), np.uint8)
    _, data = cv2.imencode(".png", np.kron(blocks, np.ones((10, 10, 1), np.uint8)))
    pose = np.eye(4)
    pose[:3, 3] = 20, 0, 0.8
    with LogWriter(path) as log:
        log.rig(Rig("one", (small,)), 0)
        log.image("main", 0, data.tobytes(), "png")
        if truth:
            boxes = to_scene_update([Box("1", "vehicle", pose, (4.5, 1.9, 1.6))], 0)
            log.message(channels.TRUTH_OBJECTS, boxes, 0)
            road = np.zeros((400, 400), np.uint8)
            road[180:220] = 100
            ground = GroundGrid(-40, -40, 0.2, {"drivable": road})
            log.message(channels.TRUTH_DRIVABLE, to_grid(ground, 0), 0)


def test_scores_are_shown_and_written(octoview: Octoview, tmp_path: Path) -> None:
    log, out = tmp_path / "a.mcap", tmp_path / "map.json"
    write_log(log, truth=True)
    done = octoview("map", log, "--turn", "0.5", "--json", out)
    assert done.code == 0, done.err
    assert "drivable IoU" in done.out and "0.5 degrees" in done.out
    scores = json.loads(out.read_text())
    assert scores["ticks"] == 1 and scores["vehicles"]["true"] == 1
    assert scores["turn_deg"] == 0.5 and scores["ground"]["cells_seen"] is not None


def test_several_logs_are_shown_each_and_together(octoview: Octoview, tmp_path: Path) -> None:
    logs = [tmp_path / f"{name}.mcap" for name in "ab"]
    for log in logs:
        write_log(log, truth=True)
    done = octoview("map", *logs, "--json", tmp_path / "map.json")
    assert done.code == 0, done.err
    assert "together" in done.out
    scores = json.loads((tmp_path / "map.json").read_text())
    assert scores["ticks"] == scores["vehicles"]["true"] == 2
    assert [one["log"] for one in scores["logs"]] == ["a.mcap", "b.mcap"]
    assert all(one["vehicles"]["true"] == 1 for one in scores["logs"])
    assert scores["ground"] == scores["logs"][0]["ground"]


def test_a_learned_head_is_scored_beside_the_map(octoview: Octoview, tmp_path: Path) -> None:
    log, out, head = tmp_path / "a.mcap", tmp_path / "map.json", tmp_path / "head.onnx"
    write_log(log, truth=True)
    network = SurroundHead(SurroundSpec(cell=2.0, width=8))
    torch.nn.init.constant_(network.classify.bias, 5.0)  # everything is drivable
    write_head(network, head)
    done = octoview("map", log, "--surround", head, "--json", out)
    assert done.code == 0, done.err
    assert "vehicle iou 30 m" in done.out and "learned" in done.out
    scores = json.loads(out.read_text())
    beside = scores["surround"]["drivable_iou_30_m"]
    assert beside["geometric"] == pytest.approx(scores["ground"]["drivable_iou_all"])
    assert 0.1 < beside["learned"] < 0.5  # a road 8 m wide of 40 m
    missing = octoview("map", log, "--surround", tmp_path / "none.onnx")
    assert missing.code == 2 and "none.onnx: no such model" in missing.err


def test_a_log_without_truth_is_one_line(octoview: Octoview, tmp_path: Path) -> None:
    log = tmp_path / "a.mcap"
    write_log(log, truth=False)
    done = octoview("map", log)
    assert done.code == 2 and "--truth" in done.err and done.err.strip().count("\n") == 0
