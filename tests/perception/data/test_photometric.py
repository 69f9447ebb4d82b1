"""Each operation alone: it changes light, it leaves the scene, and at magnitude 0 nothing."""

import cv2
import numpy as np
import pytest

from perception.data.augment import augment
from perception.data.photometric import photometric
from perception.data.policy import Operation, Policy, load_policy
from perception.data.sample import Objects, Sample
from perception.spec import PRESETS

STRONG = load_policy("strong")
OPERATIONS = [name for name in Policy.model_fields if name not in ("scale", "mirror")]


def _image() -> np.ndarray:
    """Smooth colours with fine texture, 128 x 96."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(30, 226, (6, 8, 3), dtype=np.uint8)
    smooth = cv2.resize(blocks, (128, 96), interpolation=cv2.INTER_CUBIC)
    return cv2.add(smooth, rng.integers(0, 12, smooth.shape, dtype=np.uint8))


def _only(name: str, probability: float = 1.0, strength: float = 1.0) -> Policy:
    """`strong` with one operation left, that always or never happens."""
    operation = getattr(STRONG, name)
    settings = operation.scaled(strength) | {"probability": probability}
    return Policy(scale=(1, 1), mirror=0, **{name: type(operation)(**settings)})


def _photometric(image: np.ndarray, policy: Policy, rng: np.random.Generator) -> np.ndarray:
    return photometric([image], policy, rng)[0]


def test_strong_has_every_operation() -> None:
    assert all(isinstance(getattr(STRONG, name), Operation) for name in OPERATIONS)
    assert len(OPERATIONS) == 9


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_changes_pixels_and_nothing_else(name: str) -> None:
    image = _image()
    objects = Objects(
        np.array([[9.5, 9.5, 39.5, 59.5]], np.float32),
        np.array([1]),
        np.array([[25.0, 59.0]], np.float32),
        np.array([False]),
    )
    labels = np.arange(96, dtype=np.uint8)[:, None].repeat(128, axis=1)
    sample = Sample(image.copy(), labels, objects, "drawn", "main")
    results = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        spec = PRESETS["nano"]
        new = augment(sample, spec, _only(name), fit=1, height=96, width=128, rng=rng)
        assert new.image.shape == image.shape and new.image.dtype == np.uint8
        np.testing.assert_array_equal(new.labels, labels)
        np.testing.assert_array_equal(new.objects.boxes, objects.boxes)
        np.testing.assert_array_equal(new.objects.ground_points, objects.ground_points)
        np.testing.assert_array_equal(sample.image, image)  # the original is not written to
        results.append(new.image)
    assert sum(not np.array_equal(result, image) for result in results) >= 5
    assert any(not np.array_equal(result, results[0]) for result in results[1:])


@pytest.mark.parametrize("name", OPERATIONS)
def test_probability_nought_is_never(name: str) -> None:
    image = _image()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        np.testing.assert_array_equal(_photometric(image, _only(name, 0.0), rng), image)


@pytest.mark.parametrize("name", OPERATIONS)
def test_magnitude_nought_changes_nothing(name: str) -> None:
    """But JPEG, whose best still halves the colour's resolution."""
    image = _image()
    for seed in range(4):
        changed = _photometric(image, _only(name, strength=0.0), np.random.default_rng(seed))
        tolerance = 3 if name == "jpeg" else 0
        assert np.abs(changed.astype(int) - image).mean() <= tolerance


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_larger_magnitude_changes_more(name: str) -> None:
    image = _image()

    def change(strength: float) -> float:
        seeds = range(20)
        policy = _only(name, strength=strength)
        changed = [_photometric(image, policy, np.random.default_rng(seed)) for seed in seeds]
        return float(np.mean([np.abs(result.astype(int) - image).mean() for result in changed]))

    assert change(1.0) > 1.2 * change(0.4)


def test_probability_is_how_often() -> None:
    image = _image()
    policy = _only("sharpen", probability=0.25)
    rng = np.random.default_rng(0)
    often = np.mean(
        [not np.array_equal(_photometric(image, policy, rng), image) for _ in range(400)]
    )
    assert 0.2 < often < 0.3


def test_operations_do_what_their_names_say() -> None:
    image = _image()

    def many(name: str) -> np.ndarray:
        results = [_photometric(image, _only(name), np.random.default_rng(s)) for s in range(12)]
        return np.stack(results).astype(float)

    def detail(images: np.ndarray) -> float:
        return float(np.abs(np.diff(images, axis=-2)).mean())

    original = image.astype(float)
    assert (many("shadow") <= original + 1).all()
    assert many("haze").std(axis=(1, 2)).mean() < 0.85 * original.std(axis=(0, 1)).mean()
    covered = (np.abs(many("dirt") - original).max(axis=-1) > 3).mean()
    assert 0.005 < covered < 0.3
    assert detail(many("blur")) < 0.9 * detail(original) < detail(original) < detail(many("noise"))
    assert detail(many("sharpen")) > 1.05 * detail(original)
    assert many("tone").mean(axis=(1, 2, 3)).std() > 15


def test_colour_leaves_grey_alone_and_keeps_red_from_amber() -> None:
    """In OpenCV hue is in steps of 2 degrees; a signal's amber begins at about 30 degrees."""
    grey = np.full((4, 4, 3), 120, np.uint8)
    red = np.full((4, 4, 3), (40, 40, 220), np.uint8)
    hues = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        np.testing.assert_array_equal(_photometric(grey, _only("colour"), rng), grey)
        changed = _photometric(red, _only("colour"), np.random.default_rng(seed))
        hue, saturation, _ = cv2.cvtColor(changed, cv2.COLOR_BGR2HSV)[0, 0].astype(int)
        if saturation > 20:  # the hue of near-grey is rounding noise
            hues.append((2 * hue + 180) % 360 - 180)
    assert len(hues) > 40 and np.ptp(hues) > 20
    assert max(abs(hue) for hue in hues) < 30


def test_hand_varies_light_and_keeps_the_scene() -> None:
    image = _image()
    hand = load_policy("hand")
    means, likeness = [], []
    for seed in range(40):
        changed = _photometric(image, hand, np.random.default_rng(seed))
        means.append(changed.mean())
        likeness.append(np.corrcoef(changed.mean(axis=2).ravel(), image.mean(axis=2).ravel())[0, 1])
    assert np.std(means) > 8
    assert min(likeness) > 0.8


@pytest.mark.parametrize("name", OPERATIONS)
def test_two_frames_share_all_but_their_noise(name: str) -> None:
    image = _image()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        now, before = photometric([image, image], _only(name), rng)
        alone = _photometric(image, _only(name), np.random.default_rng(seed))
        np.testing.assert_array_equal(now, alone)  # a frame before changes nothing
        assert np.array_equal(now, before) == (name != "noise")
