"""The file of one calibrated camera: its lens as a rig file holds it, and where that came from."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import TypeAdapter, ValidationError

from calib.errors import BoardError, LensError
from calib.formats.document import shown
from calib.intrinsics.calibrate import Calibration
from calib.lens import Lens
from calib.text_file import write_text
from calib.yaml_file import YamlError, load_yaml

NAMES = ("fx", "fy", "cx", "cy")


class Parameter(NamedTuple):
    """One number of a lens with its standard deviation, and how many digits are worth showing."""

    name: str
    value: float
    deviation: float
    digits: int


def parameters(found: Calibration) -> list[Parameter]:
    """fx fy cx cy, then the coefficients."""
    lens = found.lens
    values = [*(getattr(lens, name) for name in NAMES), *lens.distortion]
    names = [*NAMES, *(f"distortion[{i}]" for i in range(len(lens.distortion)))]
    digits = [2] * len(NAMES) + [5] * len(lens.distortion)
    return [Parameter(*one) for one in zip(names, values, found.deviations, digits, strict=True)]


def save_camera(path: Path, calibration: Calibration, board: str) -> None:
    """Write in one go; missing folders are made. `lens` can be pasted into a rig file as it is.
    Raises BoardError when the file can't be written."""
    lens = calibration.lens
    deviations = [float(f"{x:.3g}") for x in calibration.deviations]
    content = {
        "lens": asdict(lens) | {"distortion": list(lens.distortion)},
        "calibration": {
            "board": board,
            "boards_used": len(calibration.views),
            "rms_px": round(calibration.rms_px, 4),
            "heldout_rms_px": round(calibration.heldout_rms_px, 4),
            "standard_deviations": {
                **dict(zip(NAMES, deviations, strict=False)),
                "distortion": deviations[len(NAMES) :],
            },
        },
    }
    try:
        write_text(path, yaml.safe_dump(content, sort_keys=False, default_flow_style=None))
    except OSError as error:
        raise BoardError(
            f"{path}: can't be written ({error.strerror}); name another file"
        ) from error


def lens_of(content: Any) -> Lens:
    """The lens of a camera file's `lens`. Raises LensError with the key, its value and why."""
    try:
        return TypeAdapter(Lens).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["lens", *map(str, first["loc"])])
        raise LensError(f"{key} is {shown(first['input'])}; {first['msg']}") from error


def load_lens(path: Path) -> Lens:
    """The lens of a file that `save_camera` wrote. Raises BoardError."""
    try:
        return lens_of(load_yaml(path)["lens"])
    except OSError as error:
        raise BoardError(f"{path}: can't be read ({error.strerror}); check the path") from error
    except LensError as error:
        raise BoardError(f"{path}: {error}; calibrate it again") from error
    except (YamlError, KeyError, TypeError) as error:
        raise BoardError(f"{path}: holds no lens; write it with calibrate intrinsics") from error
