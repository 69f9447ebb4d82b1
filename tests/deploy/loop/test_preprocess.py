"""The preprocess reference against an independent, slow one; batches keep cameras apart."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.lens import Lens
from calib.letterbox import Letterbox
from calib.rig import Camera, Rig, load_rig
from deploy.log.reader import EncodedImage
from deploy.loop.frames import Frame, FrameSet
from deploy.loop.preprocess import Batch, make_batches, preprocess
from perception.errors import SpecError
from perception.spec import PRESETS, ModelSpec

SPEC = PRESETS["nano"]


def picture(seed: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def slow_bilinear(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bilinear interpolation with pixel centres at half integers, in float64."""

    def axis(size: int, source: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
        low = np.minimum(at.astype(int), max(source - 2, 0))
        return low, np.minimum(low + 1, source - 1), at - low

    x0, x1, fx = axis(width, image.shape[1])
    y0, y1, fy = axis(height, image.shape[0])
    rows = image.astype(float)
    rows = rows[y0] * (1 - fy)[:, None, None] + rows[y1] * fy[:, None, None]
    return rows[:, x0] * (1 - fx)[:, None] + rows[:, x1] * fx[:, None]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(20, 400), st.integers(20, 400))
def test_it_is_what_the_spec_says(seed, width, height):
    image = picture(seed, width, height)
    box = Letterbox.fit(width, height, 96, 64)
    out = np.zeros((3, 64, 96), np.float32)
    preprocess(image, box, SPEC, out)
    rgb = slow_bilinear(image, box.resized_width, box.resized_height)[..., ::-1] / 255
    expected = np.zeros((64, 96, 3))
    rows = slice(box.pad_top, box.pad_top + box.resized_height)
    columns = slice(box.pad_left, box.pad_left + box.resized_width)
    expected[rows, columns] = (rgb - SPEC.mean) / SPEC.std
    # The resize rounds to whole grey levels (and OpenCV's weights to 1/2048).
    worst_step = 1.6 / 255 / min(SPEC.std)
    assert np.abs(out.transpose(1, 2, 0) - expected).max() < worst_step
    outside = np.ones((64, 96), bool)
    outside[rows, columns] = False
    assert not out[:, outside].any()


def test_colours_are_red_green_blue():
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 2] = 255  # red in OpenCV's order
    out = np.zeros((3, 48, 64), np.float32)
    preprocess(image, Letterbox.fit(64, 48, 64, 48), SPEC, out)
    expected = (np.array([1, 0, 0]) - SPEC.mean) / SPEC.std
    np.testing.assert_allclose(out.mean(axis=(1, 2)), expected, rtol=1e-5)


def frame_set(index: int, images: dict[str, np.ndarray | None]) -> FrameSet:
    frames = {
        name: Frame(name, "missing" if image is None else "ok", image=image)
        for name, image in images.items()
    }
    return FrameSet(index, index, frames)


def test_hw2_is_two_batches_of_four():
    batches = make_batches(load_rig("hw2"), SPEC)
    assert {b.bucket: b.images.shape for b in batches} == {
        "large": (4, 3, 480, 640),
        "small": (4, 3, 240, 320),
    }
    assert all(b.images.flags.c_contiguous and b.images.dtype == np.float32 for b in batches)


def two_cameras() -> Rig:
    lens = Lens("pinhole", 640, 360, 500, 500, 319.5, 179.5)  # not the bucket's aspect
    return Rig("two", tuple(Camera(n, lens, np.eye(4), 36.0, "small") for n in ("a", "b")))


def test_a_missing_camera_leaves_zeros_and_touches_no_other():
    (batch,) = make_batches(two_cameras(), SPEC)
    first, second = picture(1, 640, 360), picture(2, 640, 360)
    batch.fill(frame_set(0, {"a": first, "b": second}))
    both = batch.images.copy()
    batch.fill(frame_set(1, {"a": None, "b": second}))
    assert not batch.images[0].any()
    np.testing.assert_array_equal(batch.images[1], both[1])
    batch.fill(frame_set(2, {"a": first, "b": second}))
    np.testing.assert_array_equal(batch.images, both)


def test_two_frames_previous_first_and_a_gap_is_marked():
    spec = SPEC.model_copy(update={"frames": 2})
    (batch,) = make_batches(two_cameras(), spec)
    one, two, three = (picture(i, 640, 360) for i in range(3))
    assert batch.fill(frame_set(0, {"a": one, "b": one})) == {"a", "b"}
    np.testing.assert_array_equal(batch.images[0, :3], batch.images[0, 3:])
    now = batch.images[:, 3:].copy()
    assert batch.fill(frame_set(1, {"a": two, "b": None})) == frozenset()
    np.testing.assert_array_equal(batch.images[0, :3], now[0])
    assert (batch.images[0, 3:] != now[0]).any()
    assert batch.fill(frame_set(2, {"a": three, "b": three})) == {"b"}
    np.testing.assert_array_equal(batch.images[1, :3], batch.images[1, 3:])
    # A dropped frame set leaves a gap too.
    assert batch.fill(frame_set(4, {"a": one, "b": one})) == {"a", "b"}


def test_two_frames_by_the_cameras_own_count():
    """A frame that was lost before it reached the sets is a gap, whatever the sets say."""
    spec = SPEC.model_copy(update={"frames": 2})
    (batch,) = make_batches(two_cameras(), spec)
    marked = []
    for index, ids in enumerate([(0, 5), (1, 6), (3, 7), (4, 8)]):
        frames = {
            name: Frame(
                *(name, "ok", 0, picture(index, 640, 360)),
                EncodedImage(name, 0, b"", "jpeg", sequence),
            )
            for name, sequence in zip("ab", ids, strict=True)
        }
        marked.append(batch.fill(FrameSet(index, 0, frames)))
    assert marked == [{"a", "b"}, set(), {"a"}, set()]


def test_an_unknown_bucket_is_named():
    camera = Camera("a", Lens("pinhole", 64, 48, 50, 50, 31.5, 23.5), np.eye(4), 36.0, "huge")
    with pytest.raises(SpecError, match="huge"):
        make_batches(Rig("odd", (camera,)), SPEC)


def test_base_and_nano_see_the_same_picture():
    """A larger preset takes more pixels of the same view: halving one gives the other."""
    rig = load_rig("hw2")
    image = cv2.resize(picture(5, 40, 30), (1280, 960), interpolation=cv2.INTER_CUBIC)

    def inputs(spec: ModelSpec) -> np.ndarray:
        batch = Batch("large", (rig["main"],), spec)
        batch.fill(frame_set(0, {"main": image}))
        return batch.images[0].transpose(1, 2, 0)

    halved = cv2.resize(inputs(PRESETS["base"]), (640, 480), interpolation=cv2.INTER_LINEAR)
    assert np.abs(halved - inputs(SPEC)).max() < 1.1 / 255 / min(SPEC.std)
