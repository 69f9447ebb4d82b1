"""The learned surround head in the loop: what all cameras saw, looked up into one grid.

Off unless asked for. It takes the scene logits that the network gives anyway, so it runs behind
any engine; itself it is small and runs in ONNX Runtime.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from calib.rig import Rig
from deploy.errors import EngineError
from deploy.loop.artefact import check_file, first_line
from deploy.loop.decode import CameraResult
from deploy.loop.engine import shipped_model
from deploy.loop.machine import physical_cores
from perception.errors import SpecError
from perception.spec import ModelSpec
from perception.surround.lookup import canvas, rig_lookup
from perception.surround.spec import SurroundSpec


@dataclass(frozen=True)
class SurroundMap:
    """`probability`: float32 (layers, rows, columns) of `spec.layers` on its grid. `seen`: bool
    (rows, columns), cells that some camera of this tick looks at; behind what stands there, and
    where no camera looks, the head guesses."""

    spec: SurroundSpec
    probability: NDArray[np.float32]
    seen: NDArray[np.bool_]

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Each layer at ego points (rows, columns, 2), between the centres of cells bilinear:
        (layers, rows, columns)."""
        start = (self.spec.x_min, self.spec.y_min)
        x, y = np.moveaxis((points - start) / self.spec.cell - 0.5, -1, 0).astype(np.float32)
        layers = [
            cv2.remap(layer, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for layer in self.probability
        ]
        return np.asarray(layers, np.float32)


def shipped_head() -> Path:
    """The head that comes with the package."""
    return shipped_model().with_name("surround.onnx")


class Surround:
    """A head and the look-up of one rig.

    Raises EngineError when the file is missing, damaged or no head, and when it was trained on
    other scene classes than the network has; SpecError for a bucket that the network has not.
    """

    def __init__(self, path: Path, rig: Rig, model: ModelSpec, threads: int | None = None) -> None:
        check_file(path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or physical_cores()
        options.use_deterministic_compute = True
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._path = path
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.spec = SurroundSpec.from_metadata(metadata)
        except SpecError as error:
            raise EngineError(f"{path}: {error}") from error
        except Exception as error:  # the runtime's exceptions share no base but this one
            raise EngineError(f"{path}: can't be loaded ({first_line(error)})") from error
        if self.spec.scene_classes != model.scene_classes:
            raise EngineError(
                f"{path}: takes scene classes {', '.join(self.spec.scene_classes)}, the network "
                f"gives {', '.join(model.scene_classes)}; train a head for this network"
            )
        self._names = list(rig.names)
        self._lookup = rig_lookup(rig.cameras, model, self.spec)
        size, stride = canvas(rig.cameras, model), model.output_stride
        rows, columns = size.height // stride, size.width // stride
        self._scene = np.zeros((len(rig), len(model.scene_classes), rows, columns), np.float32)

    def see(self, cameras: Mapping[str, CameraResult]) -> SurroundMap | None:
        """The grid of one tick from the cameras that have a result; None if none has.

        Raises EngineError when the runtime fails.
        """
        absent = []
        for place, name in enumerate(self._names):
            logits = cameras[name].logits if name in cameras else None
            if logits is None:
                absent.append(place)
                self._scene[place] = 0
            else:
                self._scene[place, :, : logits.shape[1], : logits.shape[2]] = logits
        if len(absent) == len(self._names):
            return None
        lookup = self._lookup.without(absent)
        inputs = dict(zip((t.name for t in self.spec.inputs), (self._scene, lookup), strict=True))
        try:
            (found,) = self._session.run([self.spec.output.name], inputs)
        except Exception as error:  # as above
            raise EngineError(f"{self._path}: can't run ({first_line(error)})") from error
        probability = 1 / (1 + np.exp(-np.asarray(found, np.float32)))
        seen = np.max(lookup[..., 2], axis=(0, 1)) > 0
        return SurroundMap(self.spec, probability.astype(np.float32), seen)
