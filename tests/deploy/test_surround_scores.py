"""The learned ground beside the geometric one, on grids whose scores are known."""

from dataclasses import replace

import numpy as np
import pytest

from deploy.log.boxes import Box
from deploy.log.grids import GroundGrid
from deploy.loop.ego_map import EgoMap, GridSpec, MapObject
from deploy.loop.surround import SurroundMap
from deploy.surround_scores import SurroundScores
from perception.surround.spec import SurroundSpec

GRID, SPEC = GridSpec(), SurroundSpec()
CELLS = np.zeros((400, 400), np.uint8)
CELLS[175:225] = 100  # a road 10 m wide along x
TRUTH = GroundGrid(-40.0, -40.0, 0.2, {"drivable": CELLS})
SIZE = (4.5, 1.9, 1.6)


def geometric(shift: float = 0.0) -> EgoMap:
    drivable = (np.abs(GRID.centres()[..., 1] - shift) < 5).astype(np.float32)
    vehicle = MapObject("vehicle", 0.9, 10.0, 2.0 + shift, 0.5, ("main",), SIZE)
    return EgoMap(GRID, drivable, np.ones(GRID.shape, bool), (vehicle,))


def learned(shift: float = 0.0, yaw: float = 0.0) -> SurroundMap:
    points = SPEC.points()[0, :, :, :2]
    road = np.abs(points[..., 1] - shift) < 5
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    along = np.abs((points - (10.0, 2.0 + shift)) @ turn)
    layers = np.stack([road, (along <= np.array(SIZE[:2]) / 2).all(axis=-1)]).astype(np.float32)
    return SurroundMap(SPEC, layers, np.ones(SPEC.shape, bool))


def box(yaw: float = 0.0, y: float = 2.0, **metadata: str) -> Box:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = 10.0, y, 0.8
    found = {key.replace("_", "/"): value for key, value in metadata.items()}
    return Box("1", "vehicle", pose, SIZE, found)


def scores(ego: EgoMap, grid: SurroundMap, *boxes: Box) -> dict[str, dict[str, float | None]]:
    both = SurroundScores()
    both.add(ego, grid, TRUTH, list(boxes))
    return both.to_json()


def test_the_truth_scores_one_and_each_map_is_scored_by_itself() -> None:
    right = scores(geometric(), learned(), box())
    assert right["drivable_iou_30_m"]["geometric"] == 1
    assert right["drivable_iou_30_m"]["learned"] == pytest.approx(1, abs=0.05)
    assert right["vehicle_iou_30_m"]["geometric"] > 0.9
    assert right["vehicle_iou_30_m"]["learned"] > 0.7  # cells of 0.4 m
    wrong = scores(geometric(), learned(shift=2.0), box())
    assert wrong["drivable_iou_30_m"]["geometric"] == 1
    assert wrong["drivable_iou_30_m"]["learned"] == pytest.approx(8 / 12, abs=0.04)
    assert wrong["vehicle_iou_30_m"]["learned"] == 0
    other = scores(geometric(shift=2.0), learned(), box())
    assert other["drivable_iou_30_m"]["geometric"] == pytest.approx(8 / 12, abs=0.04)
    assert other["vehicle_iou_30_m"]["geometric"] == 0


def test_the_heading_of_true_vehicles_counts() -> None:
    turned = scores(geometric(), learned(yaw=np.pi / 2), box(yaw=np.pi / 2))
    assert turned["vehicle_iou_30_m"]["learned"] > 0.7
    assert turned["vehicle_iou_30_m"]["geometric"] < 0.4


def test_hidden_vehicles_count_neither_way_and_no_truth_gives_no_score() -> None:
    hidden = box(y=-4.0, occlusion_main="0.9")
    both = scores(geometric(), learned(), box(), hidden)
    assert both == scores(geometric(), learned(), box())
    seen = scores(geometric(), learned(), box(), replace(hidden, metadata={}))
    assert seen["vehicle_iou_30_m"]["learned"] < both["vehicle_iou_30_m"]["learned"] * 0.7
    ground_only = SurroundScores()
    ground_only.add(geometric(), learned(), TRUTH, None)
    assert list(ground_only.to_json()) == ["drivable_iou_30_m"]
    nothing = SurroundScores()
    nothing.add(geometric(), learned(), None, [])
    assert nothing.to_json()["vehicle_iou_30_m"]["learned"] == 0
