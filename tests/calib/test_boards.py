"""Boards: their description, and their corners in rendered pictures."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.boards.april_grid import AprilGrid
from calib.boards.charuco import Charuco
from calib.boards.chessboard import Chessboard
from calib.boards.parse import parse_board
from calib.errors import BoardError
from calib.lens import Lens
from tests.calib.intrinsics.scenes import BOARD, FISHEYE, picture

POSE = np.array([0.4, -0.3, 0.1, -0.1, -0.06, 0.35])


@given(st.integers(3, 30), st.integers(3, 30), st.floats(0.001, 1))
def test_a_description_says_what_is_printed(columns: int, rows: int, square: float) -> None:
    board = parse_board(f"chessboard:{columns}x{rows}:{square}")
    assert board == Chessboard(columns, rows, square)
    assert len(board.points) == columns * rows
    np.testing.assert_allclose(board.points[1] - board.points[0], [square, 0, 0])


@given(st.text(max_size=30))
def test_any_other_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BoardError):
        parse_board("x" + text)


@pytest.mark.parametrize(
    "text",
    [
        "chessboard:9x6",
        "chessboard:9:0.025",
        "chessboard:2x6:0.025",
        "chessboard:9x6:25",  # millimetres
        "chessboard:9x6:nan",
        "charuco:9x6:0.02",
        "charuco:9x6:0.02:0.03",  # markers larger than squares
        "aprilgrid:6x6:0.088:88",  # a spacing in millimetres
        "aprilgrid:1x6:0.088:0.3",
        "aprilgrid:30x30:0.088:0.3",  # more tags than the family has
    ],
)
def test_wrong_descriptions(text: str) -> None:
    with pytest.raises(BoardError, match="board '"):
        parse_board(text)


@pytest.mark.parametrize(
    "lens",
    [
        Lens("pinhole", 640, 480, 600, 600, 320, 240, (-0.2, 0.05, 0, 0)),
        FISHEYE.resized(640, 480),
        Lens("pinhole", 1920, 1200, 1800, 1800, 960, 600),  # searched at reduced size
    ],
    ids=["pinhole", "fisheye", "large"],
)
def test_corners_are_found_to_a_part_of_a_pixel(lens: Lens) -> None:
    rotation = cv2.Rodrigues(POSE[:3])[0]
    truth, visible = lens.project(BOARD.points @ rotation.T + POSE[3:])
    assert visible.all()
    found = BOARD.find(picture(lens, POSE))
    assert found is not None
    # The board looks the same turned by half a turn.
    error = min(
        (found.pixels - order for order in (truth, truth[::-1])), key=lambda e: np.abs(e).max()
    )
    # The picture's own edges are exact to half a pixel, and the board as a whole is not shifted.
    assert np.linalg.norm(error, axis=1).max() < 0.5
    assert np.sqrt((error**2).sum(axis=1).mean()) < 0.2
    assert np.abs(error.mean(axis=0)).max() < 0.06


def test_no_board_no_corners() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320), np.uint8)
    assert BOARD.find(noise) is None
    image = picture(Lens("pinhole", 640, 480, 600, 600, 320, 240), POSE)
    assert Chessboard(12, 9, 0.03).find(image) is None


def test_charuco_corners_bear_their_ids_even_when_part_is_hidden() -> None:
    board = Charuco(6, 4, 0.04, 0.03)
    markers = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_1000)
    printed = cv2.aruco.CharucoBoard((7, 5), 0.04, 0.03, markers).generateImage((700, 500))
    whole = board.find(printed)
    assert whole is not None and len(whole.ids) == 24
    # 100 pixels a square of 40 mm, the first inner corner one square in.
    expected = board.points[whole.ids, :2] * 2500 + 100 - 0.5
    np.testing.assert_allclose(whole.pixels, expected, atol=0.6)
    printed[:, 500:] = 255
    part = board.find(printed)
    assert part is not None and set(part.ids) < set(whole.ids)
    assert board.find(np.ascontiguousarray(printed[:, ::-1])) is None  # a mirror is noticed


GRID = AprilGrid(4, 3, 0.08, 0.3)
GRID_PX = 1000  # pixels a metre
MARGIN = 60


def printed_grid(border_bits: int = 2) -> np.ndarray:
    """Tags from the lower left, and black squares in the corners between them."""
    tag, gap = round(GRID.tag * GRID_PX), round(GRID.tag * GRID.spacing * GRID_PX)
    width = GRID.columns * (tag + gap) + gap + 2 * MARGIN
    height = GRID.rows * (tag + gap) + gap + 2 * MARGIN
    image = np.full((height, width), 255, np.uint8)
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    for row in range(GRID.rows + 1):
        for column in range(GRID.columns + 1):
            left, bottom = MARGIN + column * (tag + gap), height - MARGIN - row * (tag + gap)
            image[bottom - gap : bottom, left : left + gap] = 0
            if row < GRID.rows and column < GRID.columns:
                number = row * GRID.columns + column
                marker = cv2.aruco.generateImageMarker(family, number, tag, None, border_bits)
                image[bottom - gap - tag : bottom - gap, left + gap : left + gap + tag] = marker
    return image


def pixels_on_print(image: np.ndarray) -> np.ndarray:
    """(M, 2) of GRID's points, x right and y down."""
    gap = round(GRID.tag * GRID.spacing * GRID_PX)
    x, y = GRID.points[:, 0] * GRID_PX, GRID.points[:, 1] * GRID_PX
    return np.stack([MARGIN + gap + x, image.shape[0] - MARGIN - gap - y], axis=-1) - 0.5


@pytest.mark.parametrize("border_bits", [1, 2])
@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_april_grid_corners_bear_their_ids_however_it_hangs(border_bits: int, turn: int) -> None:
    image = printed_grid(border_bits)
    truth = pixels_on_print(image)
    for _ in range(turn):  # a quarter to the left each
        truth = np.stack([truth[:, 1], image.shape[1] - 1 - truth[:, 0]], axis=-1)
        image = np.ascontiguousarray(np.rot90(image))
    tilt = np.array([[0.9, 0.08, 30], [-0.06, 0.85, 40], [1.5e-4, 1e-4, 1]])
    seen = cv2.warpPerspective(image, tilt, (640, 640), borderValue=255)
    expected = cv2.perspectiveTransform(truth[:, None], tilt)[:, 0]
    found = GRID.find(cv2.GaussianBlur(seen, (0, 0), 0.8))
    assert found is not None and len(found.ids) >= 44
    assert np.linalg.norm(found.pixels - expected[found.ids], axis=1).max() < 0.4


def test_part_of_an_april_grid_suffices_and_a_mirror_is_noticed() -> None:
    image = printed_grid()
    whole = GRID.find(image)
    assert whole is not None and len(whole.ids) == 48
    image[:, image.shape[1] // 2 :] = 255
    part = GRID.find(image)
    assert part is not None and len(part.ids) < 30 and set(part.ids) < set(whole.ids)
    assert GRID.find(np.ascontiguousarray(printed_grid()[:, ::-1])) is None
