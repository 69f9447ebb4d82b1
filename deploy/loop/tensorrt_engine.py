"""TensorRT and TensorRT-RTX: plans of `octoview export --engine`, or of an ONNX file by the cache.

Never run on a GPU yet. The tests run it on a stand-in for driver and runtime that computes on the
CPU, and up to the driver with the real ones.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.errors import EngineError
from deploy.loop.artefact import PRECISION_KEY
from deploy.loop.cuda import Cuda
from deploy.loop.engine import Engine, Outputs
from export.errors import ExportError
from export.gpu import Gpu, find_gpu
from export.tensorrt_cache import cached_engine
from export.tensorrt_file import SUFFIX, EngineFile, read_engine
from export.tensorrt_runtime import (
    check_tensors,
    first_line,
    load_runtime,
    plan_tensors,
    quiet_logger,
    tensor_shape,
)
from perception.spec import ModelSpec, TensorSpec

Shape = tuple[int, ...]


class TensorRtEngine(Engine):
    """See `Engine`. `runtime` is `tensorrt` or `tensorrt-rtx`.

    An engine file of another release, GPU or driver is refused. An ONNX file's plans come from the
    cache of this machine, which builds what it has not got.

    Raises EngineError without the runtime, a driver or a GPU, and for a file that is missing,
    damaged, of another machine, or that differs from its ModelSpec.
    """

    threads = 1

    def __init__(self, path: Path, runtime: str) -> None:
        self.path = path
        try:
            gpu = find_gpu()
            self._trt: Any = load_runtime(runtime)
            # A foreign file is told from its key alone; nothing is built for a driver that fails.
            given = _given(path, self._trt, gpu) if path.suffix == SUFFIX else None
            self._cuda = Cuda()
            file = given or cached_engine(path, self._trt, gpu, _tell)
            self._problems: list[str] = []
            # The runtime keeps no reference to its logger.
            self._logger = quiet_logger(self._trt, self._problems)
            self._runtime = self._trt.Runtime(self._logger)
            self._plans = {
                (size.height, size.width): (bucket, self._load(file, bucket))
                for bucket, size in file.spec.buckets.items()
            }
        except ExportError as error:
            raise EngineError(str(error)) from error
        if len(self._plans) < len(file.spec.buckets):
            raise EngineError(
                f"{path}: two buckets are of one size; run it with --engine onnxruntime"
            )
        self.spec: ModelSpec = file.spec
        self.metadata: Mapping[str, str] = {
            **file.metadata,
            PRECISION_KEY: file.key.precision,
        }
        self.name = f"{runtime} {self._trt.__version__} {file.key.precision} on {gpu.name}"
        self._max_batch = file.key.max_batch
        self._lanes: dict[Shape, _Lane] = {}

    def allocate(self, shape: Shape) -> NDArray[np.float32]:
        """See `Engine.allocate`: pinned memory, from which the GPU fetches by itself."""
        return self._lane(shape).images

    def submit(self, images: NDArray[np.float32]) -> "_Lane":
        """See `Engine.submit`."""
        lane = self._lane(images.shape)
        if images is not lane.images:
            np.copyto(lane.images, images)
        lane.start()
        return lane

    def infer(self, images: NDArray[np.float32]) -> Outputs:
        """See `Engine.infer`."""
        return {name: array.copy() for name, array in self.submit(images).result().items()}

    def _load(self, file: EngineFile, bucket: str) -> Any:
        plan = self._runtime.deserialize_cuda_engine(file.plan(bucket))
        if plan is None:
            reason = first_line(self._problems[0]) if self._problems else "it gave no reason"
            raise EngineError(
                f"{self.path}: {self._trt.__name__} {self._trt.__version__} can't load the plan of "
                f"bucket '{bucket}': {reason}; update the driver, or export it again here"
            )
        check_tensors(self.path, plan_tensors(self._trt, plan), file.spec, bucket)
        return plan

    def _lane(self, shape: Shape) -> "_Lane":
        """Made when images of the shape are first seen."""
        if shape not in self._lanes:
            batch, channels, height, width = shape
            bucket, plan = self._plans.get((height, width), ("", None))
            if plan is None or channels != self.spec.input.shape[1] or batch > self._max_batch:
                sizes = ", ".join(f"{b.width}x{b.height}" for b in self.spec.buckets.values())
                raise EngineError(
                    f"{self.path}: can't run on images {shape}: its plans are for {sizes} and at "
                    f"most {self._max_batch} images of {self.spec.input.shape[1]} channels"
                )
            self._lanes[shape] = _Lane(self._cuda, self._context(plan), self.spec, bucket, batch)
        return self._lanes[shape]

    def _context(self, plan: Any) -> Any:
        strategies = getattr(self._trt, "DynamicShapesKernelSpecializationStrategy", None)
        if strategies is None:
            return plan.create_execution_context()
        # TensorRT-RTX would compile the kernels for this batch in the background and use others
        # meanwhile, and the graph would keep those.
        config = plan.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        return plan.create_execution_context(config)


class _Lane:
    """Images of one shape: their buffers on both sides, their stream and the recorded graph of
    copy, network and copy. Lanes run beside each other."""

    def __init__(self, cuda: Cuda, context: Any, spec: ModelSpec, bucket: str, batch: int) -> None:
        self._cuda, self._context = cuda, context
        self._stream = cuda.stream(self)
        self._input = spec.input.name
        self._addresses: dict[str, int] = {}

        def place(tensor: TensorSpec) -> NDArray[Any]:
            array = cuda.pinned(tensor_shape(tensor, spec, bucket, batch), tensor.dtype)
            self._addresses[tensor.name] = address = cuda.device_memory(self, array.nbytes)
            if not context.set_tensor_address(tensor.name, address):
                raise EngineError(f"GPU: tensor '{tensor.name}' takes no address; export again")
            return array

        self.images: NDArray[np.float32] = place(spec.input)
        self._outputs: Outputs = {tensor.name: place(tensor) for tensor in spec.outputs}
        if not context.set_input_shape(self._input, self.images.shape):
            raise EngineError(
                f"GPU: the plan takes no images {self.images.shape}; export the model again"
            )
        # Once before it is recorded: what is set up in a first run can't be recorded.
        self._enqueue()
        cuda.wait(self._stream)
        self._graph = cuda.record(self, self._stream, self._enqueue)

    def start(self) -> None:
        """Queue one run on `images`."""
        self._cuda.replay(self._graph, self._stream)

    def result(self) -> Outputs:
        """Wait for the run. The arrays are written again by the next one."""
        self._cuda.wait(self._stream)
        return self._outputs

    def _enqueue(self) -> None:
        self._cuda.copy_in(self._addresses[self._input], self.images, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise EngineError("GPU: the network can't be queued; export the model again")
        for name, array in self._outputs.items():
            self._cuda.copy_out(array, self._addresses[name], self._stream)


def _tell(step: str) -> None:
    print(step, file=sys.stderr)


def _given(path: Path, runtime: Any, gpu: Gpu) -> EngineFile:
    """An engine file, if it may run here. Raises ExportError."""
    file = read_engine(path)
    differences = file.key.differences(
        file.key.needed_on(runtime.__name__, runtime.__version__, gpu)
    )
    if differences:
        raise ExportError(
            f"{path}: can't run here ({'; '.join(differences)}); export it again on this machine, "
            "or give the ONNX file"
        )
    return file
