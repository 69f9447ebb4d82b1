"""The few CUDA calls that an engine on a GPU makes, through `cuda.bindings`.

Memory is freed with the object that it was made for; handles and addresses are plain numbers.
"""

import ctypes
import weakref
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.errors import EngineError
from export.gpu import cuda_version

_TOO_OLD = "cudaErrorInsufficientDriver"


class Cuda:
    """The first GPU. Raises EngineError without the bindings, a driver or a GPU, and for a driver
    that is too old."""

    def __init__(self) -> None:
        try:
            self._runtime: Any = import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise EngineError(
                f"running on a GPU needs {error.name}; install octoview[gpu]"
            ) from error
        status, *_ = self._runtime.cudaGetDeviceCount()
        if status.name == _TOO_OLD:
            _, needed = self._runtime.cudaRuntimeGetVersion()
            _, served = self._runtime.cudaDriverGetVersion()
            raise EngineError(
                f"the NVIDIA driver serves CUDA {cuda_version(served)}, cuda-bindings needs "
                f"{needed // 1000} or later; update the driver"
                if served
                else "no NVIDIA driver here; install it, or run on the CPU"
            )
        self._check(status)

    def stream(self, owner: object) -> int:
        """A new stream that waits for no other."""
        made = self._call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)
        return self._owned(owner, "cudaStreamDestroy", int(made))

    def device_memory(self, owner: object, size: int) -> int:
        """The address of `size` bytes on the GPU."""
        return self._owned(owner, "cudaFree", int(self._call("cudaMalloc", size)))

    def pinned(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """An array of zeros that the GPU reads and writes without a copy on the way."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        flags = self._runtime.cudaHostAllocDefault
        address = int(self._call("cudaHostAlloc", size, flags))
        memory = (ctypes.c_uint8 * size).from_address(address)
        self._owned(memory, "cudaFreeHost", address)
        array = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
        array[:] = 0
        return array

    def copy_in(self, address: int, array: NDArray[Any], stream: int) -> None:
        """Queue a copy of all of `array` to the GPU."""
        self._copy(address, array.ctypes.data, array.nbytes, "HostToDevice", stream)

    def copy_out(self, array: NDArray[Any], address: int, stream: int) -> None:
        """Queue a copy that fills `array` from the GPU."""
        self._copy(array.ctypes.data, address, array.nbytes, "DeviceToHost", stream)

    def record(self, owner: object, stream: int, enqueue: Callable[[], None]) -> int:
        """A graph of all that `enqueue` queues on the stream; nothing of it runs."""
        # This thread's calls alone: others may use the GPU while it records.
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        try:
            enqueue()
        finally:
            graph = self._call("cudaStreamEndCapture", stream)
        made = self._call("cudaGraphInstantiate", graph, 0)
        self._call("cudaGraphDestroy", graph)
        return self._owned(owner, "cudaGraphExecDestroy", int(made))

    def replay(self, graph: int, stream: int) -> None:
        """Queue a recorded graph."""
        self._call("cudaGraphLaunch", graph, stream)

    def wait(self, stream: int) -> None:
        """Until all that was queued is done. Raises EngineError when any of it failed."""
        self._call("cudaStreamSynchronize", stream)

    def _copy(self, to: int, source: int, size: int, kind: str, stream: int) -> None:
        kinds = self._runtime.cudaMemcpyKind
        self._call("cudaMemcpyAsync", to, source, size, getattr(kinds, f"cudaMemcpy{kind}"), stream)

    def _owned(self, owner: object, free: str, handle: int) -> int:
        weakref.finalize(owner, getattr(self._runtime, free), handle)
        return handle

    def _call(self, function: str, *arguments: object) -> Any:
        """The call's only result, if it has one."""
        status, *results = getattr(self._runtime, function)(*arguments)
        self._check(status, function)
        return results[0] if results else None

    def _check(self, status: Any, function: str = "cudaGetDeviceCount") -> None:
        if int(status):
            _, text = self._runtime.cudaGetErrorString(status)
            raise EngineError(
                f"GPU: {function}: {text.decode()} ({status.name}); see `octoview doctor`"
            )
