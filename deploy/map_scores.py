"""Scores of the fused map against the truth that a log carries (docs/ego-map.md).

Ground: intersection over union of drivable cells within GROUND_REACH_M. Vehicles: matched to true
boxes by the distance of the centres, one to one (Kuhn 1955), within VEHICLE_REACH_M.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from calib.rig import Camera, Rig
from deploy.errors import LogError
from deploy.log import channels
from deploy.log.boxes import Box, from_scene_update
from deploy.log.ego_pose import EgoPoses
from deploy.log.grids import GroundGrid, from_grid
from deploy.log.reader import LogReader
from deploy.loop.clock import LockstepClock
from deploy.loop.ego_map import EgoMap
from deploy.loop.engine import Engine
from deploy.loop.join import join_frames
from deploy.loop.pipeline import Pipeline, TickResult
from deploy.loop.surround import Surround
from deploy.map_truth import drivable_at, enough_seen
from deploy.surround_scores import SurroundScores

GROUND_REACH_M = 30.0
VEHICLE_REACH_M = 40.0
RANGES_M = (0.0, 10.0, 20.0, 30.0, 40.0)
# A vehicle counts as found within this distance of its centre, or this share of its range.
GATE_M, GATE_SHARE = 2.0, 0.15


@dataclass
class MapScores:
    """Counts over all ticks of one log; `to_json` gives the measures."""

    ticks: int = 0
    cells: int = 0
    seen: int = 0
    both: int = 0  # drivable in map and truth
    either: int = 0
    either_seen: int = 0
    reported: int = 0  # vehicles
    duplicates: int = 0
    ranges: list[float] = field(default_factory=list)  # of the true vehicles that count
    found: list[bool] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)  # share of range, of those found
    switches: int = 0
    grounds: int = 0  # ticks with true ground
    surround: SurroundScores = field(default_factory=SurroundScores)
    _ids: dict[str, int] = field(default_factory=dict)  # track that stood for a true vehicle last

    def add_ground(self, ego: EgoMap, truth: GroundGrid) -> None:
        """Count the cells of one tick."""
        centres = ego.grid.centres()[..., :2]
        near = np.linalg.norm(centres, axis=-1) <= GROUND_REACH_M
        true = drivable_at(truth, centres)
        near &= true >= 0
        drivable, mapped = true == 1, ego.seen & (ego.drivable >= 0.5)
        self.grounds += 1
        self.cells += int(near.sum())
        self.seen += int((near & ego.seen).sum())
        self.both += int((near & drivable & mapped).sum())
        self.either += int((near & (drivable | mapped)).sum())
        self.either_seen += int((near & ego.seen & (drivable | mapped)).sum())

    def add_vehicles(self, ego: EgoMap, boxes: list[Box]) -> None:
        """Match the vehicles of one tick."""
        boxes = [box for box in boxes if box.object_class == "vehicle"]
        truth = np.array([box.ego_from_box[:2, 3] for box in boxes]).reshape(-1, 2)
        distance = np.linalg.norm(truth, axis=1)
        counts = (distance <= VEHICLE_REACH_M) & np.array([enough_seen(b) for b in boxes], bool)
        things = [thing for thing in ego.objects if thing.label == "vehicle"]
        mapped = np.array([(thing.x, thing.y) for thing in things]).reshape(-1, 2)
        gate = np.maximum(GATE_M, GATE_SHARE * distance)
        apart = np.linalg.norm(truth[:, None] - mapped[None], axis=-1)
        close = apart <= gate[:, None]
        rows, columns = linear_sum_assignment(np.where(close, apart, 1e6))
        good = close[rows, columns]
        partner = dict(zip(rows[good].tolist(), columns[good].tolist(), strict=True))
        in_reach = np.linalg.norm(mapped, axis=1) <= VEHICLE_REACH_M
        spare = in_reach & ~np.isin(np.arange(len(mapped)), list(partner.values()))
        # Beside a vehicle that another report already stands for.
        taken = np.isin(np.arange(len(boxes)), list(partner))
        self.duplicates += int((spare & close[taken].any(axis=0)).sum())
        self.reported += int(in_reach.sum())
        for row, column in partner.items():
            motion = things[column].motion
            if motion and counts[row]:
                before = self._ids.get(boxes[row].id, motion.id)
                self.switches += motion.id != before
                self._ids[boxes[row].id] = motion.id
        for index in np.flatnonzero(counts).tolist():
            self.ranges.append(float(distance[index]))
            self.found.append(index in partner)
            if index in partner:
                share = apart[index, partner[index]] / max(float(distance[index]), 1.0)
                self.errors.append(float(share))

    def __add__(self, other: "MapScores") -> "MapScores":
        """Counts of both, as of one log. Vehicles of the two are different ones."""
        mine, theirs = vars(self), vars(other)
        total = MapScores(**{key: mine[key] + theirs[key] for key in mine if key != "_ids"})
        total._ids = {
            f"{i}/{key}": track
            for i, ids in enumerate((self._ids, other._ids))
            for key, track in ids.items()
        }
        return total

    def to_json(self) -> dict[str, Any]:
        """Every measure; None where nothing was there to measure."""
        ranges, found = np.array(self.ranges), np.array(self.found, bool)
        by_range = {}
        for low, high in pairwise(RANGES_M):
            inside = (ranges > low) & (ranges <= high)
            by_range[f"{low:g}-{high:g} m"] = {
                "vehicles": int(inside.sum()),
                "recall": _share(int(found[inside].sum()), int(inside.sum())),
            }
        ground = None
        if self.grounds:
            ground = {
                "drivable_iou_seen": _share(self.both, self.either_seen),
                "drivable_iou_all": _share(self.both, self.either),
                "cells_seen": _share(self.seen, self.cells),
            }
        return {
            "ticks": self.ticks,
            "ground": ground,
            "surround": self.surround.to_json() or None,
            "vehicles": {
                "true": len(ranges),
                "reported": self.reported,
                "recall": _share(int(found.sum()), len(found)),
                "median_error_share_of_range": float(np.median(self.errors))
                if self.errors
                else None,
                "duplicates": _share(self.duplicates, self.reported),
                "id_switches": self.switches,
                "followed": len(self._ids),
                "recall_by_range": by_range,
            },
        }


def score_log(
    log: Path,
    engine: Engine,
    turn_deg: float = 0.0,
    seed: int = 0,
    surround: Path | None = None,
    progress: Callable[[TickResult], None] = lambda result: None,
) -> MapScores:
    """Run `log` through the loop and score its map. With `turn_deg` every camera's calibration is
    first made wrong by that angle about each of its axes, with random signs. `surround`: a
    learned head to score beside it.

    Raises LogError when the log has no truth, and what the loop raises.
    """
    reader = LogReader(log)
    objects = {
        m.stamp_ns: from_scene_update(m.decode()) for m in reader.messages([channels.TRUTH_OBJECTS])
    }
    if not objects:
        raise LogError(f"{log}: has no {channels.TRUTH_OBJECTS}; record it with sim log --truth")
    grounds = {}
    for message in reader.messages([channels.TRUTH_DRIVABLE]):
        try:
            grounds[message.stamp_ns] = from_grid(message.decode())
        except ValueError as error:
            raise LogError(f"{log}: {channels.TRUTH_DRIVABLE}: {error}") from error
    rig = turned(reader.rig, turn_deg, seed)
    pipeline = Pipeline(rig, engine)
    head = Surround(surround, rig, engine.spec) if surround else None
    poses = EgoPoses(reader)
    scores = MapScores()
    for encoded in LockstepClock().pace(join_frames(reader.images(), rig)):
        result = pipeline.tick(encoded, poses.at(encoded.stamp_ns))
        stamp = result.frames.stamp_ns
        if stamp in grounds:
            scores.add_ground(result.ego, grounds[stamp])
        if stamp in objects:
            scores.add_vehicles(result.ego, objects[stamp])
            scores.ticks += 1
        if head and (learned := head.see(result.fit_cameras)):
            both = grounds.get(stamp), objects.get(stamp)
            scores.surround.add(result.ego, learned, *both)
        progress(result)
    if not scores.ticks:
        raise LogError(f"{log}: no truth has the stamp of a frame set; record them together")
    return scores


def turned(rig: Rig, degrees: float, seed: int) -> Rig:
    """The rig with each camera turned by `degrees` about each of its axes, signs at random."""
    rng = np.random.default_rng(seed)

    def turn(camera: Camera) -> Camera:
        pose = camera.ego_from_camera.copy()
        signs = rng.choice([-1.0, 1.0], 3)
        pose[:3, :3] @= Rotation.from_euler("xyz", degrees * signs, degrees=True).as_matrix()
        return replace(camera, ego_from_camera=pose)

    return rig if degrees == 0 else Rig(rig.name, tuple(turn(camera) for camera in rig))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
