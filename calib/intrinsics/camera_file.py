"""The file of one calibrated camera: its lens as a rig file holds it, and where that came from."""

from dataclasses import asdict
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from calib.errors import BoardError, LensError
from calib.intrinsics.calibrate import Calibration
from calib.lens import Lens
from calib.yaml_file import YamlError, load_yaml

NAMES = ("fx", "fy", "cx", "cy")


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
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(yaml.safe_dump(content, sort_keys=False, default_flow_style=None))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise BoardError(
            f"{path}: can't be written ({error.strerror}); name another file"
        ) from error


def load_lens(path: Path) -> Lens:
    """The lens of a file that `save_camera` wrote. Raises BoardError."""
    try:
        return TypeAdapter(Lens).validate_python(load_yaml(path)["lens"])
    except OSError as error:
        raise BoardError(f"{path}: can't be read ({error.strerror}); check the path") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["lens", *map(str, first["loc"])])
        raise BoardError(f"{path}: {key}: {first['msg']}; calibrate it again") from error
    except (YamlError, LensError, KeyError, TypeError) as error:
        raise BoardError(f"{path}: holds no lens; write it with calibrate intrinsics") from error
