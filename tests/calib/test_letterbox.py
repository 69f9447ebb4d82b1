"""Letterbox: placement, inverse, and agreement with what cv2.resize really does to pixels."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import LensError
from calib.letterbox import Letterbox

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, SIDES, SIDES)
def test_fits_centred_touching_one_pair_of_sides(src_w: int, src_h: int, dst_w: int, dst_h: int):
    box = Letterbox.fit(src_w, src_h, dst_w, dst_h)

    assert 1 <= box.resized_width <= dst_w
    assert 1 <= box.resized_height <= dst_h
    assert box.resized_width == dst_w or box.resized_height == dst_h
    right = dst_w - box.pad_left - box.resized_width
    bottom = dst_h - box.pad_top - box.resized_height
    assert 0 <= right - box.pad_left <= 1
    assert 0 <= bottom - box.pad_top <= 1
    scale = min(dst_w / src_w, dst_h / src_h)
    assert abs(box.resized_width - src_w * scale) <= 0.5 + 1e-9 or box.resized_width == 1
    assert abs(box.resized_height - src_h * scale) <= 0.5 + 1e-9 or box.resized_height == 1


@given(SIDES, SIDES, SIDES, SIDES, st.floats(-5e3, 5e3), st.floats(-5e3, 5e3))
def test_inverse_undoes_forward(src_w, src_h, dst_w, dst_h, x, y):
    box = Letterbox.fit(src_w, src_h, dst_w, dst_h)
    # Extreme shrinking loses digits in proportion to the scale.
    tolerance = 1e-9 * max(1.0, *(1 / scale for scale in box.scale))
    np.testing.assert_allclose(box.inverse(box.forward([x, y])), [x, y], atol=tolerance)


@given(SIDES, SIDES, SIDES, SIDES)
def test_image_corners_map_to_corners_of_the_placed_image(src_w, src_h, dst_w, dst_h):
    box = Letterbox.fit(src_w, src_h, dst_w, dst_h)
    corners = box.forward([[-0.5, -0.5], [src_w - 0.5, src_h - 0.5]])
    first = np.array(box.pad) - 0.5
    np.testing.assert_allclose(corners[0], first, atol=1e-8)
    size = np.array([box.resized_width, box.resized_height])
    np.testing.assert_allclose(corners[1], first + size, atol=1e-8)


@pytest.mark.parametrize("dst", [(640, 480), (320, 240), (2000, 1500), (300, 700)])
def test_a_resized_ramp_holds_the_source_coordinates(dst: tuple[int, int]):
    """Pixel values equal to their own source coordinate, so cv2 itself says where each went."""
    src_w, src_h = 960, 540
    box = Letterbox.fit(src_w, src_h, *dst)
    xs, ys = np.meshgrid(np.arange(src_w), np.arange(src_h))
    ramp = np.stack([xs, ys], axis=-1).astype(np.float32)

    resized = cv2.resize(
        ramp, (box.resized_width, box.resized_height), interpolation=cv2.INTER_LINEAR
    )

    inner = slice(3, -3)  # interpolation repeats the border
    u, v = np.meshgrid(np.arange(box.resized_width), np.arange(box.resized_height))
    expected = box.inverse(np.stack([u + box.pad_left, v + box.pad_top], axis=-1))
    np.testing.assert_allclose(resized[inner, inner], expected[inner, inner], atol=2e-2)


def test_known_example():
    box = Letterbox.fit(960, 540, 640, 480)
    assert (box.resized_width, box.resized_height) == (640, 360)
    assert box.pad == (0, 60)
    np.testing.assert_allclose(box.forward([0, 0]), [0.5 * 2 / 3 - 0.5, 0.5 * 2 / 3 - 0.5 + 60])


@pytest.mark.parametrize("sizes", [(0, 10, 10, 10), (10, 10, 10, -1)])
def test_impossible_size_is_refused(sizes: tuple[int, int, int, int]):
    with pytest.raises(LensError, match="every side must be at least 1 pixel"):
        Letterbox.fit(*sizes)
