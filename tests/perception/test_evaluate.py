"""Evaluation: a perfect predictor scores 1, a wrong one less, by numbers worked out by hand."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from calib.letterbox import Letterbox
from deploy.loop.preprocess import preprocess
from perception.data.sample import Objects, Sample
from perception.errors import DatasetError, SpecError
from perception.evaluate import Scores, evaluate, network_input, predicted_labels
from perception.metrics import Detections, average_precision, class_iou, confusion_matrix, joint_iou
from perception.spec import Bucket, ModelSpec
from perception.taxonomy import IGNORE, OBJECT_CLASSES, SCENE_CLASSES

SPEC = ModelSpec(
    preset="test",
    width_multiplier=1.0,
    decoder_channels=8,
    buckets={"large": Bucket(width=160, height=120), "small": Bucket(width=80, height=60)},
    top_k=4,
)
SKY, DRIVABLE, VEGETATION = (SCENE_CLASSES.index(n) for n in ("sky", "drivable", "vegetation"))


def _objects(boxes: list[list[float]], classes: list[int], ignore: list[bool]) -> Objects:
    return Objects(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(classes, np.int64),
        ground_points=np.full((len(boxes), 2), np.nan, np.float32),
        ignore=np.array(ignore, np.bool_),
    )


def _sample(index: int, width: int, height: int, camera: str) -> Sample:
    """Bands of sky, vegetation and road. The image tells the predictor its truth: red is twenty
    times the label, blue ten times the sample's index."""
    labels = np.full((height, width), SKY, np.uint8)
    labels[16:36] = VEGETATION
    labels[36:] = DRIVABLE
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = 20 * labels
    image[..., 0] = 10 * index
    boxes = [[9.5, 19.5, 39.5, 39.5], [49.5, 9.5, 59.5, 49.5], [0.5, 30.5, 8.5, 38.5]]
    return Sample(image, labels, _objects(boxes, [0, 1, 0], [False] * 3), "memory", camera)


@dataclass
class Memory:
    """Three views: one fills the large bucket, one is letterboxed into it, one is small."""

    name: str = "memory"
    labels: tuple[str, ...] = SCENE_CLASSES
    label_to_scene: tuple[frozenset[str], ...] = tuple(frozenset({n}) for n in SCENE_CLASSES)
    buckets: tuple[str, ...] = ("large", "small", "large")
    box_origin: str = "exact"
    samples: list[Sample] = field(
        default_factory=lambda: [
            _sample(0, 160, 120, "main"),
            _sample(1, 80, 60, "rear"),
            _sample(2, 160, 96, "main"),
        ]
    )

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(sample.source for sample in self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def sample(self, index: int) -> Sample:
        return self.samples[index]


@dataclass
class Oracle:
    """Reads the truth off the image, then spoils it as it is told to."""

    dataset: Memory
    shift_rows: int = 0
    shift_boxes: float = 0.0
    scene_order: tuple[int, ...] = tuple(range(len(SCENE_CLASSES)))
    found: int = 3  # of the three objects
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self.shapes.append(images.shape)
        outputs = [self._one(image[-3:]) for image in images]
        return {name: np.stack([one[name] for one in outputs]) for name in outputs[0]}

    def _one(self, image: np.ndarray) -> dict[str, np.ndarray]:
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (SPEC.mean, SPEC.std))
        red, _, blue = 255 * (image * std + mean)
        labels = np.rint(red[2::4, 2::4] / 20).astype(int).clip(0, len(SCENE_CLASSES) - 1)
        labels = np.roll(np.array(self.scene_order)[labels], self.shift_rows, axis=0)
        middle = blue[blue.shape[0] // 2, blue.shape[1] // 2]
        sample = self.dataset.samples[round(float(middle) / 10)]
        height, width = image.shape[1:]
        placement = Letterbox.fit(*sample.image.shape[1::-1], width, height)
        boxes = np.full((SPEC.top_k, 4), 5.0, np.float32)
        scores, classes = np.zeros(SPEC.top_k, np.float32), np.zeros(SPEC.top_k, np.int64)
        truth = sample.objects.boxes + np.float32(self.shift_boxes)
        n = len(truth)
        boxes[:n] = placement.forward(truth.reshape(-1, 2, 2)).reshape(-1, 4)
        classes[:n] = sample.objects.classes
        scores[: min(n, self.found)] = 0.9  # a score of 0 means that there is no object
        return {
            "scene": 10 * np.eye(len(SCENE_CLASSES), dtype=np.float32)[labels].transpose(2, 0, 1),
            "boxes": boxes,
            "scores": scores,
            "labels": classes,
            "ground_points": np.zeros((SPEC.top_k, 2), np.float32),
        }


def _scores(spec: ModelSpec = SPEC, **spoil: Any) -> Scores:
    dataset = Memory()
    return evaluate(Oracle(dataset, **spoil), dataset, spec)


def test_perfect_predictions_score_one() -> None:
    scores = _scores()
    assert scores.images == 3 and scores.boxes == "exact"
    assert scores.mean_iou == scores.drivable_iou == 1
    assert scores.drivable_iou_by_camera == {"main": 1, "rear": 1}
    assert scores.map50 == pytest.approx(1) and scores.map50_95 == pytest.approx(1)
    assert scores.map50_by_class["vehicle"] == pytest.approx(1)
    present = {name for name, value in scores.iou.items() if value == value}
    assert present == {"sky", "drivable", "vegetation"}


def test_shifted_labels_score_less() -> None:
    """One cell, 4 rows, further down. Sky and vegetation are known in every column: in the view
    of 160x120 sky has 16 rows of which all stay, and gains 4 of vegetation's."""
    scores = _scores(shift_rows=1)
    assert 0.5 < scores.mean_iou < 0.95
    assert scores.map50 == pytest.approx(1)
    dataset = Memory(samples=[_sample(0, 160, 120, "main")], buckets=("large",))
    alone = evaluate(Oracle(dataset, shift_rows=1), dataset, SPEC)
    # Rolled by one cell: 4 rows of road come in at the top, sky's rows are 4..19.
    assert alone.iou["sky"] == pytest.approx(12 / 20)
    assert alone.iou["vegetation"] == pytest.approx(16 / 24)
    assert alone.iou["drivable"] == pytest.approx(80 / 88)


def test_swapped_classes_score_nothing() -> None:
    order = list(range(len(SCENE_CLASSES)))
    order[SKY], order[DRIVABLE] = DRIVABLE, SKY
    scores = _scores(scene_order=tuple(order))
    assert scores.drivable_iou == scores.iou["sky"] == 0
    assert scores.iou["vegetation"] == 1


def test_shifted_boxes_score_less() -> None:
    scores = _scores(shift_boxes=2.0)
    assert scores.mean_iou == 1
    # Moved by (2, 2) a 30x20 box overlaps by 0.72, a 10x40 box by 0.61 and an 8x8 box by 0.39.
    assert scores.map50_by_class["pedestrian"] == pytest.approx(1)
    assert scores.map50_95_by_class["pedestrian"] == pytest.approx(0.3)
    assert scores.map50_by_class["vehicle"] < 0.6


def test_missed_boxes_score_less() -> None:
    scores = _scores(found=1)
    assert scores.map50_by_class["pedestrian"] == 0
    assert scores.map50_by_class["vehicle"] == pytest.approx(51 / 101)  # recall stops at a half
    assert np.isnan(scores.map50_by_class["cyclist"])
    assert scores.map50 == pytest.approx(51 / 202)


def test_low_objects_do_not_count_among_the_tall() -> None:
    scores = _scores(found=2)  # all but the car that is 8 px high
    assert scores.map50_by_class["vehicle"] == pytest.approx(51 / 101)
    assert scores.map50_tall_by_class["vehicle"] == pytest.approx(1)
    missed = _scores(found=0)  # negative control: the tall ones do count
    assert missed.map50_tall_by_class["vehicle"] == 0


def test_every_view_goes_to_its_bucket() -> None:
    dataset = Memory()
    oracle, done = Oracle(dataset), []
    evaluate(oracle, dataset, SPEC, done.append)
    assert oracle.shapes == [(2, 3, 120, 160), (1, 3, 60, 80)]
    assert done == [2, 3]


def test_a_network_of_two_frames_sees_the_image_twice() -> None:
    spec = SPEC.model_copy(update={"frames": 2})
    image = _sample(1, 160, 96, "main").image
    tensor = network_input(image, Letterbox.fit(160, 96, 160, 120), spec)
    assert tensor.shape == (6, 120, 160)
    np.testing.assert_array_equal(tensor[:3], tensor[3:])
    assert _scores(spec).mean_iou == 1


def test_input_equals_that_of_the_loop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    placement = Letterbox.fit(160, 90, 80, 60)
    expected = np.zeros((3, 60, 80), np.float32)
    preprocess(image, placement, SPEC, expected)
    np.testing.assert_allclose(network_input(image, placement, SPEC), expected, atol=1e-5)
    assert np.abs(network_input(image[::-1], placement, SPEC) - expected).max() > 1


def test_unknown_bucket() -> None:
    dataset = Memory(buckets=("large", "huge", "large"))
    with pytest.raises(SpecError, match="'huge'"):
        evaluate(Oracle(dataset), dataset, SPEC)


# Labels that are sets of scene classes.


def _logits(**probability: float) -> np.ndarray:
    """(classes, 2, 2) logits with these probabilities everywhere, the rest nearly 0."""
    p = np.full(len(SCENE_CLASSES), 1e-9)
    for name, value in probability.items():
        p[SCENE_CLASSES.index(name)] = value
    return np.broadcast_to(np.log(p)[:, None, None], (len(p), 2, 2)).astype(np.float32)


def _winner(sets: list[set[str]], **probability: float) -> int:
    matrix = np.array([[name in s for name in SCENE_CLASSES] for s in sets], np.float32)
    labels, _ = predicted_labels(_logits(**probability), Letterbox.fit(8, 8, 8, 8), matrix)
    assert labels.shape == (8, 8) and len(np.unique(labels)) == 1
    return int(labels[0, 0])


def test_a_label_has_the_sum_of_its_classes() -> None:
    green_and_road = [{"vegetation", "terrain"}, {"drivable"}]
    assert _winner(green_and_road, vegetation=0.3, terrain=0.3, drivable=0.4) == 0
    assert _winner(green_and_road, vegetation=0.2, terrain=0.3, drivable=0.5) == 1


def test_classes_of_no_label_and_labels_of_no_class_never_win() -> None:
    assert _winner([set(), {"sky"}, {"drivable"}], building=0.9, drivable=0.06, sky=0.04) == 2


def test_shared_classes_leave_the_choice_to_the_others() -> None:
    living_and_vehicle = [{"pedestrian", "cyclist"}, {"vehicle", "cyclist"}, {"sky"}]
    assert _winner(living_and_vehicle, cyclist=0.6, pedestrian=0.1, vehicle=0.2, sky=0.1) == 1
    assert _winner(living_and_vehicle, cyclist=0.6, pedestrian=0.2, vehicle=0.1, sky=0.1) == 0


def test_a_label_inside_another_is_refused() -> None:
    sets = tuple(frozenset(s) for s in ({"drivable"}, {"drivable", "pavement"}, {"sky"}))
    dataset = Memory(labels=("road", "ground", "sky"), label_to_scene=sets)
    with pytest.raises(DatasetError, match="'road' belongs to 'ground'"):
        evaluate(Oracle(dataset), dataset, SPEC)


def test_coarse_labels_and_ignored_areas_by_hand() -> None:
    """10 columns; truth: road 4, green 3, void 2, 255 1. Predicted: 4 road, 1 sky, 5 green."""
    names = ("void", "road", "green", "sky")
    truth = np.array([[1, 1, 1, 1, 2, 2, 2, 0, 0, 255]], np.uint8)
    truth[truth == 0] = IGNORE  # what evaluate does with labels of no class
    predicted = np.array([[1, 1, 1, 2, 1, 3, 2, 2, 2, 2]], np.uint8)
    confusion = confusion_matrix(truth, predicted, len(names))
    np.testing.assert_array_equal(
        confusion, [[0, 0, 0, 0], [0, 3, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]]
    )
    np.testing.assert_allclose(class_iou(confusion), [np.nan, 3 / 5, 1 / 4, 0])
    assert joint_iou(confusion, [1, 2]) == pytest.approx(6 / 7)


def test_labels_of_no_class_do_not_count() -> None:
    """Sky is scored as it is; the vegetation, called void, may be taken for anything."""
    sets = tuple(
        frozenset[str]() if name == "vegetation" else frozenset({name}) for name in SCENE_CLASSES
    )
    dataset = Memory(label_to_scene=sets)
    order = list(range(len(SCENE_CLASSES)))
    order[VEGETATION] = SCENE_CLASSES.index("fence")
    scores = evaluate(Oracle(dataset, scene_order=tuple(order)), dataset, SPEC)
    assert scores.mean_iou == 1 and "vegetation" not in scores.iou


# Boxes by hand.


def _detections(boxes: list[list[float]], scores: list[float]) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        scores=np.array(scores, np.float64),
        classes=np.zeros(len(boxes), np.int64),
    )


A, B, C = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]


def test_average_precision_by_hand() -> None:
    """Right, wrong, right: precision 1 up to recall 0.5 (51 of 101 points), then 2/3."""
    truth = _objects([A, B], [0, 0], [False, False])
    ap = average_precision([truth], [_detections([A, C, B], [0.9, 0.8, 0.7])], 1)
    assert ap.shape == (1, 10, 1)
    np.testing.assert_allclose(ap, (51 + 50 * 2 / 3) / 101)


def test_ignored_boxes_are_neither_missed_nor_false() -> None:
    truth = _objects([A, B], [0, 0], [False, True])
    right = _detections([A], [0.5])
    on_ignored = _detections([A, B], [0.5, 0.9])
    beside = _detections([A, C], [0.5, 0.9])
    for detections, expected in ((right, 1.0), (on_ignored, 1.0), (beside, 0.5)):
        np.testing.assert_allclose(average_precision([truth], [detections], 1), expected)


def test_no_objects_and_no_detections() -> None:
    nothing, silent = _objects([], [], []), _detections([], [])
    assert np.isnan(average_precision([nothing], [silent], 2)).all()
    one = _objects([A], [0], [False])
    np.testing.assert_array_equal(average_precision([one], [silent], 1), 0)


def test_json_has_null_for_what_was_not_measured() -> None:
    dataset = Memory()
    dataset.samples = [
        replace(s, objects=_objects([], [], []), labels=np.full_like(s.labels, SKY))
        for s in dataset.samples
    ]
    scores = evaluate(Oracle(dataset, found=0), dataset, SPEC)
    result = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert result["map50"] is None and result["map50_by_class"] == dict.fromkeys(OBJECT_CLASSES)
    assert result["iou"]["fence"] is None and 0 < result["iou"]["sky"] < 1
