"""Lenses found again from boards, and boards that do not make a lens."""

from dataclasses import replace

import numpy as np
import pytest

from calib.errors import BoardError
from calib.intrinsics.calibrate import CANDIDATES, calibrate, choose
from calib.intrinsics.fit import Model, View
from calib.intrinsics.images import Boards
from calib.lens import Lens
from tests.calib.intrinsics.scenes import FISHEYE, PINHOLE, WIDE, boards


@pytest.mark.parametrize("lens", [PINHOLE, WIDE, FISHEYE], ids=["pinhole", "wide", "fisheye"])
def test_a_known_lens_is_found_within_its_stated_deviation(lens: Lens) -> None:
    found = calibrate(boards(lens))
    assert found.lens.model == lens.model
    assert len(found.lens.distortion) == len(lens.distortion)
    wanted = np.array([lens.fx, lens.fy, lens.cx, lens.cy])
    got = np.array([found.lens.fx, found.lens.fy, found.lens.cx, found.lens.cy])
    assert (np.abs(got - wanted) < 4 * found.deviations[:4]).all()
    assert (found.deviations[:4] < 2).all()  # pixels: the bound above says something
    # 0.15 px a coordinate is 0.21 px a corner; a lens not fitted to a board does a little worse.
    assert found.rms_px == pytest.approx(0.21, rel=0.1)
    assert found.rms_px < found.heldout_rms_px < 0.3


@pytest.mark.parametrize("model", [Model("fisheye", 4), Model("pinhole", 5), Model("pinhole", 8)])
def test_derivatives_are_those_of_finite_differences(model: Model) -> None:
    rng = np.random.default_rng(1)
    lens = np.array([500.0, 505, 320, 240, *rng.normal(0, 0.02, model.coefficients)])
    pose = np.array([0.3, -0.4, 0.2, 0.1, -0.2, 0.6])
    points = rng.uniform(-0.3, 0.3, (7, 3)) * [1, 1, 0]
    _, given = model.project(lens, pose, points)
    both = np.concatenate([lens, pose])
    for column in range(len(both)):
        step = np.zeros(len(both))
        step[column] = 1e-6 * max(1, abs(both[column]))
        after, before = (
            model.project(x[: len(lens)], x[len(lens) :], points)[0]
            for x in (both + step, both - step)
        )
        numeric = (after - before).ravel() / (2 * step[column])
        np.testing.assert_allclose(given[:, column], numeric, rtol=1e-4, atol=1e-4)


def test_the_fisheye_model_goes_on_beyond_ninety_degrees() -> None:
    lens = np.array([FISHEYE.fx, FISHEYE.fy, FISHEYE.cx, FISHEYE.cy, *FISHEYE.distortion])
    points = np.array([[1.0, 0.2, -0.1], [-1, 0.5, -0.2], [0.1, 0.2, 1]])
    pixels, _ = Model("fisheye", 4).project(lens, np.zeros(6), points)
    np.testing.assert_allclose(pixels, FISHEYE.project(points)[0], atol=1e-6)


def test_a_bent_board_is_left_out_by_name() -> None:
    good = boards(PINHOLE)
    bent = good.views[5]
    wave = 6 * np.sin(np.arange(len(bent.pixels)))[:, None]
    views = (*good.views[:5], replace(bent, pixels=bent.pixels + wave), *good.views[6:])
    found = calibrate(replace(good, views=views), "pinhole")
    assert list(found.outliers) == [bent.name]
    assert found.rms_px < 0.25
    assert not calibrate(good, "pinhole").outliers


def test_too_few_boards() -> None:
    some = boards(PINHOLE, 3)
    with pytest.raises(BoardError, match="3 of 3 images show the whole board; take at least 10"):
        calibrate(some)


def test_boards_all_at_one_angle_are_refused() -> None:
    """Facing the camera squarely, size and distance can't be told apart."""
    rng = np.random.default_rng(2)
    lens = Lens("pinhole", 1280, 720, 1150, 1150, 640, 360)
    points = boards(lens, 4).views[0].points
    views = []
    for name in "abcdefghijkl":
        place = [*rng.uniform(-0.1, 0.0, 2), 0.6]
        pixels, _ = lens.project(points + place)
        views.append(View(name, points, pixels + rng.normal(0, 0.2, pixels.shape)))
    with pytest.raises(BoardError, match="leave the focal length open"):
        calibrate(Boards(1280, 720, tuple(views), {}))


def test_few_boards_and_empty_parts_of_the_image_are_said() -> None:
    found = calibrate(boards(PINHOLE, 8), "pinhole")
    assert any("only 8 boards" in line for line in found.warnings)
    assert not any("only" in line for line in calibrate(boards(PINHOLE), "pinhole").warnings)


@pytest.mark.parametrize(
    ("heldout", "chosen"),
    [  # pinhole 4, pinhole 5, fisheye 4, pinhole 8
        ((0.30, 0.30, 0.30, 0.30), 0),
        ((0.33, 0.33, 0.40, 0.30), 3),  # a real lens that needs the rational model
        ((0.949, 0.955, 0.911, 0.930), 0),  # the public pinhole set
        ((7.13, float("inf"), 0.339, 0.347), 2),  # the public fisheye set
    ],
)
def test_a_simple_model_is_kept_unless_another_is_clearly_better(
    heldout: tuple[float, ...], chosen: int
) -> None:
    assert choose(CANDIDATES, heldout) == chosen
