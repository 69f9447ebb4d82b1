"""Folders of board pictures: which are used, and why the others are not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from calib.boards.chessboard import Chessboard
from calib.errors import BoardError
from calib.intrinsics.images import find_boards
from calib.lens import Lens
from tests.calib.intrinsics.scenes import BOARD, picture

LENS = Lens("pinhole", 320, 240, 260, 260, 160, 120)
PICTURE = picture(LENS, np.array([0.1, 0.2, 0, -0.12, -0.07, 0.4]))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda image: cv2.GaussianBlur(image, (0, 0), 12), "blurred"),
        (lambda image: np.clip(image.astype(int) * 9, 0, 255).astype(np.uint8), "over-exposed"),
        (lambda image: (image // 250).astype(np.uint8), "too dark"),
        (lambda image: np.roll(image, 150, axis=1), "not all of it in the picture"),
    ],
)
def test_why_a_board_was_not_found(
    tmp_path: Path, spoil: Callable[[np.ndarray], np.ndarray], reason: str
) -> None:
    cv2.imwrite(str(tmp_path / "good.png"), PICTURE)
    cv2.imwrite(str(tmp_path / "bad.png"), spoil(PICTURE))
    found = find_boards(tmp_path, BOARD)
    assert [view.name for view in found.views] == ["good.png"]
    assert reason in found.skipped["bad.png"]


def test_of_two_resolutions_the_fewer_are_left_out_and_named(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), PICTURE)
    cv2.imwrite(str(tmp_path / "c.png"), cv2.resize(PICTURE, (480, 360)))
    found = find_boards(tmp_path, BOARD)
    assert (found.width, found.height, len(found.views)) == (320, 240, 2)
    assert found.skipped == {"c.png": "is 480x360, the others 320x240; one size a camera"}


def test_a_pattern_larger_than_the_board_is_found_in_no_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), PICTURE)
    found = find_boards(tmp_path, Chessboard(10, 6, 0.03))
    assert not found.views and "another pattern" in found.skipped["a.png"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(BoardError, match="no such folder"):
        find_boards(tmp_path / "a.png", BOARD)


def test_many_small_squares_at_full_size_are_found_to_a_tenth_of_a_pixel() -> None:
    """17 x 15 inner corners, a little blurred and noisy: odd by odd, so that either end may come
    first."""
    lens = Lens("pinhole", 1440, 900, 1090, 1090, 721, 441)
    board = Chessboard(17, 15, 0.03)
    pose = np.array([0.3, -0.35, 0.1, -0.3, -0.22, 0.75])
    noise = np.random.default_rng(0).normal(0, 4, (900, 1440))
    image = np.clip(cv2.GaussianBlur(picture(lens, pose, board), (0, 0), 1.0) + noise, 0, 255)
    corners = board.find(image.astype(np.uint8))
    assert corners is not None
    true = lens.project(board.points @ cv2.Rodrigues(pose[:3])[0].T + pose[3:])[0]
    either = (corners.pixels, corners.pixels[::-1])
    squares = min((((pixels - true) ** 2).sum(axis=1) for pixels in either), key=np.sum)
    assert np.sqrt(squares.mean()) < 0.13 and np.sqrt(squares.max()) < 0.5
