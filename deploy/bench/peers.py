"""Other people's ONNX models, run by ONNX Runtime as ours is: same threads, denormals flushed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from deploy.errors import EngineError
from deploy.loop.artefact import check_file, first_line

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_ERRORS_ONLY = 3


class Peer:
    """A model of one image input (N, 3, height, width), run on one image.

    image: uint8 (H, W, 3) BGR, resized to the model's input; `free_size` (width, height) stands
    in for axes that the model leaves free. Raises EngineError for a file that is no such model or
    that ONNX Runtime can't run.
    """

    def __init__(
        self, path: Path, threads: int, image: NDArray[np.uint8], free_size: tuple[int, int]
    ) -> None:
        self.path = path
        # Denormals are flushed in the thread that opens the session, and in no other.
        self._thread = ThreadPoolExecutor(1, "peer")
        self._session = self._thread.submit(_open, path, threads).result()
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _DTYPES:
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise EngineError(
                f"--peer {path}: inputs are {found}; give a model of one image (N, 3, H, W)"
            )
        batch, channels, height, width = inputs[0].shape
        if channels != 3 or (isinstance(batch, int) and batch != 1):
            raise EngineError(
                f"--peer {path}: input '{inputs[0].name}' is {inputs[0].shape}; "
                "give a model of one image (1, 3, H, W)"
            )
        self.width = width if isinstance(width, int) else free_size[0]
        self.height = height if isinstance(height, int) else free_size[1]
        resized = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        planar = np.ascontiguousarray(resized[None, :, :, ::-1].transpose(0, 3, 1, 2))
        dtype = _DTYPES[inputs[0].type]
        tensor = planar if dtype is np.uint8 else (planar / 255).astype(dtype)
        self._feed = {inputs[0].name: tensor}
        self.run()

    @property
    def megapixels(self) -> float:
        """Size of the input in units of 1e6 pixels."""
        return self.width * self.height / 1e6

    def run(self) -> None:
        """One inference. Raises EngineError when the model fails."""
        try:
            self._thread.submit(self._session.run, None, self._feed).result()
        except Exception as error:  # the runtime's exceptions share no base but this one
            size = f"{self.width}x{self.height}"
            raise EngineError(
                f"--peer {self.path}: can't run on {size} ({first_line(error)}); "
                "give a model with a fixed input size"
            ) from error


def _open(path: Path, threads: int) -> ort.InferenceSession:
    check_file(path)
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no base but this one
        raise EngineError(
            f"--peer {path}: is no model that onnxruntime {ort.__version__} can load "
            f"({first_line(error)}); give another"
        ) from error
