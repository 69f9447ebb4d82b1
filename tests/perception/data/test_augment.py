"""Augmentation moves image, labels, boxes and ground points together."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.data.augment import MIN_HEIGHT, augment, random_crop, warp
from perception.data.normalise import padding_colour
from perception.data.policy import Policy, load_policy
from perception.data.sample import Objects, Sample
from perception.spec import PRESETS
from perception.taxonomy import IGNORE

SPEC = PRESETS["nano"]
RED, BLUE = (0, 0, 255), (255, 0, 0)
HEIGHT, WIDTH = 96, 128  # of the image
seeds = st.integers(0, 2**32 - 1)


def _sample(x0: int, y0: int, x1: int, y1: int, ignore: bool = False) -> Sample:
    """A rectangle of columns x0..x1-1, left half red and right half blue, on black; its ground
    point in the middle of the red half, so that mirroring shows."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    middle = (x0 + x1) // 2
    image[y0:y1, x0:middle] = RED
    image[y0:y1, middle:x1] = BLUE
    labels[y0:y1, x0:x1] = 3
    objects = Objects(
        boxes=np.array([[x0 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5]], np.float32),
        classes=np.array([1]),
        ground_points=np.array([[(x0 + middle - 1) / 2, (y0 + y1 - 1) / 2]], np.float32),
        ignore=np.array([ignore]),
    )
    return Sample(image, labels, objects, "test", "main")


def _bounds(mask: np.ndarray) -> np.ndarray:
    """Box of a mask: pixel borders."""
    y, x = np.nonzero(mask)
    return np.array([x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5])


def _size(box: np.ndarray) -> np.ndarray:
    return box[2:] - box[:2]


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds,
    corner=st.tuples(st.integers(0, 100), st.integers(0, 70)),
    size=st.tuples(st.integers(12, 60), st.integers(12, 60)),
)
def test_box_bounds_the_same_rectangle(
    seed: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    x0, y0 = corner
    x1, y1 = min(x0 + size[0], WIDTH), min(y0 + size[1], HEIGHT)
    sample = _sample(x0, y0, x1, y1)
    rng = np.random.default_rng(seed)
    matrix = random_crop(sample.image.shape, (64, 80), (0.5, 2.0), 0.5, rng)
    warped = warp(sample, matrix, 64, 80)
    assert warped.image.shape == (64, 80, 3) and warped.labels.shape == (64, 80)

    inside = warped.labels == 3
    if not inside.any():
        assert not len(warped.objects) or min(_size(warped.objects.boxes[0])) < 1
        return
    box = warped.objects.boxes[0]
    # A pixel counts when its centre is inside the box, give or take OpenCV's rounding.
    np.testing.assert_allclose(_bounds(inside), box, atol=0.6)
    if min(_size(box)) > 3:  # interpolation rounds the corners off
        coloured = warped.image.max(axis=2) > 127
        np.testing.assert_allclose(_bounds(coloured & (warped.labels != IGNORE)), box, atol=0.6)
    x, y = np.rint(warped.objects.ground_points[0]).astype(int)
    if 0 <= x < 80 and 0 <= y < 64:
        assert warped.image[y, x, 2] > 127 > warped.image[y, x, 0]  # red


def test_mirroring_happens_and_swaps_the_halves() -> None:
    """Both hands occur; in a mirrored view red lies right of blue."""
    sample = _sample(40, 30, 80, 60)
    hands = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        matrix = random_crop(sample.image.shape, (96, 128), (1.0, 1.0), 0.5, rng)
        warped = warp(sample, matrix, 96, 128)
        red_x = np.nonzero(warped.image[..., 2])[1].mean()
        blue_x = np.nonzero(warped.image[..., 0])[1].mean()
        assert (red_x > blue_x) == (matrix[0, 0] < 0)
        np.testing.assert_allclose(warped.objects.ground_points[0], [red_x, 44.5], atol=0.01)
        hands.add(bool(red_x > blue_x))
    assert hands == {True, False}


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_crop_of_the_images_size_covers_it(factor: float) -> None:
    """The image's outer borders land on the crop's, mirrored or not."""
    size = int(HEIGHT * factor), int(WIDTH * factor)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        matrix = random_crop((HEIGHT, WIDTH, 3), size, (factor, factor), 0.5, rng)
        borders = matrix @ np.array([[-0.5, -0.5, 1], [WIDTH - 0.5, HEIGHT - 0.5, 1]]).T
        expected = [[-0.5, size[1] - 0.5], [-0.5, size[0] - 0.5]]
        np.testing.assert_allclose(np.sort(borders, axis=1), expected, atol=1e-9)


def test_a_plain_crop_is_a_slice() -> None:
    rng = np.random.default_rng(0)
    sample = _sample(40, 30, 80, 60)
    sample.image[:] = rng.integers(0, 256, sample.image.shape)
    warped = warp(sample, np.array([[1.0, 0, -7], [0, 1, -3]]), 50, 60)
    np.testing.assert_array_equal(warped.image, sample.image[3:53, 7:67])
    np.testing.assert_array_equal(warped.labels, sample.labels[3:53, 7:67])
    np.testing.assert_array_equal(warped.objects.boxes, [[32.5, 26.5, 59.5, 49.5]])


def test_scaling_equals_the_resize_of_inference() -> None:
    rng = np.random.default_rng(0)
    sample = _sample(40, 30, 80, 60)
    sample.image[:] = rng.integers(0, 256, sample.image.shape)
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])
    warped = warp(sample, half, HEIGHT // 2, WIDTH // 2).image.astype(int)
    resized = cv2.resize(sample.image, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_LINEAR)
    assert np.abs(warped - resized).max() <= 1
    half[0, 2] += 0.5
    shifted = warp(sample, half, HEIGHT // 2, WIDTH // 2).image
    assert np.abs(shifted.astype(int) - resized).max() > 10


@pytest.mark.parametrize(
    ("shift", "kept", "ignored"),
    [(0, 1, False), (-29, 1, False), (-31, 1, True), (-80, 0, False)],
)
def test_slivers_become_ignore_and_the_lost_are_dropped(
    shift: int, kept: int, ignored: bool
) -> None:
    """The box is 40 px wide and starts at x = 0: under a quarter is left after 31."""
    warped = warp(_sample(0, 30, 40, 60), np.array([[1.0, 0, shift], [0, 1, 0]]), HEIGHT, WIDTH)
    assert warped.objects.ignore.tolist() == [ignored] * kept
    if kept:
        np.testing.assert_allclose(warped.objects.boxes[0, [0, 2]], [-0.5, 39.5 + shift])


def test_low_boxes_become_ignore_and_flags_stay() -> None:
    scale = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])
    low, high = int(2 * MIN_HEIGHT) - 1, int(2 * MIN_HEIGHT)
    for height, ignored in ((low, True), (high, False)):
        warped = warp(_sample(20, 30, 60, 30 + height), scale, 48, 64)
        assert warped.objects.ignore.tolist() == [ignored]
    assert warp(_sample(20, 30, 60, 80, ignore=True), scale, 48, 64).objects.ignore.all()


STRONG = load_policy("strong")


def _augmented(seed: int, policy: Policy = STRONG) -> Sample:
    sample = _sample(40, 30, 80, 60)
    sample.image[:60] += 90
    rng = np.random.default_rng(seed)
    return augment(sample, SPEC, policy, fit=0.8, height=64, width=80, rng=rng)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_same_seed_same_sample(seed: int) -> None:
    first, second = _augmented(seed), _augmented(seed)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.objects.boxes, second.objects.boxes)
    assert not np.array_equal(first.image, _augmented(seed + 1).image)


def test_beside_the_image_is_the_letterbox() -> None:
    """At scale 0.3 the image is 38 px wide in a crop of 80."""
    small = STRONG.model_copy(update={"scale": (0.375, 0.375)})
    sample = _augmented(3, small)
    outside = sample.labels == IGNORE
    assert 0.7 < outside.mean() < 0.9
    assert (sample.image[outside] == padding_colour(SPEC)).all()
    assert not (sample.image[~outside] == padding_colour(SPEC)).all(axis=1).any()


def test_scale_and_mirror_are_the_policys() -> None:
    """The box is 40 px wide: 32 px at `fit` 0.8, times the policy's scale."""
    sample = _sample(40, 30, 80, 60)

    def crop(scale: float, mirror: float) -> Sample:
        policy = Policy(scale=(scale, scale), mirror=mirror)
        rng = np.random.default_rng(0)
        return augment(sample, SPEC, policy, fit=0.8, height=80, width=110, rng=rng)

    for scale in (0.5, 1.0):
        x0, _, x1, _ = crop(scale, 0.0).objects.boxes[0]
        assert x1 - x0 == pytest.approx(32 * scale)
    for mirror, red_is_left in ((0.0, True), (1.0, False)):
        image = crop(1.0, mirror).image.astype(int)
        red = image[..., 2] - image[..., 0]
        columns = np.arange(110)
        red_x = np.average(columns, weights=red.clip(0).sum(axis=0))
        blue_x = np.average(columns, weights=(-red).clip(0).sum(axis=0))
        assert (red_x < blue_x) == red_is_left


def test_policy_none_cuts_the_very_image_that_inference_sees() -> None:
    rng = np.random.default_rng(0)
    sample = _sample(40, 30, 80, 60)
    sample.image[:] = rng.integers(0, 256, sample.image.shape)
    none = load_policy("none")
    for fit in (1.0, 0.5):
        size = int(WIDTH * fit), int(HEIGHT * fit)
        seen = cv2.resize(sample.image, size, interpolation=cv2.INTER_LINEAR).astype(int)
        corners = set()
        for seed in range(8):
            rng = np.random.default_rng(seed)
            crop = augment(sample, SPEC, none, fit=fit, height=40, width=48, rng=rng)
            places = [
                (y, x)
                for y in range(seen.shape[0] - 39)
                for x in range(seen.shape[1] - 47)
                if np.abs(seen[y : y + 40, x : x + 48] - crop.image).max() <= 1
            ]
            assert len(places) == 1
            corners.add(places[0])
        assert len(corners) > 4
