"""The floor: what a model's arithmetic costs at the speed of this machine's matrix product, and
what its bytes cost at the speed of its memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort

from deploy.errors import EngineError

SIDE = 2048
"""Rows and columns: long enough a product that waking the threads does not count."""


class MemoryCopy:
    """A copy of more than the caches hold, a share for each thread."""

    _SHARE = 64 * 2**20

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "copy")
        self._shares = [np.ones((2, self._SHARE), np.uint8) for _ in range(threads)]
        self.bytes = 2 * self._SHARE * threads
        """Read and written in one run."""

    def run(self) -> None:
        """One copy."""
        list(self._pool.map(lambda share: np.copyto(share[1], share[0]), self._shares))


class MatrixProduct:
    """A float32 matrix product in ONNX Runtime, the machine's peak in practice.

    Raises EngineError without the `onnx` package, which writes the graph.
    """

    macs = SIDE**3

    def __init__(self, threads: int) -> None:
        try:
            from onnx import TensorProto, helper
        except ImportError as error:
            raise EngineError("needs the package onnx; install octoview[train]") from error
        square = [SIDE, SIDE]
        names = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, square) for name in "abc"
        }
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["a", "b"], ["c"])],
            "product",
            [names["a"], names["b"]],
            [names["c"]],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        ).SerializeToString()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._thread = ThreadPoolExecutor(1, "product")
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(0)
        self._feed = {name: rng.random(square, np.float32) for name in "ab"}

    def run(self) -> None:
        """One product."""
        self._thread.submit(self._session.run, None, self._feed).result()
