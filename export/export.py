"""Checkpoint in, checked ONNX file out."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.errors import ExportError
from export.onnx_file import write_onnx
from export.parity import Infer, Parity, check_parity
from perception.checkpoint import load_network, load_tensors
from perception.data.normalise import normalise
from perception.spec import ModelSpec


def export_onnx(
    checkpoint: Path, path: Path, batches: Iterable[NDArray[np.float32]] | None = None
) -> Parity:
    """Write `path` from `checkpoint`, but only if the reloaded file passes the parity gate.

    `batches` are the images compared, by default `texture_batches`. On a failed gate the
    returned report has `failures` and `path` is as it was. Raises CheckpointError, SpecError,
    and ExportError for a path that can't be written.
    """
    network, spec = load_network(checkpoint)
    _, header = load_tensors(checkpoint)  # says more than the spec, such as the training images
    if not path.parent.is_dir():
        raise ExportError(f"{path.parent}: no such folder; make it or choose another --out")
    if path.is_dir():
        raise ExportError(f"{path}: is a folder; name a file, such as {path / 'nano.onnx'}")
    partial = path.with_name(path.name + ".partial")
    try:
        write_onnx(network, partial, header)
        infer = onnxruntime_infer(partial)
        parity = check_parity(network, infer, texture_batches(spec) if batches is None else batches)
        if not parity.failures:
            partial.replace(path)
        return parity
    finally:
        partial.unlink(missing_ok=True)


def onnxruntime_infer(path: Path) -> Infer:
    """ONNX Runtime on the CPU, as a plain callable."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    image = session.get_inputs()[0].name

    def infer(batch: NDArray[np.float32]) -> dict[str, NDArray]:
        return dict(zip(names, session.run(names, {image: batch}), strict=True))

    return infer


def texture_batches(spec: ModelSpec, cameras: int = 4) -> Iterable[NDArray[np.float32]]:
    """One batch a bucket of cloud-like pictures, each different: a gate that needs no data."""
    rng = np.random.default_rng(0)
    for bucket in spec.buckets.values():
        images = []
        for _ in range(cameras * spec.frames):
            picture = np.zeros((bucket.height, bucket.width, 3), np.float32)
            for octave in (4, 16, 64):
                coarse = rng.uniform(-1, 1, (octave * 3 // 4, octave, 3)).astype(np.float32)
                size = (bucket.width, bucket.height)
                larger = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
                picture += np.asarray(larger, np.float32) / octave**0.5
            scaled = np.clip(127 + 160 * picture, 0, 255).astype(np.uint8)
            images.append(normalise(scaled, spec))
        yield np.stack(images).reshape(cameras, -1, bucket.height, bucket.width)
