"""Evaluation: a perfect predictor scores 1, a wrong one less, by numbers worked out by hand."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calib.letterbox import Letterbox
from deploy.loop.preprocess import preprocess
from perception.data.fingerprint import fingerprint
from perception.errors import DatasetError, SpecError
from perception.evaluate import evaluate, fingerprints_in, network_input, predicted_labels
from perception.metrics import (
    Detections,
    ReliabilityCounter,
    average_precision,
    class_iou,
    confusion_matrix,
    joint_iou,
    match,
)
from perception.scores import ObjectScore, Reliability, SceneSlice, Scores
from perception.spec import Bucket, ModelSpec
from perception.taxonomy import IGNORE, OBJECT_CLASSES, SCENE_CLASSES
from tests.perception.memory import (
    DRIVABLE,
    SKY,
    SKY_FOR_ROAD,
    SPEC,
    VEGETATION,
    Memory,
    Oracle,
    objects_of,
    sample_of,
)


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
    dataset = Memory(samples=[sample_of(0, 160, 120, "main")], buckets=("large",))
    alone = evaluate(Oracle(dataset, shift_rows=1), dataset, SPEC)
    # Rolled by one cell: 4 rows of road come in at the top, sky's rows are 4..19.
    assert alone.iou["sky"] == pytest.approx(12 / 20)
    assert alone.iou["vegetation"] == pytest.approx(16 / 24)
    assert alone.iou["drivable"] == pytest.approx(80 / 88)


def test_swapped_classes_score_nothing() -> None:
    scores = _scores(scene_order=SKY_FOR_ROAD)
    assert scores.drivable_iou == scores.iou["sky"] == 0
    assert scores.iou["vegetation"] == 1


def test_a_class_taken_for_another_changes_these_two_and_no_other_number() -> None:
    order = list(range(len(SCENE_CLASSES)))
    order[VEGETATION] = fence = SCENE_CLASSES.index("fence")
    right, wrong = _scores(), _scores(scene_order=tuple(order))
    changed = {name for name, value in wrong.iou.items() if value == 0}
    assert changed == {"vegetation", "fence"}
    assert {n: v for n, v in wrong.iou.items() if n not in changed and v == v} == {
        "sky": 1,
        "drivable": 1,
    }
    assert wrong.drivable_iou == 1 and wrong.mean_iou == 0.5
    assert wrong.map50 == right.map50
    assert wrong.to_json()["slices"]["size"] == right.to_json()["slices"]["size"]
    pixels = right.confusion[VEGETATION][VEGETATION]
    assert pixels == 20 * (160 + 80 + 160)
    assert wrong.confusion[VEGETATION][fence] == pixels == sum(wrong.confusion[VEGETATION])


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


def test_low_false_detections_count_among_the_tall_but_not_in_other_slices() -> None:
    """The small car's box moved off it: a false detection of 8 px, as sure as the right ones."""
    dataset = Memory()
    oracle = Oracle(dataset)

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = oracle(images)
        outputs["boxes"][:, 2, ::2] += 30
        outputs["scores"][:, 2] = 0.95
        return outputs

    scores = evaluate(predict, dataset, SPEC)
    assert scores.map50_tall_by_class["vehicle"] == pytest.approx(0.5)
    sizes = {s.low_px: s.by_class["vehicle"] for s in scores.slices.size}
    assert sizes[12].ap50 == pytest.approx(1) and sizes[6].ap50 == 0


def test_every_view_goes_to_its_bucket() -> None:
    dataset = Memory()
    oracle, done = Oracle(dataset), []
    evaluate(oracle, dataset, SPEC, done.append)
    assert oracle.shapes == [(2, 3, 120, 160), (1, 3, 60, 80)]
    assert done == [2, 3]


def test_a_network_of_two_frames_sees_the_frame_before_or_the_image_twice() -> None:
    spec = SPEC.model_copy(update={"frames": 2})
    dataset, seen = Memory(), []
    before = dataset.samples[0].image[::-1]
    dataset.samples[0] = replace(dataset.samples[0], previous=before)
    oracle = Oracle(dataset)

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        seen.extend(images)
        return oracle(images)

    assert evaluate(predict, dataset, spec).mean_iou == 1
    placement = Letterbox.fit(160, 120, 160, 120)
    np.testing.assert_array_equal(seen[0][:3], network_input([before], placement, SPEC))
    assert not np.array_equal(seen[0][:3], seen[0][3:])
    for image in seen[1:]:
        assert len(image) == 6
        np.testing.assert_array_equal(image[:3], image[3:])


def test_input_equals_that_of_the_loop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    placement = Letterbox.fit(160, 90, 80, 60)
    expected = np.zeros((3, 60, 80), np.float32)
    preprocess(image, placement, SPEC, expected)
    np.testing.assert_allclose(network_input([image], placement, SPEC), expected, atol=1e-5)
    assert np.abs(network_input([image[::-1]], placement, SPEC) - expected).max() > 1


def test_unknown_bucket() -> None:
    dataset = Memory(buckets=("large", "huge", "large"))
    with pytest.raises(SpecError, match="'huge'"):
        evaluate(Oracle(dataset), dataset, SPEC)


# Slices, each with a predictor that is wrong there and nowhere else.


def test_a_bad_camera_shows_in_its_slice_alone() -> None:
    slices = _scores(scene_order=SKY_FOR_ROAD, only=1).slices
    assert slices.camera["main"] == SceneSlice(images=2, mean_iou=1, drivable_iou=1)
    assert slices.camera["rear"].images == 1 and slices.camera["rear"].drivable_iou == 0
    assert slices.camera["rear"].mean_iou == pytest.approx(1 / 3)  # vegetation is right


def test_a_bad_bright_image_shows_in_its_slice_alone() -> None:
    """Green of 255 gives a luma of 0.587 and more; the others, of 0.3 of red alone, are dark."""
    dataset = Memory()
    dataset.samples[2].image[..., 1] = 255
    slices = evaluate(Oracle(dataset, scene_order=SKY_FOR_ROAD, only=2), dataset, SPEC).slices
    assert list(slices.light) == ["dark", "bright"]
    assert slices.light["dark"] == SceneSlice(images=2, mean_iou=1, drivable_iou=1)
    assert slices.light["bright"].images == 1 and slices.light["bright"].drivable_iou == 0


def test_objects_are_scored_by_their_height() -> None:
    """In each of three views cars of 20 and 8 px and a pedestrian of 40 px; the small car is
    never found."""
    sizes = {(s.low_px, s.high_px): s.by_class for s in _scores(found=2).slices.size}
    assert sizes[6, 12]["vehicle"] == ObjectScore(objects=3, ap50=0, recall=0)
    assert sizes[12, 24]["vehicle"] == ObjectScore(3, pytest.approx(1), 1)
    assert sizes[24, 48]["pedestrian"] == ObjectScore(3, pytest.approx(1), 1)
    empty = sizes[48, 96]["vehicle"]
    assert empty.objects == 0 and np.isnan([empty.ap50, empty.recall]).all()


def test_heights_are_those_in_the_networks_input() -> None:
    """The same view in a bucket of twice the size: the car of 20 px has 40 there."""
    spec = SPEC.model_copy(update={"buckets": {"large": Bucket(width=320, height=240)}})
    dataset = Memory(samples=[sample_of(0, 160, 120, "main")], buckets=("large",))
    sizes = {s.low_px: s.by_class for s in evaluate(Oracle(dataset), dataset, spec).slices.size}
    assert [sizes[low]["vehicle"].objects for low in (6, 12, 24, 48)] == [0, 1, 1, 0]
    assert sizes[48]["pedestrian"].objects == 1


def test_recall_counts_what_the_loop_reports() -> None:
    """Detections score 0.9; a loop that reports from 0.95 up finds nothing, and AP is the same."""
    strict = SPEC.model_copy(update={"score_threshold": 0.95})
    for spec, recall in ((SPEC, 1.0), (strict, 0.0)):
        score = _scores(spec).slices.size[1].by_class["vehicle"]
        assert (score.ap50, score.recall) == (pytest.approx(1), recall)


def test_calibration_of_a_sure_predictor() -> None:
    """Each label has a probability near 1 but for the edges between two, each object a score of
    0.9."""
    right = _scores().calibration
    assert right.scene.ece == pytest.approx(0, abs=0.01)
    assert right.objects.ece == pytest.approx(0.1) and right.objects.count == 9
    wrong = _scores(scene_order=SKY_FOR_ROAD).calibration
    green = (20 * 160 + 20 * 80 + 20 * 160) / (160 * 120 + 80 * 60 + 160 * 96)
    assert wrong.scene.ece == pytest.approx(1 - green, abs=0.01)
    assert wrong.objects.ece == right.objects.ece


# What can't be scored, or must not be.


def test_training_images_are_counted_and_refused() -> None:
    dataset = Memory()
    trained_on = frozenset(fingerprint(dataset.samples[n].image) for n in (0, 1))
    oracle = Oracle(dataset)
    with pytest.raises(DatasetError, match="trained on 2 of these 3 images"):
        evaluate(oracle, dataset, SPEC, trained_on=trained_on | {"0" * 16})
    assert oracle.shapes == []  # no work is done for scores that nobody gets


def test_images_of_which_one_pixel_differs_are_not_refused() -> None:
    dataset = Memory()
    others = [sample.image.copy() for sample in dataset.samples]
    for image in others:
        image[0, 0, 1] = 1
    scores = evaluate(
        Oracle(dataset), dataset, SPEC, trained_on=frozenset(map(fingerprint, others))
    )
    assert scores.trained_on_checked and scores.mean_iou == 1
    assert not _scores().trained_on_checked  # nothing is known of a model without the list


def test_fingerprints_stand_end_to_end() -> None:
    assert fingerprints_in(None) is None
    assert fingerprints_in("") == frozenset()
    assert fingerprints_in("a" * 16 + "b" * 16) == {"a" * 16, "b" * 16}


def test_dataset_without_boxes_has_no_object_scores() -> None:
    """As in IDD-Lite: one ignored box over all of the image, of one class; detections of the
    others must not count as false."""
    whole = objects_of([[-0.5, -0.5, 159.5, 119.5]], [0], [True])
    samples = [replace(sample_of(0, 160, 120, "main"), objects=whole)]
    dataset = Memory(samples=samples, buckets=("large",), box_origin="none")
    scores = evaluate(Oracle(dataset), dataset, SPEC)
    result = scores.to_json()
    assert result["map50"] is None and result["map50_95"] is None
    assert scores.calibration.objects.count == 0 and result["mean_iou"] == 1


def test_dataset_without_labels_has_no_scene_scores() -> None:
    dataset = Memory(labels=(), label_to_scene=())
    oracle = Oracle(Memory())
    dataset.samples = [replace(s, labels=np.full_like(s.labels, IGNORE)) for s in dataset.samples]
    result = evaluate(oracle, dataset, SPEC).to_json()
    assert result["mean_iou"] is None and result["drivable_iou"] is None and result["iou"] == {}
    assert result["calibration"]["scene"]["ece"] is None
    assert result["map50"] == pytest.approx(1)


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


def test_a_label_is_as_probable_as_its_classes_among_those_of_any_label() -> None:
    matrix = np.zeros((2, len(SCENE_CLASSES)), np.float32)
    matrix[0, [VEGETATION, SCENE_CLASSES.index("terrain")]] = matrix[1, DRIVABLE] = 1
    logits = _logits(vegetation=0.3, terrain=0.15, drivable=0.05, sky=0.5)  # sky has no label
    _, probability = predicted_labels(logits, Letterbox.fit(8, 8, 8, 8), matrix)
    np.testing.assert_allclose(probability, 0.9, rtol=1e-5)


def test_a_single_label_of_a_single_class() -> None:
    matrix = np.zeros((1, len(SCENE_CLASSES)), np.float32)
    matrix[0, DRIVABLE] = 1
    labels, probability = predicted_labels(_logits(sky=0.9), Letterbox.fit(8, 8, 8, 8), matrix)
    assert (labels == 0).all() and (probability == 1).all()


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
    truth = objects_of([A, B], [0, 0], [False, False])
    ap = average_precision([truth], [_detections([A, C, B], [0.9, 0.8, 0.7])], 1)
    assert ap.shape == (1, 10, 1)
    np.testing.assert_allclose(ap, (51 + 50 * 2 / 3) / 101)


def test_ignored_boxes_are_neither_missed_nor_false() -> None:
    truth = objects_of([A, B], [0, 0], [False, True])
    right = _detections([A], [0.5])
    on_ignored = _detections([A, B], [0.5, 0.9])
    beside = _detections([A, C], [0.5, 0.9])
    for detections, expected in ((right, 1.0), (on_ignored, 1.0), (beside, 0.5)):
        np.testing.assert_allclose(average_precision([truth], [detections], 1), expected)


def test_average_precision_by_height() -> None:
    """A car of 10 px that is found beside a false one of 10 px, and a missed one of 40 px. Each
    range counts its own cars and its own false detections."""
    tall = [0.0, 20.0, 10.0, 60.0]
    truth = objects_of([A, tall], [0, 0], [False, False])
    found = _detections([C, A], [0.9, 0.8])
    heights = ((0, 1e9), (0, 40), (10, 40), (40, 80))
    ap = average_precision([truth], [found], 1, heights)[:, 0, 0]
    np.testing.assert_allclose(ap, [51 * 0.5 / 101, 0.5, 0.5, 0])
    beside = _detections([[40.0, 20.0, 50.0, 60.0], A], [0.9, 0.8])  # the false one is tall
    ap = average_precision([truth], [beside], 1, heights)[:, 0, 0]
    np.testing.assert_allclose(ap, [51 * 0.5 / 101, 1, 1, 0])


def test_matches_by_hand() -> None:
    """By falling score: A is found, found again (false), C is on nothing; two on the ignored B
    don't count; the last is of another class."""
    truth = objects_of([A, B], [0, 0], [False, True])
    found = _detections([A, [1, 0, 11, 10], C, B, [22, 0, 28, 9], A], [0.9, 0.8, 0.7, 0.6, 0.5, 1])
    found.classes[5] = 1
    matches = match(truth, found)
    np.testing.assert_array_equal(matches.found_score, [0.9, 0])
    np.testing.assert_array_equal(matches.right, [1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(matches.counted, [1, 1, 1, 0, 0, 1])


def test_matches_need_half_an_overlap() -> None:
    """Boxes of 10x10 moved by 3 overlap by 7 / 13, by 4 only by 6 / 14."""
    truth = objects_of([A], [0], [False])
    for shift, right in ((3, True), (4, False)):
        found = _detections([[shift, 0, 10 + shift, 10]], [0.9])
        assert match(truth, found).right == [right]


def test_matches_of_nothing() -> None:
    nothing, silent = objects_of([], [], []), _detections([], [])
    assert match(nothing, _detections([A], [0.9])).counted.all()
    assert match(objects_of([A], [0], [False]), silent).found_score == [0]


def _reliability(*groups: tuple[float, int, int]) -> Reliability:
    """Of groups (confidence, count, how many are right)."""
    counter = ReliabilityCounter()
    for confidence, count, right in groups:
        counter.add(np.full(count, confidence), np.arange(count) < right)
    return counter.result()


def test_calibration_error_by_hand() -> None:
    assert _reliability((0.9, 10, 9), (0.5, 10, 5)).ece == pytest.approx(0)
    assert _reliability((0.9, 10, 6)).ece == pytest.approx(0.3)  # too sure
    assert _reliability((0.3, 10, 6)).ece == pytest.approx(0.3)  # not sure enough
    assert _reliability((0.9, 10, 6), (0.5, 30, 15)).ece == pytest.approx(0.3 * 10 / 40)
    assert np.isnan(_reliability().ece)


def test_bins_of_the_reliability_diagram() -> None:
    result = _reliability((1.0, 4, 4), (0.95, 4, 2), (0.0, 5, 0))
    assert len(result.bins) == 15 and result.count == 13
    first, *between, last = result.bins
    assert (first.low, first.count, first.accuracy) == (0, 5, 0)
    assert (last.high, last.count, last.confidence) == (1, 8, pytest.approx(0.975))
    assert last.accuracy == 0.75
    assert all(b.count == 0 and np.isnan(b.accuracy) for b in between)


def test_no_objects_and_no_detections() -> None:
    nothing, silent = objects_of([], [], []), _detections([], [])
    assert np.isnan(average_precision([nothing], [silent], 2)).all()
    one = objects_of([A], [0], [False])
    np.testing.assert_array_equal(average_precision([one], [silent], 1), 0)


def test_json_has_null_for_what_was_not_measured() -> None:
    dataset = Memory()
    dataset.samples = [
        replace(s, objects=objects_of([], [], []), labels=np.full_like(s.labels, SKY))
        for s in dataset.samples
    ]
    scores = evaluate(Oracle(dataset, found=0), dataset, SPEC)
    result = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert result["map50"] is None and result["map50_by_class"] == dict.fromkeys(OBJECT_CLASSES)
    assert result["iou"]["fence"] is None and 0 < result["iou"]["sky"] < 1
