"""Label sets: how a dataset's labels speak about the network's scene classes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perception.errors import DatasetError


def label_matrix(
    label_to_scene: Sequence[frozenset[str]], scene_classes: Sequence[str]
) -> npt.NDArray[np.float32]:
    """(n_labels, n_scene_classes) matrix of 0 and 1: which scene classes make up each label.

    `matrix @ probabilities` gives label probabilities. An all-zero row is an ignored label.
    Raises DatasetError for a set that names a class the network has not.
    """
    matrix = np.zeros((len(label_to_scene), len(scene_classes)), np.float32)
    for row, names in enumerate(label_to_scene):
        unknown = names - set(scene_classes)
        if unknown:
            raise DatasetError(
                f"label {row} maps to unknown scene class '{min(unknown)}'; "
                f"known are {', '.join(scene_classes)}"
            )
        matrix[row] = [name in names for name in scene_classes]
    return matrix
