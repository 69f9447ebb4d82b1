"""The file of one calibrated camera: its lens as a rig file holds it, and where that came from."""

from dataclasses import asdict
from pathlib import Path

import yaml

from calib.errors import BoardError
from calib.intrinsics.calibrate import Calibration

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
