"""One picture of each camera of a rig."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.encoded_image import decode
from calib.errors import BoardError
from calib.intrinsics.images import SUFFIXES
from calib.rig import Rig


def load_pictures(folder: Path, rig: Rig) -> dict[str, NDArray[np.uint8]]:
    """FOLDER/CAMERA.png (or another kind) by camera, uint8 (H, W, 3) BGR.

    Raises BoardError for a camera without a picture, and for one of another size than its lens.
    """
    if not folder.is_dir():
        raise BoardError(f"{folder}: no such folder; give that of the cameras' pictures")
    files = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES}
    pictures = {}
    for camera in rig:
        path = files.get(camera.name)
        if path is None:
            raise BoardError(f"{folder}: has no picture of camera '{camera.name}'; add it by name")
        image = decode(path.read_bytes(), cv2.IMREAD_COLOR)
        if image is None:
            raise BoardError(f"{path}: is no image that OpenCV can read")
        lens = camera.lens
        if image.shape[:2] != (lens.height, lens.width):
            raise BoardError(
                f"{path}: is {image.shape[1]}x{image.shape[0]} and the rig says "
                f"{lens.width}x{lens.height}; give pictures as the camera makes them"
            )
        pictures[camera.name] = np.asarray(image, np.uint8)
    return pictures
