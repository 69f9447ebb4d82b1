"""The scorer of the map, on maps whose scores are known."""

from dataclasses import replace

import numpy as np
import pytest

from calib.rig import load_rig
from deploy.log.boxes import Box
from deploy.log.grids import GroundGrid
from deploy.loop.ego_map import EgoMap, GridSpec, MapObject, Motion
from deploy.map_scores import MapScores, turned

GRID = GridSpec()
CENTRES = GRID.centres()
TRUTH_CELLS = np.zeros((400, 400), np.uint8)
TRUTH_CELLS[175:225] = 100  # a road 10 m wide along x
TRUTH = GroundGrid(-40.0, -40.0, 0.2, {"drivable": TRUTH_CELLS})


def ground_map(shift: float = 0.0, hidden_beyond: float = 100.0) -> EgoMap:
    drivable = np.abs(CENTRES[..., 1] - shift) < 5
    seen = CENTRES[..., 0] < hidden_beyond
    return EgoMap(GRID, np.where(seen, drivable, 0).astype(np.float32), seen.astype(np.float32), ())


def ground_scores(ego: EgoMap) -> dict[str, float]:
    scores = MapScores()
    scores.add_ground(ego, TRUTH)
    return scores.to_json()["ground"]


def vehicle_map(*places: tuple[float, float]) -> EgoMap:
    size = (4.5, 1.9, 1.6)
    things = tuple(MapObject("vehicle", 0.9, x, y, 0.5, ("main",), size) for x, y in places)
    return replace(ground_map(), objects=things)


def box(x: float, y: float, **metadata: str) -> Box:
    pose = np.eye(4)
    pose[:3, 3] = x, y, 0.8
    found = {key.replace("_", "/"): value for key, value in metadata.items()}
    return Box("1", "vehicle", pose, (4.5, 1.9, 1.6), found)


def vehicle_scores(ego: EgoMap, *boxes: Box) -> dict[str, float]:
    scores = MapScores()
    scores.add_vehicles(ego, list(boxes))
    return scores.to_json()["vehicles"]


def test_the_truth_scores_one_and_a_shifted_road_less():
    right = ground_scores(ground_map())
    assert right["drivable_iou_seen"] == right["drivable_iou_all"] == right["cells_seen"] == 1
    shifted = ground_scores(ground_map(shift=2.0))
    assert shifted["drivable_iou_all"] == pytest.approx(8 / 12, abs=0.02)


def test_unknown_cells_cost_only_the_score_over_all_cells():
    half = ground_scores(ground_map(hidden_beyond=0.0))
    assert half["drivable_iou_seen"] == 1
    assert half["drivable_iou_all"] < 0.5 and half["cells_seen"] < 0.6


def test_vehicles_match_one_to_one():
    one = vehicle_scores(vehicle_map((20.0, 1.0)), box(20.0, 0.0), box(20.0, -8.0))
    assert one["true"] == 2 and one["recall"] == 0.5
    assert one["median_error_share_of_range"] == pytest.approx(0.05)
    assert one["duplicates"] == 0


def test_a_second_report_is_a_duplicate_and_one_elsewhere_is_not():
    twice = vehicle_scores(vehicle_map((20.0, 0.2), (20.0, 1.0)), box(20.0, 0.0))
    assert twice["duplicates"] == 0.5 and twice["recall"] == 1
    elsewhere = vehicle_scores(vehicle_map((20.0, 0.2), (5.0, 9.0)), box(20.0, 0.0))
    assert elsewhere["duplicates"] == 0


def test_a_vehicle_whose_track_changes_is_counted():
    scores = MapScores()
    for track in (7, 7, 9, 9):
        ego = vehicle_map((20.0, 0.2))
        motion = Motion(track, (0.0, 0.0), True, 0.0)
        things = tuple(replace(thing, motion=motion) for thing in ego.objects)
        scores.add_vehicles(replace(ego, objects=things), [box(20.0, 0.0)])
    found = scores.to_json()["vehicles"]
    assert found["id_switches"] == 1 and found["followed"] == 1


def test_scores_of_two_logs_add_up():
    first, second = MapScores(), MapScores()
    for scores, track in ((first, 7), (second, 8)):
        scores.add_ground(ground_map(shift=2.0 if track == 7 else 0), TRUTH)
        motion = Motion(track, (0.0, 0.0), True, 0.0)
        things = tuple(replace(t, motion=motion) for t in vehicle_map((20.0, 0.2)).objects)
        scores.add_vehicles(replace(ground_map(), objects=things), [box(20.0, 0.0)])
    both, alone = (first + second).to_json(), first.to_json()
    assert both["vehicles"]["true"] == both["vehicles"]["followed"] == 2
    assert both["vehicles"]["id_switches"] == 0  # the same name in another log
    assert alone["ground"]["drivable_iou_all"] < both["ground"]["drivable_iou_all"] < 1


def test_hidden_and_far_vehicles_do_not_count():
    hidden = vehicle_scores(vehicle_map(), box(20.0, 0.0, occlusion_main="0.90"))
    assert hidden["true"] == 0 and hidden["recall"] is None
    half_seen = box(20.0, 0.0, occlusion_main="0.90", occlusion_wide="0.30")
    assert vehicle_scores(vehicle_map(), half_seen)["recall"] == 0
    assert vehicle_scores(vehicle_map(), box(45.0, 0.0))["true"] == 0


def test_turned_cameras_are_off_by_the_angle_and_repeat():
    rig = load_rig("hw2")
    assert turned(rig, 0.0, 1) is rig
    once, again, other = turned(rig, 0.5, 1), turned(rig, 0.5, 1), turned(rig, 0.5, 2)
    differs = False
    for name in rig.names:
        before, after = rig[name].ego_from_camera, once[name].ego_from_camera
        angle = np.degrees(np.arccos((np.trace(before[:3, :3].T @ after[:3, :3]) - 1) / 2))
        assert angle == pytest.approx(0.5 * np.sqrt(3), abs=0.01)
        np.testing.assert_array_equal(after, again[name].ego_from_camera)
        np.testing.assert_array_equal(after[:3, 3], before[:3, 3])
        differs |= not np.array_equal(after, other[name].ego_from_camera)
    assert differs
