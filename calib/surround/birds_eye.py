"""The ground from above, as one camera sees it and as all cameras see it together."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera

# Metres from the edge of a camera's view over which it gives way to its neighbours.
FEATHER_M = 1.0


@dataclass(frozen=True)
class GroundArea:
    """A rectangle of the plane z = 0 of the ego frame, metres, and the side of its pixels. In
    pictures of it forward is up: row 0 lies at `x_max`, column 0 at `y_max`."""

    x_min: float
    x_max: float
    y_min: float
    y_max: float
    pixel: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        x, y = self.x_max - self.x_min, self.y_max - self.y_min
        return round(x / self.pixel), round(y / self.pixel)

    def ego(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ground points (..., 3) of pixels (..., 2), x right and y down, centres at integers."""
        x = self.x_max - (pixels[..., 1] + 0.5) * self.pixel
        y = self.y_max - (pixels[..., 0] + 0.5) * self.pixel
        return np.stack([x, y, np.zeros_like(x)], axis=-1)

    def points(self) -> NDArray[np.float64]:
        """Ground points (rows, columns, 3) of all pixels."""
        rows, columns = self.shape
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
        return self.ego(grid.astype(np.float64))


@dataclass(frozen=True)
class Body:
    """The vehicle from above, a rectangle along x around y = 0: `rear` and `front` along x and
    `width`, metres."""

    rear: float
    front: float
    width: float

    def hides(self, camera: Camera, ground: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where the line from the camera to ground points (..., 3), from above, crosses it. A
        camera inside looks out of the nearest side."""
        low = np.array([self.rear, -self.width / 2])
        high = np.array([self.front, self.width / 2])
        eye = camera.ego_from_camera[:2, 3].copy()
        if (eye > low).all() and (eye < high).all():
            sides = np.concatenate([eye - low, high - eye])
            side = int(sides.argmin())
            eye[side % 2] = (low if side < 2 else high)[side % 2]
        ray = ground[..., :2] - eye
        with np.errstate(all="ignore"):
            ends = np.stack([(low - eye) / ray, (high - eye) / ray])
        enters, leaves = ends.min(axis=0).max(axis=-1), ends.max(axis=0).min(axis=-1)
        # A line along its side touches it only.
        return (np.minimum(leaves, 1) - np.maximum(enters, 0)) > 1e-6


@dataclass(frozen=True)
class GroundPicture:
    """The ground as one camera sees it: `image` uint8 (rows, columns, 3) BGR, black where not
    `seen`, bool (rows, columns). `detail`: pixels of the camera on each of it, float32."""

    image: NDArray[np.uint8]
    seen: NDArray[np.bool_]
    detail: NDArray[np.float32]


def ground_picture(
    camera: Camera, image: NDArray[np.uint8], area: GroundArea, body: Body | None = None
) -> GroundPicture:
    """What `camera` sees of the ground past the vehicle's own `body`, through its true lens.
    `image` uint8 (H, W, 3) is of the lens's size."""
    ground = area.points()
    pixels, seen = camera.project(ground)
    if body:
        seen &= ~body.hides(camera, ground)
    x, y = np.where(seen[..., None], pixels, -1).astype(np.float32).transpose(2, 0, 1)
    down, right = np.gradient(pixels, axis=(0, 1))
    detail = np.abs(down[..., 0] * right[..., 1] - down[..., 1] * right[..., 0])
    seen &= np.isfinite(detail)
    detail = np.where(seen, detail, 0).astype(np.float32)
    warped = np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR), np.uint8)
    warped[~seen] = 0
    return GroundPicture(warped, seen, detail)


def stitch(pictures: Iterable[GroundPicture], area: GroundArea) -> NDArray[np.uint8]:
    """One picture (rows, columns, 3) of all: each pixel mostly from whoever sees it in most
    detail, and nobody ends at a hard edge. Black where nobody sees."""
    total = np.zeros((*area.shape, 3), np.float32)
    weights = np.zeros(area.shape, np.float32)
    for picture in pictures:
        inside = np.pad(picture.seen, 1).astype(np.uint8)
        edge = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1] * area.pixel
        # Of the squared detail, so that a seam is narrow: where both are mixed, both blur.
        weight = np.minimum(edge / FEATHER_M, 1) * picture.detail**2
        total += weight[..., None] * picture.image
        weights += weight
    return np.rint(total / np.maximum(weights, 1e-12)[..., None]).astype(np.uint8)
