"""Folders of rounds as `octoview sim surround` writes them, and what the network sees in them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.letterbox import Letterbox
from calib.rig import Camera, Rig, load_rig
from perception.data.files import read_image, read_labels
from perception.data.normalise import normalise
from perception.errors import DatasetError, SpecError
from perception.spec import PRESETS, ModelSpec
from perception.surround.lookup import canvas
from perception.surround.spec import SurroundSpec
from perception.synthetic.birds_eye import CELL_M, REACH_M
from perception.taxonomy import IGNORE

Predict = Callable[[NDArray[np.float32]], dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Round:
    """All cameras of a rig at one instant. `images`: uint8 BGR of each camera. `drivable`: 0 or 1,
    `vehicles`: 0, 1 or IGNORE, both uint8 on the grid of BirdsEyeTruth."""

    rig: Rig
    images: tuple[NDArray[np.uint8], ...]
    drivable: NDArray[np.uint8]
    vehicles: NDArray[np.uint8]


def round_folders(folder: Path) -> list[Path]:
    """The finished rounds of `folder`. Raises DatasetError when there is none."""
    found = sorted(path.parent for path in folder.glob("*/vehicles.png"))
    if not found:
        raise DatasetError(f"{folder}: holds no rounds; make some with `octoview sim surround`")
    return found


def read_round(folder: Path) -> Round:
    """Raises DatasetError, RigError when a file is missing or damaged."""
    rig = load_rig(folder / "rig.yaml")
    images = tuple(read_image(folder / f"{camera.name}.jpg") for camera in rig)
    side = round(2 * REACH_M / CELL_M)
    square = np.empty((side, side), np.uint8)
    drivable, vehicles = (
        read_labels(folder / f"{name}.png", 2, like=square) for name in ("drivable", "vehicles")
    )
    return Round(rig, images, drivable, vehicles)


def scene_maps(seen: Round, predict: Predict, model: ModelSpec) -> NDArray[np.float32]:
    """The head's input `scene`, float32 (cameras, classes, height, width): class logits of the
    network, each camera's in the top left corner of a canvas in which all have room."""
    size, stride = canvas(seen.rig.cameras, model), model.output_stride
    shape = (len(seen.rig), len(model.scene_classes), size.height // stride, size.width // stride)
    maps = np.zeros(shape, np.float32)
    for own, image, camera in zip(maps, seen.images, seen.rig, strict=True):
        scene = predict(_framed(image, camera, model)[None])["scene"][0]
        own[:, : scene.shape[1], : scene.shape[2]] = scene
    return maps


def _framed(image: NDArray[np.uint8], camera: Camera, model: ModelSpec) -> NDArray[np.float32]:
    """Letterboxed into the camera's bucket and normalised, (channels, height, width)."""
    size = model.bucket(camera.bucket)
    box = Letterbox.fit(image.shape[1], image.shape[0], size.width, size.height)
    inside = (box.resized_width, box.resized_height)
    resized = np.asarray(cv2.resize(image, inside, interpolation=cv2.INTER_LINEAR), np.uint8)
    left, top = box.pad
    framed = np.zeros((3, size.height, size.width), np.float32)
    framed[:, top : top + inside[1], left : left + inside[0]] = normalise(resized, model)
    return np.tile(framed, (model.frames, 1, 1))


def truth_layers(seen: Round, spec: SurroundSpec) -> NDArray[np.float32]:
    """(2, rows, columns): the share of each cell that is drivable, and the share that vehicles
    cover, NaN where one stands that no camera sees.

    Raises SpecError when the grid's cells are not made of whole cells of the truth.
    """
    fine = round(spec.cell / CELL_M)
    edges = np.array([spec.x_min, spec.x_max, spec.y_min, spec.y_max]) + REACH_M
    cells = np.round(edges / CELL_M).astype(int)
    whole = np.allclose(cells * CELL_M, edges) and np.isclose(fine * CELL_M, spec.cell)
    if not whole or cells.min() < 0 or edges.max() > 2 * REACH_M:
        raise SpecError(
            f"surround grid {spec.x_min:g}..{spec.x_max:g} x {spec.y_min:g}..{spec.y_max:g} m of "
            f"{spec.cell:g} m: the truth has {CELL_M:g} m cells within {REACH_M:g} m"
        )
    rows, columns = spec.shape
    vehicles = np.where(seen.vehicles == IGNORE, np.nan, seen.vehicles)
    both = np.stack([seen.drivable, vehicles])[:, cells[2] : cells[3], cells[0] : cells[1]]
    blocks = both.reshape(2, rows, fine, columns, fine)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float32)


def at_network_size(camera: Camera) -> Camera:
    """The camera whose pictures are as large as those that the nano preset gets of this one."""
    size = PRESETS["nano"].bucket(camera.bucket)
    box = Letterbox.fit(camera.lens.width, camera.lens.height, size.width, size.height)
    return replace(camera, lens=camera.lens.resized(box.resized_width, box.resized_height))
