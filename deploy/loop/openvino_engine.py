"""OpenVINO on the CPU."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from deploy.errors import EngineError
from deploy.loop.artefact import check_file, named_outputs, no_text, read_spec
from deploy.loop.engine import Engine, Outputs
from deploy.loop.machine import physical_cores

_TYPES = {"float32": ov.Type.f32, "int64": ov.Type.i64}


class OpenVinoEngine(Engine):
    """See `Engine`. What the model does not quantise is computed in float32, never in bfloat16.

    Raises EngineError when the file is missing or damaged, has no ModelSpec, or differs from it.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        check_file(path)
        self.path = path
        self.threads = threads or physical_cores()
        self.name = f"openvino {ov.__version__.split('-')[0]} CPU"
        # Flushing denormals is a setting of the processor per thread: a thread of its own keeps
        # it from everybody else.
        self._thread = ThreadPoolExecutor(1, "engine")
        try:
            model = ov.Core().read_model(path)
        except (RuntimeError, UnicodeDecodeError) as error:  # its words may quote the file
            raise EngineError(
                f"{path}: is no model that {self.name} can load ({_reason(error)}); export it again"
            ) from error
        try:
            self.metadata: Mapping[str, str] = _metadata(model)
            self.spec = read_spec(path, self.metadata)
            self._check_tensors(model)
        except UnicodeDecodeError as error:
            raise no_text(path, error) from error
        self._request = self._thread.submit(self._compile, model).result()

    def submit(self, images: NDArray[np.float32]) -> Future[Outputs]:
        """See `Engine.submit`."""
        return self._thread.submit(self._run, images)

    def _compile(self, model: ov.Model) -> ov.InferRequest:
        options = {
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            "CPU_DENORMALS_OPTIMIZATION": True,
        }
        try:
            return ov.Core().compile_model(model, "CPU", options).create_infer_request()
        except (RuntimeError, UnicodeDecodeError) as error:
            raise EngineError(
                f"{self.path}: {self.name} can't run it ({_reason(error)}); "
                "choose --engine onnxruntime"
            ) from error

    def _run(self, images: NDArray[np.float32]) -> Outputs:
        try:
            self._request.infer({self.spec.input.name: ov.Tensor(images)})
        except RuntimeError as error:
            raise EngineError(
                f"{self.path}: can't run on images {images.shape}: {_reason(error)}; "
                "export the model again"
            ) from error
        # Copied: the request writes its next outputs into the same memory.
        arrays = [self._request.get_tensor(t.name).data.copy() for t in self.spec.outputs]
        return named_outputs(self.path, self.spec, images.shape, arrays)

    def _check_tensors(self, model: ov.Model) -> None:
        """Names, types and ranks in the graph against the spec; sizes are checked when it runs."""
        for kind, expected, found in (
            ("input", (self.spec.input,), model.inputs),
            ("output", self.spec.outputs, model.outputs),
        ):
            by_name = {name: port for port in found for name in port.get_names()}
            absent = [tensor.name for tensor in expected if tensor.name not in by_name]
            if absent or len(found) != len(expected):
                raise EngineError(
                    f"{self.path}: {kind}s are {', '.join(sorted(by_name))}, its spec says "
                    f"{', '.join(tensor.name for tensor in expected)}; export the model again"
                )
            for tensor in expected:
                port = by_name[tensor.name]
                rank = port.get_partial_shape().rank
                wrong_rank = rank.is_static and rank.get_length() != len(tensor.shape)
                if port.get_element_type() != _TYPES[tensor.dtype] or wrong_rank:
                    raise EngineError(
                        f"{self.path}: {kind} '{tensor.name}' is {port.get_element_type()} "
                        f"{port.get_partial_shape()}, its spec says {tensor.dtype} "
                        f"{list(tensor.shape)}; export the model again"
                    )
        channels = model.inputs[0].get_partial_shape()[1]
        if channels.is_static and channels.get_length() != self.spec.input.shape[1]:
            raise EngineError(
                f"{self.path}: input takes {channels.get_length()} channels, its spec says "
                f"{self.spec.input.shape[1]}; export the model again"
            )


def _reason(error: Exception) -> str:
    """The last line of the message: those before it say where in OpenVINO it arose."""
    return (str(error).strip().splitlines() or [repr(error)])[-1].strip("- ")[:200]


def _metadata(model: ov.Model) -> dict[str, str]:
    """The ONNX file's own metadata, which OpenVINO keeps below `framework`."""
    if not model.has_rt_info(["framework"]):
        return {}
    return {key: str(value) for key, value in model.get_rt_info(["framework"]).value.items()}
