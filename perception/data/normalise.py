"""From camera image to network input, for training and scoring."""

import numpy as np
import numpy.typing as npt

from perception.spec import ModelSpec


def normalise(image: npt.NDArray[np.uint8], spec: ModelSpec) -> npt.NDArray[np.float32]:
    """(H, W, 3) uint8 BGR of network size to (3, H, W) float32 as `spec` wants its colours."""
    mean = np.array(spec.mean, np.float32)[:, None, None]
    std = np.array(spec.std, np.float32)[:, None, None]
    rgb = image[:, :, ::-1].transpose(2, 0, 1)
    return np.ascontiguousarray((rgb / np.float32(255) - mean) / std)


def padding_colour(spec: ModelSpec) -> tuple[int, int, int]:
    """BGR bytes nearest to `spec.mean`, which normalise to about zero: the letterbox colour."""
    red, green, blue = (round(255 * value) for value in spec.mean)
    return blue, green, red
