"""From camera image to network input, for training and scoring."""

import cv2
import numpy as np
import numpy.typing as npt

from perception.spec import ModelSpec


def normalise(image: npt.NDArray[np.uint8], spec: ModelSpec) -> npt.NDArray[np.float32]:
    """(H, W, 3) uint8 BGR of network size to (3, H, W) float32 as `spec` wants its colours."""
    tensor = np.empty((3, *image.shape[:2]), np.float32)
    # Planes are split first: contiguous reads make this several times faster.
    planes = zip(tensor, reversed(cv2.split(image)), spec.mean, spec.std, strict=True)
    for out, plane, mean, std in planes:
        np.multiply(plane, np.float32(1 / (255 * std)), out=out)
        out -= np.float32(mean / std)
    return tensor


def padding_colour(spec: ModelSpec) -> tuple[int, int, int]:
    """BGR bytes nearest to `spec.mean`, which normalise to about zero: the letterbox colour."""
    red, green, blue = (round(255 * value) for value in spec.mean)
    return blue, green, red


def denormalise(tensor: npt.NDArray[np.float32], spec: ModelSpec) -> npt.NDArray[np.float32]:
    """(3 * frames, ...) as the network takes it to RGB of 0 to 255, the inverse of `normalise`."""
    shape = (len(tensor),) + (1,) * (tensor.ndim - 1)
    mean = np.array(spec.mean * spec.frames, np.float32).reshape(shape)
    std = np.array(spec.std * spec.frames, np.float32).reshape(shape)
    return 255 * (tensor * std + mean)
