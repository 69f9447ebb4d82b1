"""A round's folder without a renderer."""

from pathlib import Path

import cv2
import numpy as np

from calib.rig import Rig, load_rig, save_rig
from perception.surround.rounds import at_network_size
from perception.taxonomy import IGNORE


def write_round(folder: Path, drivable_rows: slice) -> Path:
    """Two cameras of hw2, a road in these rows of the truth, a vehicle and a hidden one."""
    folder.mkdir(parents=True)
    cameras = [at_network_size(load_rig("hw2")[name]) for name in ("left_pillar", "right_pillar")]
    save_rig(Rig("pair", tuple(cameras)), folder / "rig.yaml")
    rng = np.random.default_rng(0)
    for camera in cameras:
        size = (camera.lens.height, camera.lens.width, 3)
        image = cv2.blur(rng.integers(0, 255, size).astype(np.uint8), (9, 9))
        cv2.imwrite(str(folder / f"{camera.name}.jpg"), image)
    drivable, vehicles = np.zeros((2, 400, 400), np.uint8)
    drivable[drivable_rows] = 1
    vehicles[196:204, 240:264] = 1
    vehicles[196:204, 150:170] = IGNORE
    cv2.imwrite(str(folder / "drivable.png"), drivable)
    cv2.imwrite(str(folder / "vehicles.png"), vehicles)
    return folder
