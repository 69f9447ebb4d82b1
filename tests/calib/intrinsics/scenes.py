"""Boards before known lenses."""

import cv2
import numpy as np

from calib.boards.chessboard import Chessboard
from calib.intrinsics.fit import View
from calib.intrinsics.images import Boards
from calib.lens import Lens

BOARD = Chessboard(9, 6, 0.03)
PINHOLE = Lens("pinhole", 1280, 720, 1150, 1152, 655, 352, (-0.28, 0.09, 0.001, -0.0005))
WIDE = Lens("pinhole", 1280, 800, 600, 602, 635, 410, (-0.3, 0.12, 0.001, -0.0005, -0.02))
FISHEYE = Lens("fisheye", 1280, 960, 383, 385, 640, 477, (0.04, -0.05, 0.02, -0.003))


def boards(lens: Lens, count: int = 16, noise: float = 0.15, seed: int = 0) -> Boards:
    """Tilted boards all over the image, found with `noise` pixels a coordinate."""
    rng = np.random.default_rng(seed)
    points = BOARD.points
    middle = points.mean(axis=0)
    views: list[View] = []
    while len(views) < count:
        rotation = cv2.Rodrigues(rng.normal(0, 0.45, 3))[0]
        ray = lens.unproject(rng.uniform([0, 0], [lens.width, lens.height]))
        place = ray * rng.uniform(0.9, 3) * np.ptp(points[:, 0])
        pixels, visible = lens.project((points - middle) @ rotation.T + place)
        if visible.all():
            found = pixels + rng.normal(0, noise, pixels.shape)
            views.append(View(f"{len(views):02}.png", points, found))
    return Boards(lens.width, lens.height, tuple(views), {})


def picture(lens: Lens, pose: np.ndarray, board: Chessboard = BOARD) -> np.ndarray:
    """The board as the lens sees it from `pose` (6,), grey, each pixel by its ray."""
    rotation = cv2.Rodrigues(pose[:3])[0]
    x, y = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    image = np.zeros((lens.height, lens.width))
    for dx, dy in ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)):
        rays = lens.unproject(np.stack([x + dx, y + dy], axis=-1)) @ rotation
        origin = -rotation.T @ pose[3:]
        with np.errstate(all="ignore"):
            at = origin + rays * (-origin[2] / rays[..., 2])[..., None]
            column, row = np.floor(at[..., 0] / board.square), np.floor(at[..., 1] / board.square)
        on_board = (column >= -1) & (column < board.columns) & (row >= -1) & (row < board.rows)
        on_board &= (origin[2] * rays[..., 2]) < 0
        image += np.where(on_board & ((column + row) % 2 == 0), 30, 220)
    return cv2.GaussianBlur((image / 4).astype(np.uint8), (0, 0), 0.7)
