"""What every engine checks of a model, whatever runs it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.errors import EngineError
from export import checksum
from perception.errors import SpecError
from perception.spec import QUANTISATION_KEY, ModelSpec, TensorSpec

PRECISION_KEY = "octoview.precision"
"""Under it an engine says what its plans compute in: they come of an ONNX file's metadata, which
tell of that file."""


def check_file(path: Path) -> None:
    """Raises EngineError when there is no such file, or its bytes are not those exported."""
    if not path.is_file():
        raise EngineError(f"{path}: no such model; check the path, or `octoview export` one")
    if damage := checksum.damage(path.read_bytes()):
        raise EngineError(f"{path}: {damage}; it is damaged or was changed: export it again")


def no_text(path: Path, error: UnicodeDecodeError) -> EngineError:
    """Runtimes load a model whose names or metadata are no UTF-8, and fail when asked for them."""
    return EngineError(f"{path}: has names or metadata that are no text ({error}); export it again")


def read_spec(path: Path, metadata: Mapping[str, str]) -> ModelSpec:
    """The spec inside the model. Raises EngineError without one or when its hash differs."""
    try:
        return ModelSpec.from_metadata(metadata)
    except SpecError as error:
        raise EngineError(f"{path}: {error}") from error


def precision_of(metadata: Mapping[str, str]) -> str:
    """`fp32`, `fp16` or `int8`: what the artefact computes in."""
    return metadata.get(PRECISION_KEY) or ("int8" if QUANTISATION_KEY in metadata else "fp32")


def named_outputs(
    path: Path,
    spec: ModelSpec,
    images: tuple[int, ...],
    arrays: Sequence[NDArray[np.generic]],
) -> dict[str, NDArray[np.generic]]:
    """Outputs in the spec's order, by name; `images` is the shape of what went in.

    Raises EngineError when a shape is not the spec's.
    """
    for tensor, array in zip(spec.outputs, arrays, strict=True):
        expected = _expected_shape(tensor, images, spec.output_stride)
        if array.shape != expected:
            raise EngineError(
                f"{path}: output '{tensor.name}' is {array.shape}, its spec says "
                f"{expected}; export the model again"
            )
    return {tensor.name: array for tensor, array in zip(spec.outputs, arrays, strict=True)}


def _expected_shape(
    tensor: TensorSpec, images: tuple[int, ...], output_stride: int
) -> tuple[int, ...]:
    batch, _, height, width = images
    sizes = {
        "batch": batch,
        f"height/{output_stride}": height // output_stride,
        f"width/{output_stride}": width // output_stride,
    }
    return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in tensor.shape)


def first_line(error: Exception) -> str:
    """The runtime's message, cut to a line."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
