"""Raw outputs to camera results, in pixels of the camera's own image."""

import numpy as np
import pytest

from calib.letterbox import Letterbox
from deploy.loop.decode import Decoder
from deploy.native import is_built
from perception.errors import SpecError
from perception.spec import PRESETS

SPEC = PRESETS["nano"]
CLASSES = len(SPEC.scene_classes)
KERNELS = [
    "reference",
    pytest.param("native", marks=pytest.mark.skipif(not is_built(), reason="kernels not built")),
]


def outputs(n: int = 2) -> dict[str, np.ndarray]:
    k = SPEC.top_k
    return {
        "scene": np.random.default_rng(0).normal(size=(n, CLASSES, 15, 20)).astype(np.float32),
        "boxes": np.zeros((n, k, 4), np.float32),
        "scores": np.zeros((n, k), np.float32),
        "labels": np.zeros((n, k), np.int64),
        "ground_points": np.zeros((n, k, 2), np.float32),
    }


def with_object(label: int, score: float, box: list[float], point: list[float], slot: int = 0):
    raw = outputs()
    raw["boxes"][slot, 0], raw["scores"][slot, 0] = box, score
    raw["labels"][slot, 0], raw["ground_points"][slot, 0] = label, point
    return raw


@pytest.mark.parametrize("kernels", KERNELS)
def test_scene_and_probabilities_are_those_of_a_softmax(kernels):
    raw = outputs()
    result = Decoder(SPEC, kernels).decode(raw, 1, "main", Letterbox.fit(160, 120, 80, 60))
    logits = raw["scene"][1].astype(np.float64)
    probability = np.exp(logits) / np.exp(logits).sum(axis=0)
    np.testing.assert_array_equal(result.scene, probability.argmax(axis=0))
    np.testing.assert_allclose(result.drivable, probability[0], rtol=1e-4)
    ground = [SPEC.scene_classes.index(n) for n in ("drivable", "pavement", "terrain")]
    np.testing.assert_allclose(result.ground, probability[ground].sum(axis=0), rtol=1e-4)
    assert (result.scene.dtype, result.drivable.dtype) == (np.uint8, np.float32)


@pytest.mark.parametrize("kernels", KERNELS)
def test_huge_logits_do_not_overflow(kernels):
    raw = outputs()
    raw["scene"][:] = -1e4
    raw["scene"][:, 0] = 1e4
    result = Decoder(SPEC, kernels).decode(raw, 0, "main", Letterbox.fit(160, 120, 80, 60))
    assert (result.drivable == 1).all() and (result.ground == 1).all()


def test_objects_come_back_through_the_letterbox():
    box = Letterbox.fit(200, 100, 80, 60)  # scale 0.4, 10 rows of padding above
    raw = with_object(1, 0.9, [8, 18, 24, 34], [16, 33.5])
    (found,) = Decoder(SPEC).decode(raw, 0, "main", box).objects
    assert (found.label, found.score) == ("pedestrian", pytest.approx(0.9))
    assert box.forward(np.reshape(found.box, (2, 2))).ravel() == pytest.approx([8, 18, 24, 34])
    assert found.ground_point == pytest.approx(tuple((np.array([16, 23.5]) + 0.5) / 0.4 - 0.5))


def test_only_its_own_slot_counts():
    raw = with_object(0, 0.9, [8, 18, 24, 34], [16, 33], slot=1)
    letterbox = Letterbox.fit(160, 120, 80, 60)
    assert not Decoder(SPEC).decode(raw, 0, "main", letterbox).objects
    assert Decoder(SPEC).decode(raw, 1, "main", letterbox).objects


@pytest.mark.parametrize(
    ("label", "score", "box", "point"),
    [
        pytest.param(0, 0.29, [8, 18, 24, 34], [16, 33], id="below the threshold"),
        pytest.param(0, np.nan, [8, 18, 24, 34], [16, 33], id="score is NaN"),
        pytest.param(0, 0.9, [8, np.nan, 24, 34], [16, 33], id="box is NaN"),
        pytest.param(0, 0.9, [8, 18, 24, 34], [np.inf, 33], id="ground point is infinite"),
        pytest.param(0, 0.9, [24, 18, 8, 34], [16, 33], id="inside out"),
        pytest.param(0, 0.9, [90, 18, 99, 34], [16, 33], id="outside the image"),
        pytest.param(7, 0.9, [8, 18, 24, 34], [16, 33], id="no such class"),
    ],
)
def test_what_is_no_object(label, score, box, point):
    raw = with_object(label, score, box, point)
    assert not Decoder(SPEC).decode(raw, 0, "main", Letterbox.fit(160, 120, 80, 60)).objects


def test_boxes_end_at_the_image_but_ground_points_need_not():
    raw = with_object(0, 0.9, [-9, 20, 30, 99], [10, 70])
    (found,) = Decoder(SPEC).decode(raw, 0, "main", Letterbox.fit(160, 120, 80, 60)).objects
    assert found.box[0] == 0 and found.box[3] == 119
    assert found.ground_point[1] > 119


def test_a_model_without_drivable_is_refused():
    foreign = SPEC.model_copy(update={"scene_classes": ("road", "sky")})
    with pytest.raises(SpecError, match="drivable"):
        Decoder(foreign)
