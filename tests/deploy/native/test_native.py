"""The native kernels against OpenCV and NumPy: any size, stride, layout, border and map."""

import platform

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.lens import Lens
from calib.letterbox import Letterbox
from calib.rig import Camera, Rig
from deploy.loop.decode import Decoder
from deploy.loop.frames import Frame, FrameSet
from deploy.loop.preprocess import make_batches, preprocess
from perception.spec import PRESETS

native = pytest.importorskip("deploy.native._native", reason="no compiler when this was installed")

SPEC = PRESETS["nano"]
SCALE = tuple(1 / (255 * std) for std in SPEC.std)
OFFSET = tuple(mean / std for mean, std in zip(SPEC.mean, SPEC.std, strict=True))
POOL = native.Pool(2)
# On x86 the kernels give OpenCV's bytes. Elsewhere OpenCV may take a vendor's code instead, which
# rounds differently, by a grey level.
GREY_LEVELS = 0 if platform.machine() in ("x86_64", "AMD64") else 1

sizes = st.integers(1, 90)
seeds = st.integers(0, 10_000)
few = settings(max_examples=60, deadline=None)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def run(image, out, **where) -> np.ndarray:
    native.preprocess(POOL, [native.Camera(image, out, **where)], SCALE, OFFSET)
    return out


def placement(box: Letterbox) -> tuple[int, int, int, int]:
    return box.pad_left, box.pad_top, box.resized_width, box.resized_height


def grey_levels(planes: np.ndarray) -> np.ndarray:
    """Normalised planes back to 8 bits."""
    rgb = planes * np.reshape(SPEC.std, (3, 1, 1)) + np.reshape(SPEC.mean, (3, 1, 1))
    return np.rint(rgb * 255)


@few
@given(seeds, sizes, sizes, sizes, sizes, st.integers(0, 40), st.integers(0, 40))
def test_resize_is_the_reference(seed, width, height, dst_width, dst_height, skip_x, skip_y):
    whole = noise(seed, height + skip_y, width + skip_x, 3)
    image = whole[skip_y:, skip_x:]  # a crop: rows stand further apart than they are long
    box = Letterbox.fit(width, height, dst_width, dst_height)
    expected = np.zeros((3, dst_height, dst_width), np.float32)
    preprocess(image, box, SPEC, expected)
    found = run(image, np.full_like(expected, np.nan), placement=placement(box))
    if GREY_LEVELS == 0:
        np.testing.assert_array_equal(found, expected)
    assert np.abs(grey_levels(found) - grey_levels(expected)).max() <= GREY_LEVELS


@pytest.mark.parametrize("factor", [1, 2])
def test_the_sizes_of_hw2(factor):
    image = noise(1, 48 * factor, 64 * factor, 3)
    box = Letterbox.fit(64 * factor, 48 * factor, 64, 48)
    expected = np.zeros((3, 48, 64), np.float32)
    preprocess(image, box, SPEC, expected)
    found = run(image, np.empty_like(expected), placement=placement(box))
    assert np.abs(grey_levels(found) - grey_levels(expected)).max() <= GREY_LEVELS


def test_the_comparison_notices_swapped_channels_and_a_wrong_stride():
    image = noise(2, 40, 60, 3)
    box = Letterbox.fit(60, 40, 32, 24)
    expected = np.zeros((3, 24, 32), np.float32)
    preprocess(image, box, SPEC, expected)
    out = np.empty_like(expected)
    swapped = run(image, out, placement=placement(box), layout=native.Layout.RGB).copy()
    sheared = run(
        image.reshape(-1)[: 39 * 180].reshape(39, 60, 3)[::2], out, placement=placement(box)
    )
    for wrong in (swapped, sheared):
        assert np.abs(grey_levels(wrong) - grey_levels(expected)).max() > 20


@few
@given(
    seeds, st.integers(1, 40), st.integers(1, 40), sizes, sizes, st.sampled_from(["NV12", "YUYV"])
)
def test_colour_is_opencvs(seed, half_width, half_height, dst_width, dst_height, layout):
    width, height = 2 * half_width, 2 * half_height
    if layout == "NV12":
        both = noise(seed, height * 3 // 2, width)
        bgr = cv2.cvtColor(both, cv2.COLOR_YUV2BGR_NV12)
        raw = {"image": both[:height], "chroma": both[height:]}
    else:
        raw = {"image": noise(seed, height, width, 2)}
        bgr = cv2.cvtColor(raw["image"], cv2.COLOR_YUV2BGR_YUYV)
    box = Letterbox.fit(width, height, dst_width, dst_height)
    expected = np.zeros((3, dst_height, dst_width), np.float32)
    preprocess(bgr, box, SPEC, expected)
    where = {"placement": placement(box), "layout": getattr(native.Layout, layout)}
    found = run(**raw, out=np.empty_like(expected), **where)
    assert np.abs(grey_levels(found) - grey_levels(expected)).max() <= GREY_LEVELS


@few
@given(seeds, sizes, sizes, sizes, sizes)
def test_maps_are_opencvs_and_padding_outside(seed, width, height, dst_width, dst_height):
    image = noise(seed, height, width, 3)
    rng = np.random.default_rng(seed)
    shape = (dst_height, dst_width, 2)
    places = rng.integers((-64, -64), (32 * width + 64, 32 * height + 64), shape).astype(np.int32)
    places[0, 0] = (width - 1) * 32, (height - 1) * 32  # the very last pixel
    found = run(image, np.empty((3, dst_height, dst_width), np.float32), map=places)
    fixed, fraction = (places >> 5).astype(np.int16), places & 31
    table = (fraction[..., 1] * 32 + fraction[..., 0]).astype(np.uint16)
    bgr = cv2.remap(image, fixed, table, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    whole = Letterbox.fit(dst_width, dst_height, dst_width, dst_height)
    expected = np.zeros_like(found)
    preprocess(bgr, whole, SPEC, expected)
    limit = (np.array([width, height]) - 1) * 32
    expected[:, ((places < 0) | (places > limit)).any(axis=-1)] = 0
    assert np.abs(grey_levels(found) - grey_levels(expected)).max() <= GREY_LEVELS
    assert (found == 0).all(axis=0)[((places < 0) | (places > limit)).any(axis=-1)].all()


def test_every_type_holds_the_same_pixels():
    image = noise(3, 50, 70, 3)
    box = Letterbox.fit(70, 50, 40, 40)
    single = run(image, np.empty((3, 40, 40), np.float32), placement=placement(box))
    half = run(image, np.empty((3, 40, 40), np.float16), placement=placement(box))
    np.testing.assert_array_equal(half, single.astype(np.float16))
    byte = run(image, np.empty((3, 40, 40), np.uint8), placement=placement(box))
    np.testing.assert_array_equal(byte, grey_levels(single))
    assert list(byte[:, 0, 0]) == [round(255 * mean) for mean in SPEC.mean]


def test_threads_change_nothing():
    image = noise(4, 300, 200, 3)
    where = {"placement": (5, 3, 120, 180)}
    outs = [np.empty((3, 200, 130), np.float32) for _ in range(2)]
    for threads, out in zip((1, 4), outs, strict=True):
        cameras = [native.Camera(image, out, **where)]
        native.preprocess(native.Pool(threads), cameras, SCALE, OFFSET)
    np.testing.assert_array_equal(*outs)


@pytest.mark.parametrize(
    ("image", "where", "message"),
    [
        (noise(0, 8, 8, 3), {"placement": (5, 0, 4, 4)}, "inside the tensor"),
        (noise(0, 8, 8, 3), {"placement": (0, 0, 0, 4)}, "at least 1 pixel"),
        (noise(0, 8, 8, 3), {}, "placement or a map"),
        (noise(0, 8, 8, 3)[:, ::2], {"placement": (0, 0, 4, 4)}, "without gaps"),
        (noise(0, 8, 8, 3)[::-1], {"placement": (0, 0, 4, 4)}, "go down"),
        (noise(0, 8, 8, 3), {"map": np.zeros((3, 8, 2), np.int32)}, "output's size"),
    ],
)
def test_what_does_not_fit_is_refused(image, where, message):
    with pytest.raises(ValueError, match=message):
        run(image, np.zeros((3, 8, 8), np.float32), **where)


def test_the_loop_gets_the_same_tensor_from_either():
    """Cameras that differ, one missing, two frames: slots, shifts and padding all count."""
    lens = Lens("pinhole", 70, 40, 50, 50, 34.5, 19.5)
    rig = Rig("three", tuple(Camera(n, lens, np.eye(4), 36.0, "small") for n in "abc"))
    spec = SPEC.model_copy(update={"frames": 2})
    (reference,) = make_batches(rig, spec, "reference")
    (kernels,) = make_batches(rig, spec, "native")
    for index in range(3):
        frames = {
            name: Frame(name, "ok", image=noise(10 * index + i, 40, 70, 3))
            for i, name in enumerate("abc")
        }
        if index == 1:
            frames["b"] = Frame("b", "missing")
        frame_set = FrameSet(index, index, frames)
        assert kernels.fill(frame_set) == reference.fill(frame_set)
        worst = GREY_LEVELS * 1.01 / 255 / min(SPEC.std)
        assert np.abs(kernels.images - reference.images).max() <= worst
    assert (kernels.images[0] != kernels.images[1]).any()


@few
@given(seeds, st.integers(1, 30), st.integers(1, 30), st.integers(1, 4))
def test_scene_is_the_decoders(seed, width, height, factor):
    classes = len(SPEC.scene_classes)
    logits = np.random.default_rng(seed).normal(0, 8, (classes, height, width)).astype(np.float32)
    groups = [1 << SPEC.scene_classes.index("drivable")]
    groups.append(
        sum(1 << SPEC.scene_classes.index(n) for n in ("drivable", "pavement", "terrain"))
    )
    size = width * factor, height * factor
    labels = np.empty(size[::-1], np.uint8)
    probabilities = np.empty((2, *labels.shape), np.float32)
    native.scene(POOL, logits, groups, labels, probabilities)

    resized = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_LINEAR) for p in logits])
    k = SPEC.top_k
    outputs = {
        "scene": resized[None],
        "boxes": np.zeros((1, k, 4)),
        "scores": np.zeros((1, k)),
        "labels": np.zeros((1, k), np.int64),
        "ground_points": np.zeros((1, k, 2)),
    }
    expected = Decoder(SPEC, "reference").decode(outputs, 0, "main", Letterbox.fit(8, 8, 8, 8))
    np.testing.assert_allclose(probabilities[0], expected.drivable, atol=1e-5)
    np.testing.assert_allclose(probabilities[1], expected.ground, atol=1e-5)
    best_two = np.sort(resized, axis=0)[-2:]
    clear = best_two[1] - best_two[0] > 1e-4  # rounding may decide the others
    np.testing.assert_array_equal(labels[clear], expected.scene[clear])
