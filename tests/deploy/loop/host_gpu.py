"""A GPU of the mind: the calls of `cuda.bindings.runtime` and of TensorRT that the engine makes,
computed on the CPU.

It keeps the rules that a real one has and a careless caller breaks: what is queued on a stream is
done when somebody waits for it, what is queued while a stream records is not done at all but each
time the graph is replayed, and every address is one that was handed out. A plan is an ONNX file,
run by ONNX Runtime.
"""
# ruff: noqa: N802, N815  (CUDA's own names)

import ctypes
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, IntEnum
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from export.gpu import Gpu
from export.tensorrt_file import EngineKey, write_engine
from perception.spec import ModelSpec

HERE = Gpu("Stand-in RTX 4090", "8.9", "570.86.10, CUDA 12.8")
KEY = EngineKey(
    model="a" * 64,
    precision="fp32",
    runtime="tensorrt_rtx",
    version="1.7.1.116",
    gpu=HERE.key,
    driver=HERE.driver,
    max_batch=16,
)

Step = Callable[[], None]


class Status(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorLaunchFailure = 719


class HostCuda:
    """Stands for the module `cuda.bindings.runtime`. `calls` counts; `failing` names a call that
    fails."""

    cudaStreamNonBlocking = 1
    cudaHostAllocDefault = 0
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.failing = ""
        self.memory: dict[int, Any] = {}
        self.streams: dict[int, list[Step]] = {}
        self.graphs: dict[int, list[Step]] = {}
        self._recording: dict[int, list[Step]] = {}
        self._numbers = count(1)

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name.startswith("cuda") and callable(found):
            self.calls[name] += 1
            if name == self.failing:
                return lambda *_: (Status.cudaErrorLaunchFailure, None)
        return found

    def enqueue(self, stream: int, step: Step) -> None:
        self._recording.get(stream, self.streams[stream]).append(step)

    def cudaGetDeviceCount(self) -> tuple[Status, int]:
        return Status.cudaSuccess, 1

    def cudaGetErrorString(self, status: Status) -> tuple[Status, bytes]:
        return Status.cudaSuccess, b"unspecified launch failure"

    def cudaMalloc(self, size: int) -> tuple[Status, int]:
        block = (ctypes.c_uint8 * size)()
        address = ctypes.addressof(block)
        self.memory[address] = block
        return Status.cudaSuccess, address

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Status, int]:
        return self.cudaMalloc(size)

    def cudaFree(self, address: int) -> tuple[Status]:
        del self.memory[address]
        return (Status.cudaSuccess,)

    cudaFreeHost = cudaFree

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Status, int]:
        stream = next(self._numbers)
        self.streams[stream] = []
        return Status.cudaSuccess, stream

    def cudaStreamDestroy(self, stream: int) -> tuple[Status]:
        del self.streams[stream]
        return (Status.cudaSuccess,)

    def cudaMemcpyAsync(
        self, to: int, source: int, size: int, kind: int, stream: int
    ) -> tuple[Status]:
        assert to in self.memory and source in self.memory, "copies between known buffers"
        assert size <= min(len(self.memory[to]), len(self.memory[source]))
        self.enqueue(stream, lambda: ctypes.memmove(to, source, size))
        return (Status.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[Status]:
        assert not self.streams[stream], "nothing is under way when recording begins"
        self._recording[stream] = []
        return (Status.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Status, list[Step]]:
        return Status.cudaSuccess, self._recording.pop(stream)

    def cudaGraphInstantiate(self, graph: list[Step], flags: int) -> tuple[Status, int]:
        made = next(self._numbers)
        self.graphs[made] = list(graph)
        return Status.cudaSuccess, made

    def cudaGraphDestroy(self, graph: list[Step]) -> tuple[Status]:
        graph.clear()
        return (Status.cudaSuccess,)

    def cudaGraphExecDestroy(self, graph: int) -> tuple[Status]:
        del self.graphs[graph]
        return (Status.cudaSuccess,)

    def cudaGraphLaunch(self, graph: int, stream: int) -> tuple[Status]:
        self.streams[stream] += self.graphs[graph]
        return (Status.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Status]:
        assert stream not in self._recording, "nobody waits for a stream that records"
        steps, self.streams[stream][:] = list(self.streams[stream]), []
        for step in steps:
            step()
        return (Status.cudaSuccess,)


class _Mode(Enum):
    INPUT = 0
    OUTPUT = 1


class _Type(Enum):
    FLOAT = np.float32
    INT64 = np.int64


_TYPES = {"tensor(float)": _Type.FLOAT, "tensor(int64)": _Type.INT64}


def host_tensorrt(cuda: HostCuda) -> Any:
    """Stands for the module `tensorrt_rtx`."""
    return SimpleNamespace(
        __name__="tensorrt_rtx",
        __version__="1.7.1.116",
        TensorIOMode=_Mode,
        ILogger=_Logger,
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="eager"),
        Runtime=lambda logger: SimpleNamespace(
            deserialize_cuda_engine=lambda plan: _Plan(cuda, plan) if plan else _refuse(logger)
        ),
    )


class _Logger:
    ERROR, INTERNAL_ERROR, WARNING = "error", "internal", "warning"

    def __init__(self) -> None: ...


def _refuse(logger: Any) -> None:
    logger.log(_Logger.WARNING, "not this one")
    logger.log(_Logger.ERROR, "the plan is empty\nand that is all")


class _Plan:
    def __init__(self, cuda: HostCuda, plan: bytes) -> None:
        self.cuda = cuda
        self.session = ort.InferenceSession(plan, providers=["CPUExecutionProvider"])
        self._tensors = {
            node.name: (mode, node)
            for mode, nodes in (
                (_Mode.INPUT, self.session.get_inputs()),
                (_Mode.OUTPUT, self.session.get_outputs()),
            )
            for node in nodes
        }
        self.num_io_tensors = len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> _Mode:
        return self._tensors[name][0]

    def get_tensor_dtype(self, name: str) -> _Type:
        return _TYPES[self._tensors[name][1].type]

    def get_tensor_shape(self, name: str) -> list[int]:
        return [side if isinstance(side, int) else -1 for side in self._tensors[name][1].shape]

    def create_runtime_config(self) -> SimpleNamespace:
        return SimpleNamespace(dynamic_shapes_kernel_specialization_strategy="lazy")

    def create_execution_context(self, config: SimpleNamespace) -> "_Context":
        assert config.dynamic_shapes_kernel_specialization_strategy == "eager"
        return _Context(self)


class _Context:
    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return address in self._plan.cuda.memory

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self._plan.cuda.enqueue(stream, self._compute)
        return True

    def _compute(self) -> None:
        blocks = {name: self._plan.cuda.memory[at] for name, at in self._addresses.items()}
        (image,) = self._plan.session.get_inputs()
        images = np.frombuffer(blocks[image.name], np.float32).reshape(self._shape)
        names = [output.name for output in self._plan.session.get_outputs()]
        for name, array in zip(
            names, self._plan.session.run(names, {image.name: images}), strict=True
        ):
            assert array.nbytes == len(blocks[name]), "the buffer is the output's size"
            ctypes.memmove(blocks[name], array.ctypes.data, array.nbytes)


@contextmanager
def counted(cuda: HostCuda) -> Iterator[Counter[str]]:
    """The calls that are made in the block."""
    before, made = cuda.calls.copy(), Counter[str]()
    yield made
    made.update(cuda.calls - before)


def engine_file(path: Path, model: Path, spec: ModelSpec, key: EngineKey = KEY) -> Path:
    """`model` as the plan of every bucket, each with its own height and width."""
    loaded = onnx.load(model)
    metadata = {entry.key: entry.value for entry in loaded.metadata_props}
    plans = {}
    for name, size in spec.buckets.items():
        sides = loaded.graph.input[0].type.tensor_type.shape.dim
        sides[2].dim_value, sides[3].dim_value = size.height, size.width
        rows = loaded.graph.output[0].type.tensor_type.shape.dim
        rows[2].dim_value, rows[3].dim_value = size.height // 4, size.width // 4
        plans[name] = loaded.SerializeToString()
    write_engine(path, key, metadata, plans)
    return path
