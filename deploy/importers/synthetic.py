"""A drive through a synthetic world made into a log."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage

from deploy.log import channels
from deploy.log.boxes import Box, to_scene_update
from deploy.log.grids import DRIVABLE_LAYER, GroundGrid, to_grid
from deploy.log.rig_messages import to_ego_transform
from deploy.log.stamps import to_timestamp
from deploy.log.writer import LogWriter
from perception.synthetic.birds_eye import CELL_M, REACH_M
from perception.synthetic.drive import Drive, Instant, instants


def write_drive(drive: Drive, out: Path, progress: Callable[[int], None], workers: int = 2) -> int:
    """Render `drive` into the log `out`: rig, images, pose of the ego vehicle in the map frame
    on /tf, and with `drive.truth` label images, 3D boxes and the drivable ground from above. Stamps
    start at 0.

    A box's metadata holds for every camera that sees the object its visible 2D box in pixels
    (`box/CAMERA`: x0 y0 x1 y1) and its `occlusion/CAMERA`. `progress` is told the images done.
    Returns their number.

    Raises:
        LogError: `out` can't be written.
        PerceptionError: this machine can't render.
    """
    images = 0
    with LogWriter(out) as log:
        log.rig(drive.rig, 0)
        for instant in instants(drive, workers):
            stamp_ns = round(instant.t * 1e9)
            log.message(
                channels.TRANSFORMS, to_ego_transform(instant.world_from_ego, stamp_ns), stamp_ns
            )
            for name, shot in instant.shots.items():
                log.image(name, stamp_ns, shot.image, drive.format)
                if shot.labels is not None:
                    scene = CompressedImage(
                        timestamp=to_timestamp(stamp_ns),
                        frame_id=name,
                        data=shot.labels,
                        format="png",
                    )
                    log.message(channels.truth_scene_topic(name), scene, stamp_ns)
            if drive.truth:
                boxes = to_scene_update(_boxes(instant), stamp_ns)
                log.message(channels.TRUTH_OBJECTS, boxes, stamp_ns)
            if instant.drivable is not None:
                percent = np.where(instant.drivable, 100, 0).astype(np.uint8)
                ground = GroundGrid(-REACH_M, -REACH_M, CELL_M, {DRIVABLE_LAYER: percent})
                log.message(channels.TRUTH_DRIVABLE, to_grid(ground, stamp_ns), stamp_ns)
            images += len(instant.shots)
            progress(images)
    return images


def _boxes(instant: Instant) -> list[Box]:
    """One box for each object that any camera sees."""
    boxes: dict[int, Box] = {}
    for camera, shot in instant.shots.items():
        for truth in shot.objects:
            if truth.instance not in boxes:
                c, s = np.cos(truth.yaw), np.sin(truth.yaw)
                pose = np.eye(4)
                pose[:2, :2] = [[c, -s], [s, c]]
                pose[:3, 3] = truth.position
                pose[2, 3] += truth.size[2] / 2
                boxes[truth.instance] = Box(str(truth.instance), truth.kind, pose, truth.size)
            metadata = boxes[truth.instance].metadata
            metadata[f"box/{camera}"] = " ".join(f"{value:.1f}" for value in truth.box)
            metadata[f"occlusion/{camera}"] = f"{truth.occlusion:.2f}"
    return [boxes[key] for key in sorted(boxes)]
