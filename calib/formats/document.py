"""A calibration file before anybody says what its keys mean, and checks on its values.

Errors name the key, the value and the remedy; who reads the file adds its name.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calib.camera import check_rigid
from calib.errors import CalibError, FormatError
from calib.json_text import load_json
from calib.lens import Lens
from calib.yaml_file import YamlError, load_yaml

Model = Literal["pinhole", "fisheye"]
# YAML 1.1 takes 1e-05 for text, and programs write it.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Document:
    """One file. `content`: what JSON or YAML makes of the text; None where it is neither, and
    `problem` says why."""

    path: Path
    text: str
    content: Any
    problem: str = ""

    @property
    def mapping(self) -> dict[str, Any]:
        if self.problem:
            raise FormatError(f"{self.problem}; correct it")
        if not isinstance(self.content, dict):
            raise FormatError(f"is {shown(self.content)}; write it as keys and values")
        return self.content


@dataclass(frozen=True)
class Given:
    """What the user says of a file that does not say it itself.

    `sizes`: (width, height) by camera name; the name "" stands for all others.
    """

    model: Model | None = None
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def size(self, camera: str) -> tuple[int, int] | None:
        return self.sizes.get(camera) or self.sizes.get("")

    def needed_size(self, camera: str) -> tuple[int, int]:
        """Raises FormatError where nobody gave one."""
        size = self.size(camera)
        if size is None:
            raise FormatError(
                f"camera '{camera}': this format has no image size; give --size, such as 1600x900"
            )
        return size


def load(path: Path) -> Document:
    """Raises FormatError for a file that is no text."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("is no text file; give a calibration file") from error
    except OSError as error:
        raise FormatError(f"can't be read ({error.strerror}); check the path") from error
    if text.startswith(("%YAML:", "<?xml")):  # OpenCV's own dialects
        return Document(path, text, None, "not YAML but OpenCV's dialect of it")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return Document(path, text, load_json(text))
        except ValueError as error:
            return Document(path, text, None, f"not valid JSON: {error}")
    try:
        return Document(path, text, load_yaml(path))
    except YamlError as error:
        return Document(path, text, None, f"not valid YAML: {error}")


def shown(value: Any) -> str:
    """A value on one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def not_kept(keys: Iterable[Any]) -> tuple[str, ...]:
    """The note on keys of a file that a camera here has no place for, if there are any."""
    names = ", ".join(map(str, keys))
    return (f"{names}: not kept",) if names else ()


def entry(mapping: Any, key: str, where: str = "") -> Any:
    """`mapping[key]`. `where` names the mapping in errors, such as "cam0"."""
    if not isinstance(mapping, dict):
        raise FormatError(f"{where or 'file'} is {shown(mapping)}; write it as keys and values")
    if key not in mapping:
        raise FormatError(f"{_joined(where, key)} is missing; add it")
    return mapping[key]


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def number(value: Any, where: str) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{where} is {shown(value)}; give a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise FormatError(f"{where} is {found}; give a finite number")
    return found


def whole(value: Any, where: str) -> int:
    """A size in pixels."""
    found = number(value, where)
    if found != int(found) or found < 1:
        raise FormatError(f"{where} is {shown(value)}; give whole pixels above 0")
    return int(found)


def numbers(value: Any, count: int | None, where: str) -> list[float]:
    """A list of `count` numbers, or of any length."""
    if not isinstance(value, list) or (count is not None and len(value) != count):
        wanted = "a list of numbers" if count is None else f"a list of {count} numbers"
        size = f" ({len(value)} values)" if isinstance(value, list) else ""
        raise FormatError(f"{where} is {shown(value)}{size}; give {wanted}")
    return [number(item, f"{where}[{index}]") for index, item in enumerate(value)]


def rows(value: Any, shape: tuple[int, int], where: str) -> NDArray[np.float64]:
    """A matrix written as a list of rows."""
    if not isinstance(value, list) or len(value) != shape[0]:
        size = f" ({len(value)} rows)" if isinstance(value, list) else ""
        raise FormatError(f"{where} is {shown(value)}{size}; give {shape[0]} rows of {shape[1]}")
    return np.array([numbers(row, shape[1], f"{where}[{i}]") for i, row in enumerate(value)])


def rigid(matrix: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """The (4, 4) matrix itself. Raises FormatError unless it is a rigid transform."""
    try:
        check_rigid(matrix, where)
    except CalibError as error:
        raise FormatError(str(error)) from error
    return matrix


def make_lens(
    model: Model,
    size: tuple[int, int],
    matrix: NDArray[np.float64],
    distortion: list[float],
    where: str,
) -> Lens:
    """The lens of a camera matrix (3, 3). `where` names the camera in errors."""
    K = matrix
    if K[0, 1] != 0:
        raise FormatError(
            f"{where}: the camera matrix has a skew of {K[0, 1]:g}; none is supported"
        )
    if K[1, 0] != 0 or not np.array_equal(K[2], [0, 0, 1]):
        raise FormatError(
            f"{where}: {shown(K.tolist())} is no camera matrix; give [fx, 0, cx], [0, fy, cy],"
            " [0, 0, 1]"
        )
    try:
        return Lens(model, *size, K[0, 0], K[1, 1], K[0, 2], K[1, 2], tuple(distortion))
    except CalibError as error:
        raise FormatError(f"{where}: {error}") from error


def trimmed(coefficients: list[float], where: str) -> list[float]:
    """OpenCV's pinhole coefficients without the zeros at the end, as many as a lens takes.

    Raises FormatError for thin prism or tilt terms, which no lens here has.
    """
    if any(coefficients[8:]):
        raise FormatError(
            f"{where}: {shown(coefficients)} has thin prism or tilt terms; calibrate with 8"
            " coefficients or fewer"
        )
    used = max((i + 1 for i, value in enumerate(coefficients) if value), default=0)
    count = next(count for count in (0, 4, 5, 8) if count >= used)
    return (coefficients + [0.0] * 8)[:count]
