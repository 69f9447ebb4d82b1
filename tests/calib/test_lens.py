"""Lenses against OpenCV, against themselves by round trip, and where no inverse exists."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calib.errors import LensError
from calib.lens import Lens
from calib.letterbox import Letterbox
from tests.calib.lenses import fisheyes, pinholes, random_points

SEEDS = st.integers(0, 2**32 - 1)
LENSES = st.one_of(pinholes(), fisheyes())
ZERO = np.zeros(3)

PINHOLE = Lens("pinhole", 640, 480, 380, 381, 321, 238, (-0.2, 0.05, 3e-4, -2e-4))
FISHEYE = Lens("fisheye", 1280, 960, 576, 576, 640, 480, (-0.015, -0.002, 5e-4, -1e-4))
# Barrel distortion strong enough that its polynomial turns back within the image's corners.
FOLDING = Lens("pinhole", 640, 480, 300, 300, 320, 240, (-0.35, 0.0, 0.0, 0.0))


@given(pinholes(), SEEDS)
def test_pinhole_projects_like_opencv(lens: Lens, seed: int):
    points = random_points(seed, widest=np.radians(80))
    pixels, visible = lens.project(points)
    expected, _ = cv2.projectPoints(points, ZERO, ZERO, lens.matrix, np.array(lens.distortion))
    mapped = np.isfinite(pixels).all(axis=-1)
    assert mapped.any()
    np.testing.assert_allclose(pixels[mapped], expected[mapped, 0], rtol=1e-9, atol=1e-7)
    assert not visible[~mapped].any()


@given(fisheyes(), SEEDS)
def test_fisheye_projects_like_opencv(lens: Lens, seed: int):
    points = random_points(seed, widest=np.radians(85))
    pixels, _ = lens.project(points)
    expected, _ = cv2.fisheye.projectPoints(
        points[:, None], ZERO, ZERO, lens.matrix, np.array(lens.distortion)
    )
    mapped = np.isfinite(pixels).all(axis=-1)
    assert mapped.any()
    np.testing.assert_allclose(pixels[mapped], expected[mapped, 0], rtol=1e-9, atol=1e-7)


def test_pinhole_unprojects_like_opencv():
    pixels = np.stack(np.meshgrid(np.arange(0, 640, 7.0), np.arange(0, 480, 7.0)), -1)
    rays = PINHOLE.unproject(pixels)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-13)
    expected = cv2.undistortPointsIter(
        pixels.reshape(-1, 1, 2), PINHOLE.matrix, np.array(PINHOLE.distortion), None, None, criteria
    )
    np.testing.assert_allclose(
        (rays[..., :2] / rays[..., 2:]).reshape(-1, 2), expected[:, 0], atol=1e-9
    )


@given(LENSES, SEEDS)
def test_every_visible_point_unprojects_onto_its_own_ray(lens: Lens, seed: int):
    points = random_points(seed)
    pixels, visible = lens.project(points)
    rays = lens.unproject(pixels[visible])
    assert not np.isnan(rays).any()
    again, visible_again = lens.project(rays)
    np.testing.assert_allclose(again, pixels[visible], atol=1e-6)
    # Where the picture squeezes, a tiny pixel difference is a large angle: judge rays where a
    # pixel still spans at most ten times the angle that it does in the centre.
    truth = points[visible] / np.linalg.norm(points[visible], axis=-1, keepdims=True)
    moved, _ = lens.project(truth + 1e-5 * np.cross(truth, [0.3, 0.5, 0.8]))
    moved_pixels = np.linalg.norm(moved - pixels[visible], axis=-1)
    sharp = moved_pixels > 0.1 * 1e-5 * min(lens.fx, lens.fy)
    assert (np.linalg.norm(rays - truth, axis=-1)[sharp] < 1e-7).all()
    assert visible_again[sharp].all()


@given(LENSES, SEEDS)
def test_pixels_come_back_or_have_no_ray(lens: Lens, seed: int):
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(-0.3, 1.3, (300, 2)) * (lens.width, lens.height)
    rays = lens.unproject(pixels)
    found = np.isfinite(rays).all(axis=-1)
    assert found.any()
    np.testing.assert_allclose(np.linalg.norm(rays[found], axis=-1), 1, atol=1e-12)
    again, _ = lens.project(rays[found])
    np.testing.assert_allclose(again, pixels[found], atol=1e-6)


def test_pinhole_does_not_fold_the_far_side_into_the_image():
    folded = np.array([np.tan(np.radians(60)), 0.0, 1.0])
    by_opencv, _ = cv2.projectPoints(
        folded[None], ZERO, ZERO, FOLDING.matrix, np.array(FOLDING.distortion)
    )
    assert 0 < by_opencv[0, 0, 0] < FOLDING.width  # the polynomial alone would draw it
    pixels, visible = FOLDING.project(folded)
    assert not visible
    assert np.isnan(pixels).all()


@pytest.mark.parametrize(("axis", "distortion"), [(0, (0, 0, 0, -0.1)), (1, (0, 0, -0.1, 0))])
def test_tangential_terms_do_not_fold_either(axis: int, distortion: tuple[float, ...]):
    # Along its axis r - 0.3 r^2 turns back at r = 1.67; at r = 6 both axes have flipped over.
    lens = Lens("pinhole", 1280, 960, 100, 100, 640, 480, distortion)
    points = np.array([[0, 0, 1.0], [0, 0, 1], [0, 0, 1]])
    points[:, axis] = [1.6, 2, 6]
    pixels, visible = lens.project(points)
    assert visible.tolist() == [True, False, False]
    np.testing.assert_allclose(lens.unproject(pixels[0]), points[0] / 3.56**0.5, atol=1e-9)


def test_pixels_past_the_fold_have_no_ray():
    # Distorted radius r (1 - 0.35 r^2) peaks at r = sqrt(1 / 1.05).
    peak = (1 / 1.05) ** 0.5 * (1 - 0.35 / 1.05) * FOLDING.fx
    inside, outside = FOLDING.unproject([[320 + peak - 0.01, 240], [320 + peak + 0.01, 240]])
    assert np.isfinite(inside).all()
    assert np.isnan(outside).all()


def test_rational_pole_limits_the_lens():
    # The denominator 1 - 0.5 r^2 is zero at 54.7 degrees; past it, everything changes sign.
    lens = Lens("pinhole", 640, 480, 100, 100, 320, 240, (0, 0, 0, 0, 0, -0.5, 0, 0))
    angles = np.radians([45, 60])
    points = np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=-1)
    _, visible = lens.project(points)
    assert visible.tolist() == [True, False]


def test_behind_a_pinhole_is_invisible():
    pixels, visible = PINHOLE.project([[0.1, 0.1, 1.0], [-0.1, -0.1, -1.0], [0, 0, 0]])
    assert visible.tolist() == [True, False, False]
    assert np.isnan(pixels[1:]).all()


def test_fisheye_sees_behind_ninety_degrees():
    lens = Lens("fisheye", 1000, 1000, 250, 250, 499.5, 499.5, (0, 0, 0, 0))
    angle = np.radians(110)
    pixels, visible = lens.project([np.sin(angle), 0, np.cos(angle)])
    assert visible
    # Equidistant: the radius is the focal length times the angle.
    np.testing.assert_allclose(pixels, [499.5 + 250 * angle, 499.5])
    np.testing.assert_allclose(lens.unproject(pixels), [np.sin(angle), 0, np.cos(angle)], atol=1e-9)


def test_fisheye_stops_where_its_polynomial_turns_back():
    # t (1 - 0.2 t^2) peaks at t = sqrt(1 / 0.6), 74 degrees.
    lens = Lens("fisheye", 1000, 1000, 400, 400, 500, 500, (-0.2, 0, 0, 0))
    angles = np.radians([73, 75])
    _, visible = lens.project(np.stack([np.sin(angles), 0 * angles, np.cos(angles)], -1))
    assert visible.tolist() == [True, False]
    peak = (1 / 0.6) ** 0.5 * (1 - 0.2 / 0.6) * 400
    assert np.isnan(lens.unproject([500 + peak + 0.01, 500])).all()


def test_fisheye_axis_and_origin():
    pixels, visible = FISHEYE.project([[0, 0, 2.0], [0, 0, 0], [0, 0, -2.0]])
    assert visible.tolist() == [True, False, False]
    np.testing.assert_allclose(pixels[0], [640, 480])
    np.testing.assert_allclose(FISHEYE.unproject([640, 480]), [0, 0, 1])


@pytest.mark.parametrize("lens", [PINHOLE, FISHEYE])
@pytest.mark.parametrize("shape", [(), (5,), (2, 4), (0,)])
def test_leading_axes_are_kept(lens: Lens, shape: tuple[int, ...]):
    points = np.broadcast_to([0.1, 0.2, 1.0], (*shape, 3))
    pixels, visible = lens.project(points)
    assert pixels.shape == (*shape, 2)
    assert visible.shape == shape
    assert lens.unproject(pixels).shape == (*shape, 3)


@pytest.mark.parametrize("lens", [PINHOLE, FISHEYE])
@pytest.mark.filterwarnings("error")
def test_nan_in_nan_out_beside_good_points(lens: Lens):
    pixels, visible = lens.project([[np.nan, 0, 1], [0, 0, 1], [np.inf, 0, 1]])
    assert visible.tolist() == [False, True, False]
    assert np.isnan(pixels[0]).any()
    rays = lens.unproject([[np.nan, 0], [lens.cx, lens.cy]])
    assert np.isnan(rays[0]).all()
    np.testing.assert_allclose(rays[1], [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("lens", [PINHOLE, FISHEYE])
def test_visible_ends_half_a_pixel_past_the_outermost_centres(lens: Lens):
    right, bottom = lens.width - 0.5, lens.height - 0.5
    pixels = [[-0.49, 100], [-0.51, 100], [right - 0.01, 100], [right + 0.01, 100]]
    pixels += [[100, -0.49], [100, -0.51], [100, bottom - 0.01], [100, bottom + 0.01]]
    again, visible = lens.project(lens.unproject(pixels))
    assert visible.tolist() == [True, False] * 4
    np.testing.assert_allclose(again, pixels, atol=1e-6)  # a pixel beside the image keeps its value


@given(LENSES, SEEDS, st.integers(50, 2500), st.integers(50, 2500))
def test_resized_lens_follows_the_resized_picture(lens: Lens, seed: int, width: int, height: int):
    points = random_points(seed)
    pixels, _ = lens.project(points)
    resized, _ = lens.resized(width, height).project(points)
    scale = np.array([width / lens.width, height / lens.height])
    np.testing.assert_allclose(resized, (pixels + 0.5) * scale - 0.5, rtol=1e-9, atol=1e-7)


@given(LENSES, SEEDS, st.integers(50, 2500), st.integers(50, 2500))
def test_letterboxed_lens_follows_the_letterbox(lens: Lens, seed: int, width: int, height: int):
    points = random_points(seed)
    box = Letterbox.fit(lens.width, lens.height, width, height)
    pixels, visible = lens.project(points)
    boxed_lens = lens.letterboxed(box)
    boxed, boxed_visible = boxed_lens.project(points)
    assert (boxed_lens.width, boxed_lens.height) == (width, height)
    np.testing.assert_allclose(boxed, box.forward(pixels), rtol=1e-9, atol=1e-7)
    assert boxed_visible[visible].all()


def test_letterbox_of_another_size_is_refused():
    with pytest.raises(LensError, match="takes 960x540 images but the lens gives 640x480"):
        PINHOLE.letterboxed(Letterbox.fit(960, 540, 320, 240))


@given(pinholes(counts=(4, 5, 8)), SEEDS)
@settings(max_examples=30)
def test_every_coefficient_matters(lens: Lens, seed: int):
    points = random_points(seed, widest=np.radians(30))
    pixels, _ = lens.project(points)
    assume(np.isfinite(pixels).all())
    for index, value in enumerate(lens.distortion):
        changed = list(lens.distortion)
        changed[index] = value + 0.01
        other, _ = replace(lens, distortion=tuple(changed)).project(points)
        assert np.nanmax(np.abs(other - pixels)) > 1e-3, index


def test_lens_is_a_value():
    same = Lens("pinhole", 640, 480, 380.0, 381.0, 321.0, 238.0, [-0.2, 0.05, 3e-4, -2e-4])
    assert same == PINHOLE
    assert hash(same) == hash(PINHOLE)
    assert PINHOLE.resized(320, 240) != PINHOLE
    np.testing.assert_array_equal(PINHOLE.matrix, [[380, 0, 321], [0, 381, 238], [0, 0, 1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "sphere"}, "model is 'sphere'; use pinhole or fisheye"),
        ({"distortion": (0.1, 0.2, 0.3)}, "distortion has 3 values; a pinhole takes 0 or 4"),
        ({"model": "fisheye", "distortion": ()}, "distortion has 0 values; a fisheye takes 4"),
        ({"distortion": (0, 0, np.nan, 0)}, r"distortion\[2\] is nan; give a finite number"),
        ({"width": 0}, "width is 0; give 1 to 65535 pixels"),
        ({"height": 65_536}, "height is 65536; give 1 to 65535 pixels"),
        ({"height": -4}, "height is -4"),
        ({"fx": np.nan}, "fx is nan; give pixels above 0"),
        ({"fy": -1.0}, "fy is -1.0"),
        ({"fy": np.inf}, "fy is inf"),
        ({"cx": np.nan}, "cx is nan; give a finite number"),
    ],
)
def test_impossible_values_are_refused(change: dict, message: str):
    with pytest.raises(LensError, match=message) as error:
        replace(PINHOLE, **change)
    assert "\n" not in str(error.value)


def test_wrong_axis_is_refused():
    with pytest.raises(LensError, match=r"shape \(4, 2\); the last axis must be 3"):
        PINHOLE.project(np.zeros((4, 2)))
