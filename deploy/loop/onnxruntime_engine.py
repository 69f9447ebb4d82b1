"""ONNX Runtime on the CPU, or on a GPU by its CUDA and TensorRT providers."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from deploy.errors import EngineError
from deploy.loop.artefact import check_file, first_line, named_outputs, no_text, read_spec
from deploy.loop.engine import Engine, Outputs
from deploy.loop.machine import physical_cores
from deploy.loop.runtimes import PROVIDERS
from perception.spec import ModelSpec

_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}
_ERRORS_ONLY = 3
_OPTIONS = {
    # Float32 as the file says and not TF32's 11 bits; kernels chosen by rule, not by a race.
    "CUDAExecutionProvider": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
}
# What TensorRT does not take, CUDA does.
_CHAINS = {"TensorrtExecutionProvider": ("TensorrtExecutionProvider", "CUDAExecutionProvider")}


class OnnxRuntimeEngine(Engine):
    """See `Engine`. Equal input gives equal bytes out: the runtime's deterministic mode is on.

    `name` is a key of PROVIDERS. Raises EngineError when the file is missing or damaged, has no
    ModelSpec, or differs from it, and when the runtime would take another device than that.
    """

    def __init__(self, path: Path, threads: int | None = None, name: str = "onnxruntime") -> None:
        self.path = path
        self.threads = threads or physical_cores()
        provider = PROVIDERS[name]
        self.name = f"onnxruntime {ort.__version__} {provider.removesuffix('ExecutionProvider')}"
        # Flushing denormals is a setting of the processor per thread, and the runtime sets it in
        # the thread that opens the session. A thread of its own keeps it from everybody else.
        self._thread = ThreadPoolExecutor(1, "engine")
        self._session = self._thread.submit(_open, path, self.threads, provider).result()
        try:
            self.metadata = self._session.get_modelmeta().custom_metadata_map
            self.spec = read_spec(path, self.metadata)
            _check_tensors(path, self._session, self.spec)
        except UnicodeDecodeError as error:
            raise no_text(path, error) from error
        self._outputs = [tensor.name for tensor in self.spec.outputs]

    def submit(self, images: NDArray[np.float32]) -> Future[Outputs]:
        """See `Engine.submit`."""
        return self._thread.submit(self._run, images)

    def _run(self, images: NDArray[np.float32]) -> Outputs:
        try:
            arrays = self._session.run(self._outputs, {self.spec.input.name: images})
        except Exception as error:  # the runtime's exceptions share no base but this one
            raise EngineError(
                f"{self.path}: can't run on images {images.shape}: {first_line(error)}; "
                "export the model again"
            ) from error
        return named_outputs(self.path, self.spec, images.shape, arrays)


def _open(path: Path, threads: int, provider: str) -> ort.InferenceSession:
    check_file(path)
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    # Denormal floats run up to 100 times slower than others; activations near zero produce them.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    # Threads that spin between calls take the processor from the stages that run then: on a busy
    # machine of two cores, decode and fuse took half the time without, and so did the engine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider != PROVIDERS["onnxruntime"]:
        ort.preload_dlls()  # CUDA and cuDNN as packages of Python, which no linker finds
    try:
        providers = [(name, _OPTIONS.get(name, {})) for name in _CHAINS.get(provider, (provider,))]
        session = ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # the runtime's exceptions share no base but this one
        raise EngineError(
            f"{path}: is no model that onnxruntime {ort.__version__} can load "
            f"({first_line(error)}); export it again"
        ) from error
    # The runtime takes the CPU, with no more than a warning, where a provider does not load or a
    # run on it fails.
    session.disable_fallback()
    active = session.get_providers()[0]
    if active != provider:
        raise EngineError(
            f"{path}: onnxruntime {ort.__version__} takes {active} instead of {provider}, which "
            "does not load here; install the CUDA, cuDNN or TensorRT that it names, or choose "
            "--engine onnxruntime"
        )
    return session


def _check_tensors(path: Path, session: ort.InferenceSession, spec: ModelSpec) -> None:
    """Names, types and ranks in the graph against the spec; sizes are checked when it runs."""
    for kind, expected, found in (
        ("input", (spec.input,), session.get_inputs()),
        ("output", spec.outputs, session.get_outputs()),
    ):
        by_name = {tensor.name: tensor for tensor in found}
        if sorted(by_name) != sorted(tensor.name for tensor in expected):
            raise EngineError(
                f"{path}: {kind}s are {', '.join(by_name)}, its spec says "
                f"{', '.join(tensor.name for tensor in expected)}; export the model again"
            )
        for tensor in expected:
            node = by_name[tensor.name]
            if node.type != _TYPES[tensor.dtype] or len(node.shape) != len(tensor.shape):
                raise EngineError(
                    f"{path}: {kind} '{tensor.name}' is {node.type} {node.shape}, its spec says "
                    f"{tensor.dtype} {list(tensor.shape)}; export the model again"
                )
    channels = session.get_inputs()[0].shape[1]
    if channels != spec.input.shape[1]:
        raise EngineError(
            f"{path}: input takes {channels} channels, its spec says {spec.input.shape[1]}; "
            "export the model again"
        )
