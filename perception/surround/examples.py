"""What the head learns from: a round after its network and its look-up, kept on disk.

The network and the look-up have nothing to learn here, so they run once for each round.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from calib.rig import Camera, Rig
from perception.checkpoint import load_network
from perception.predict import Predictor
from perception.surround.lookup import rig_lookup
from perception.surround.network import SurroundHead
from perception.surround.rounds import Round, read_round, scene_maps, truth_layers
from perception.surround.spec import SurroundSpec

# Half of the rounds are looked up with a calibration wrong by this, as real ones are.
CALIBRATION_ERROR_DEG = 0.4
# Of what is kept on disk: another one when the look-up changes.
_FORMAT = b"2"


@dataclass(frozen=True)
class Example:
    """`seen`: float32 (looks, groups, heights, rows, columns) as SurroundHead.look_up gives it;
    `weight`: float32 (looks, heights, rows, columns); `cameras`: (looks, rows, columns), whose
    look it is; `truth`: float32 (2, rows, columns)."""

    seen: NDArray[np.float32]
    weight: NDArray[np.float32]
    cameras: NDArray[np.int64]
    truth: NDArray[np.float32]


class ExampleMaker:
    """Makes the example of a round with one network, or finds it beside the round's pictures."""

    def __init__(self, weights: Path, spec: SurroundSpec) -> None:
        """Raises CheckpointError, SpecError for unusable weights."""
        network, self.model = load_network(weights)
        self._predict = Predictor(network)
        self._spec = spec
        self._head = SurroundHead(spec)
        facts = _FORMAT + weights.read_bytes() + spec.to_json().encode()
        self._name = f"seen_{hashlib.sha256(facts).hexdigest()[:12]}.npz"

    def __call__(self, folder: Path) -> Example:
        """The example of the round in `folder`. Raises DatasetError for a damaged round."""
        path = folder / self._name
        if not path.exists():
            self._write(self._make(read_round(folder), folder.name), path)
        with np.load(path) as file:
            seen = file["seen"].astype(np.float32) / 255
            weight, cameras = file["weight"].astype(np.float32), file["cameras"].astype(np.int64)
            return Example(seen, weight, cameras, file["truth"])

    def _make(self, seen: Round, name: str) -> Example:
        rig = seen.rig
        rng = np.random.default_rng(list(name.encode()))
        if rng.random() < 0.5:
            rig = Rig(rig.name, tuple(_misplaced(camera, rng) for camera in rig))
        scene = torch.from_numpy(scene_maps(seen, self._predict, self.model))
        lookup = rig_lookup(rig.cameras, self.model, self._spec)
        with torch.inference_mode():
            found = self._head.look_up(scene, torch.from_numpy(lookup.values)).numpy()
        weight = lookup.values[..., 2]
        return Example(found, weight, lookup.cameras, truth_layers(seen, self._spec))

    @staticmethod
    def _write(example: Example, path: Path) -> None:
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                seen=np.round(example.seen * 255).astype(np.uint8),
                weight=example.weight.astype(np.float16),
                cameras=example.cameras.astype(np.int8),
                truth=example.truth,
            )
        partial.replace(path)


def _misplaced(camera: Camera, rng: np.random.Generator) -> Camera:
    turn, _ = cv2.Rodrigues(np.radians(rng.normal(0, CALIBRATION_ERROR_DEG, 3)))
    pose = camera.ego_from_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ turn
    return replace(camera, ego_from_camera=pose)
