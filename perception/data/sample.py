"""One annotated training view, in memory."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Objects:
    """Annotated objects of one image.

    Coordinates are pixels, x right, y down, pixel centres at integers. Box edges lie on pixel
    borders: a mask that covers columns a..b and rows c..d has the box
    (a - 0.5, c - 0.5, b + 0.5, d + 0.5), and a whole image is (-0.5, -0.5, W - 0.5, H - 0.5).
    """

    boxes: npt.NDArray[np.float32]  # (n, 4): x0, y0, x1, y1
    classes: npt.NDArray[np.int64]  # (n,): index into OBJECT_CLASSES
    ground_points: npt.NDArray[np.float32]  # (n, 2): footprint centre, NaN where unknown
    ignore: npt.NDArray[np.bool_]  # (n,): neither trained nor scored

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Sample:
    """One image with its annotation.

    `labels` holds the *dataset's own* label indices (see Dataset.label_to_scene), and IGNORE
    where there is none.
    """

    image: npt.NDArray[np.uint8]  # (H, W, 3) BGR
    labels: npt.NDArray[np.uint8]  # (H, W)
    objects: Objects
    source: str  # file of the image, for messages
    camera: str
    previous: npt.NDArray[np.uint8] | None = None
    """(H, W, 3) BGR, the camera's frame before `image`; None where there is none."""

    @property
    def frames(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """The frame before and the image. Where there is none before, the image stands in for
        it, as it does in the loop."""
        return self.image if self.previous is None else self.previous, self.image
