"""Checkpoint in, checked ONNX file out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.accuracy import AccuracyChange, accuracy_change
from export.errors import ExportError
from export.int8 import LEAST_IMAGES, Images, Quantised, quantise
from export.onnx_file import write_onnx
from export.parity import FP32, INT8, Comparison, Infer, Parity, Tolerance, check_parity
from perception.checkpoint import load_network, load_tensors
from perception.data.dataset import Dataset
from perception.data.normalise import normalise
from perception.network import OctoNet
from perception.spec import TRAINED_ON_KEY, ModelSpec

Engines = Mapping[str, Callable[[Path], Infer]]
"""How to load an ONNX file, by engine."""
Progress = Callable[[str], None]


def onnxruntime_infer(path: Path) -> Infer:
    """ONNX Runtime on the CPU, as a plain callable."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    image = session.get_inputs()[0].name

    def infer(batch: NDArray[np.float32]) -> dict[str, NDArray]:
        return dict(zip(names, session.run(names, {image: batch}), strict=True))

    return infer


ONNX_RUNTIME: Engines = {"onnxruntime": onnxruntime_infer}


def export_onnx(
    checkpoint: Path,
    path: Path,
    batches: Iterable[NDArray[np.float32]] | None = None,
    engines: Engines = ONNX_RUNTIME,
) -> dict[str, Parity]:
    """Write `path` from `checkpoint`, but only if the reloaded file passes the parity gate in
    every one of `engines`.

    `batches` are the images compared, by default `texture_batches`. On a failed gate the
    returned reports have `failures` and `path` is as it was. Raises CheckpointError, SpecError,
    and ExportError for a path that can't be written.
    """
    network, spec = load_network(checkpoint)
    _, header = load_tensors(checkpoint)  # says more than the spec, such as the training images
    images = list(texture_batches(spec) if batches is None else batches)
    with partial_file(path) as partial:
        write_onnx(network, partial, header)
        parities = _parities(network, partial, images, engines, FP32)
        if not any(parity.failures for parity in parities.values()):
            partial.replace(path)
    return parities


@dataclass(frozen=True)
class Int8Export:
    """What was chosen and measured."""

    quantised: Quantised
    parities: dict[str, Parity]
    changes: tuple[AccuracyChange, ...]

    @property
    def failures(self) -> list[str]:
        """Empty when the file was written."""
        differ = [f for parity in self.parities.values() for f in parity.failures]
        return differ + [f for change in self.changes for f in change.failures]


def export_int8(
    checkpoint: Path,
    path: Path,
    images: Sequence[Images],
    datasets: Sequence[Dataset],
    engines: Engines = ONNX_RUNTIME,
    progress: Progress = lambda step: None,
) -> Int8Export:
    """Write `path`, the INT8 form of `checkpoint`, but only if it passes the parity gate in every
    one of `engines` and loses little on every one of `datasets`.

    images: float32 (N, C, H, W) of one or more buckets. Every other one gives the ranges; what is
    chosen is chosen by likeness to FP32 on the rest, which is a finer measure than any labels
    are, and the first of these are compared in every engine. Raises as `export_onnx` does, and
    ExportError for images that are too few or dark.
    """
    network, spec = load_network(checkpoint)
    _, header = load_tensors(checkpoint)
    for_ranges = [batch[::2] for batch in images]
    held_out = [batch[1::2] for batch in images if len(batch) > 1]
    if not held_out:
        raise ExportError(f"INT8: give at least {2 * LEAST_IMAGES} images of the road")
    with partial_file(path) as partial, TemporaryDirectory() as folder:
        full = Path(folder) / "fp32.onnx"
        write_onnx(network, full, header)
        failed = check_parity(network, onnxruntime_infer(full), texture_batches(spec)).failures
        if failed:
            raise ExportError(f"{checkpoint}: its FP32 ONNX form is not faithful: {failed[0]}")
        judge = Likeness(onnxruntime_infer(full), held_out, len(spec.scene_classes))
        quantised = quantise(full, partial, for_ranges, spec, judge, progress)
        progress("parity")
        some = [batch[:4] for batch in held_out]
        parities = _parities(network, partial, some, engines, INT8)
        trained_on = header.get(TRAINED_ON_KEY)
        changes = []
        for dataset in datasets:
            progress(f"scores on {dataset.name}")
            both = onnxruntime_infer(full), onnxruntime_infer(partial)
            changes.append(accuracy_change(*both, dataset, spec, trained_on))
        result = Int8Export(quantised, parities, tuple(changes))
        if not result.failures:
            partial.replace(path)
    return result


class Likeness:
    """How like a file's outputs are to the FP32 model's: the mean of the IoU of its masks and of
    the share of objects found where they were, by ONNX Runtime."""

    def __init__(self, full: Infer, batches: Sequence[Images], n_classes: int) -> None:
        self._batches, self._n_classes = batches, n_classes
        self._expected = [full(batch) for batch in batches]

    def __call__(self, path: Path) -> float:
        infer = onnxruntime_infer(path)
        comparison = Comparison(self._n_classes, INT8)
        for batch, expected in zip(self._batches, self._expected, strict=True):
            comparison.add(expected, infer(batch))
        found = comparison.result()
        if not found.objects:
            return found.mask_iou
        return (found.mask_iou + found.objects_matched / found.objects) / 2


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


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write first. Raises ExportError when `path` can't be written."""
    if not path.parent.is_dir():
        raise ExportError(f"{path.parent}: no such folder; make it or choose another --out")
    if path.is_dir():
        raise ExportError(f"{path}: is a folder; name a file, such as {path / 'nano.onnx'}")
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _parities(
    network: OctoNet,
    path: Path,
    batches: Sequence[NDArray[np.float32]],
    engines: Engines,
    tolerance: Tolerance,
) -> dict[str, Parity]:
    return {
        name: check_parity(network, load(path), batches, tolerance)
        for name, load in engines.items()
    }
