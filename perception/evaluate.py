"""Score predictions against a dataset: IoU of its own labels, average precision of its boxes.

The predictor is any callable from a batch of network inputs to the outputs that ModelSpec
names, so the same code scores torch, ONNX Runtime and every later engine.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calib.letterbox import Letterbox
from perception.data.dataset import Dataset
from perception.data.fingerprint import DIGITS, fingerprint
from perception.data.label_sets import label_matrix
from perception.data.normalise import normalise
from perception.data.sample import Objects, Sample
from perception.errors import DatasetError
from perception.metrics import (
    ANY_HEIGHT,
    Detections,
    Matches,
    ReliabilityCounter,
    average_precision,
    class_iou,
    confusion_matrix,
    joint_iou,
    match,
    mean,
)
from perception.scores import Calibration, ObjectScore, SceneSlice, Scores, SizeSlice, Slices
from perception.spec import ModelSpec
from perception.taxonomy import IGNORE

Predict = Callable[[npt.NDArray[np.float32]], Mapping[str, npt.NDArray[Any]]]
"""Images (N, 3 * frames, H, W) float32, normalised, to the arrays of ModelSpec.outputs."""

_BATCH = 4
TALL_PX = 12.0
"""Height in the network's input from which an object counts as tall."""
SIZES_PX = ((6.0, 12.0), (12.0, 24.0), (24.0, 48.0), (48.0, 96.0), (96.0, np.inf))
"""Heights in the network's input by which objects are scored apart."""
LIGHT = {"dark": (0.0, 0.3), "medium": (0.3, 0.5), "bright": (0.5, np.inf)}
"""Mean luminance of an image, 0 black to 1 white (ITU-R BT.601 luma of its bytes)."""
_LEAST_SCORE = 0.05
"""Score from which detections count in the calibration; below, they are top-K's filling."""


@dataclass(frozen=True)
class Scored:
    """One sample and what the network made of it, in pixels of the source image."""

    index: int
    sample: Sample
    truth: npt.NDArray[np.uint8]  # (H, W) labels, IGNORE where they are not scored
    predicted: npt.NDArray[np.uint8]  # (H, W) labels
    mean_iou: float  # over the labels of the truth; NaN without any
    detections: Detections
    matches: Matches


def evaluate(
    predict: Predict,
    dataset: Dataset,
    spec: ModelSpec,
    progress: Callable[[int], None] | None = None,
    *,
    trained_on: Set[str] | None = None,
    watch: Callable[[Scored], None] | None = None,
) -> Scores:
    """Score every sample of `dataset`, each letterboxed into its own bucket of `spec`.

    IoU comes from one confusion matrix of all images' pixels; average precision is COCO's. A
    network of two frames sees an image twice that has none before it. `progress` is called with
    the number of images done, `watch` with each sample. `trained_on` holds the fingerprints of
    the images that the network was trained on, None when they are unknown.

    Raises DatasetError for a damaged file, labels that can't be told apart, and images that the
    network was trained on; SpecError for a bucket that the model has not.
    """
    _check_distinct(dataset)
    scene, objects = _SceneTally(dataset, spec), _ObjectTally(spec)
    done = seen_in_training = 0
    for indices, bucket in _batches(dataset):
        size = spec.bucket(bucket)
        samples = [dataset.sample(index) for index in indices]
        done += len(samples)
        if trained_on is not None:
            seen_in_training += sum(fingerprint(s.image) in trained_on for s in samples)
        if seen_in_training:
            continue  # no scores will come of this: only how many is still of interest
        placements = [
            Letterbox.fit(s.image.shape[1], s.image.shape[0], size.width, size.height)
            for s in samples
        ]
        images = [
            network_input(s.frames[-spec.frames :], p, spec)
            for s, p in zip(samples, placements, strict=True)
        ]
        outputs = predict(np.stack(images))
        for n, (sample, placement) in enumerate(zip(samples, placements, strict=True)):
            truth, predicted, mean_iou = scene.add(sample, outputs["scene"][n], placement)
            detections = detections_in_source(
                outputs["boxes"][n], outputs["scores"][n], outputs["labels"][n], placement
            )
            matches = match(sample.objects, detections)
            if dataset.box_origin != "none":
                objects.add(sample.objects, detections, matches, placement)
            if watch:
                watch(Scored(indices[n], sample, truth, predicted, mean_iou, detections, matches))
        if progress:
            progress(done)
    if seen_in_training:
        raise DatasetError(
            f"{dataset.name}: the model was trained on {seen_in_training} of these {done} images, "
            "so its scores would mean nothing; choose another split or another model"
        )

    iou = class_iou(scene.total)
    ap = objects.average_precision()  # (height ranges, overlaps, classes)
    return Scores(
        dataset=dataset.name,
        images=done,
        images_by_bucket=dict(Counter(dataset.buckets)),
        trained_on_checked=trained_on is not None,
        mean_iou=mean(iou),
        drivable_iou=joint_iou(scene.total, scene.drivable),
        iou={dataset.labels[n]: float(iou[n]) for n in scene.scored_labels},
        boxes=dataset.box_origin,
        map50=mean(ap[0, 0]),
        map50_95=mean(ap[0].mean(axis=0)),
        map50_by_class=dict(zip(spec.object_classes, ap[0, 0].tolist(), strict=True)),
        map50_95_by_class=dict(zip(spec.object_classes, ap[0].mean(axis=0).tolist(), strict=True)),
        map50_tall_by_class=dict(zip(spec.object_classes, objects.ap50_tall(), strict=True)),
        confusion=tuple(
            tuple(row) for row in scene.total[np.ix_(*[scene.scored_labels] * 2)].tolist()
        ),
        slices=Slices(
            camera=scene.by_camera(),
            light=scene.by_light(),
            light_limits=LIGHT,
            size=objects.size_slices(ap[1:, 0]),
            score_threshold=spec.score_threshold,
        ),
        calibration=Calibration(
            scene.reliability.result(), objects.reliability.result(), _LEAST_SCORE
        ),
    )


def fingerprints_in(text: str | None) -> frozenset[str] | None:
    """Training images as an artefact's TRAINED_ON_KEY lists them; None where it has no list."""
    if text is None:
        return None
    return frozenset(text[start : start + DIGITS] for start in range(0, len(text), DIGITS))


class _SceneTally:
    """Confusion matrices of all images, of each camera's and of each kind of light."""

    def __init__(self, dataset: Dataset, spec: ModelSpec) -> None:
        self._label_sets = label_matrix(dataset.label_to_scene, spec.scene_classes)
        self.scored_labels = np.flatnonzero(self._label_sets.any(axis=1))
        self.drivable = [n for n, names in enumerate(dataset.label_to_scene) if "drivable" in names]
        self._truth_of_label = np.full(256, IGNORE, np.uint8)
        self._truth_of_label[self.scored_labels] = self.scored_labels
        n = len(self._label_sets)
        self.total = np.zeros((n, n), np.int64)
        self._by_camera: defaultdict[str, _Part] = defaultdict(lambda: _Part(n))
        self._by_light: defaultdict[str, _Part] = defaultdict(lambda: _Part(n))
        self.reliability = ReliabilityCounter()

    def add(
        self, sample: Sample, logits: npt.NDArray[np.float32], placement: Letterbox
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], float]:
        """Count one image; truth and prediction (H, W) and the image's mean IoU."""
        truth = self._truth_of_label[sample.labels]
        if len(self.scored_labels):
            predicted, confidence = predicted_labels(logits, placement, self._label_sets)
            known = truth != IGNORE
            self.reliability.add(confidence[known], (predicted == truth)[known])
        else:
            predicted = np.full_like(truth, IGNORE)
        confusion = confusion_matrix(truth, predicted, len(self._label_sets))
        self.total += confusion
        self._by_camera[sample.camera].add(confusion)
        luminance = float(cv2.cvtColor(sample.image, cv2.COLOR_BGR2GRAY).mean()) / 255
        light = next(name for name, (low, high) in LIGHT.items() if low <= luminance < high)
        self._by_light[light].add(confusion)
        return truth, predicted, mean(class_iou(confusion)[confusion.any(axis=1)])

    def by_camera(self) -> dict[str, SceneSlice]:
        return {name: part.scores(self.drivable) for name, part in self._by_camera.items()}

    def by_light(self) -> dict[str, SceneSlice]:
        lit = [name for name in LIGHT if name in self._by_light]
        return {name: self._by_light[name].scores(self.drivable) for name in lit}


class _Part:
    """Some of the images."""

    def __init__(self, n_labels: int) -> None:
        self._images = 0
        self._confusion = np.zeros((n_labels, n_labels), np.int64)

    def add(self, confusion: npt.NDArray[np.int64]) -> None:
        self._images += 1
        self._confusion += confusion

    def scores(self, drivable: list[int]) -> SceneSlice:
        confusion = self._confusion
        return SceneSlice(self._images, mean(class_iou(confusion)), joint_iou(confusion, drivable))


class _ObjectTally:
    """Objects and detections of all images, in pixels of the network's input."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._truths: list[Objects] = []
        self._detections: list[Detections] = []
        self._matches: list[Matches] = []
        self.reliability = ReliabilityCounter()

    def add(
        self, objects: Objects, detections: Detections, matches: Matches, placement: Letterbox
    ) -> None:
        # The letterbox also moves boxes, but only sizes and overlaps matter here.
        scale = np.array([*placement.scale] * 2)
        self._truths.append(replace(objects, boxes=objects.boxes * scale))
        self._detections.append(replace(detections, boxes=detections.boxes * scale))
        self._matches.append(matches)
        counted = matches.counted & (detections.scores >= _LEAST_SCORE)
        self.reliability.add(detections.scores[counted], matches.right[counted])

    def average_precision(self) -> npt.NDArray[np.float64]:
        """(1 + len(SIZES_PX), 10, classes): any height, then each of SIZES_PX."""
        heights = (ANY_HEIGHT, *SIZES_PX)
        n_classes = len(self._spec.object_classes)
        return average_precision(self._truths, self._detections, n_classes, heights)

    def ap50_tall(self) -> list[float]:
        """By class, low objects ignored. False detections count whatever their height, which is
        stricter than the ranges of `average_precision`."""
        truths = [
            replace(t, ignore=t.ignore | (t.boxes[:, 3] - t.boxes[:, 1] < TALL_PX))
            for t in self._truths
        ]
        n_classes = len(self._spec.object_classes)
        return average_precision(truths, self._detections, n_classes)[0, 0].tolist()

    def size_slices(self, ap50: npt.NDArray[np.float64]) -> tuple[SizeSlice, ...]:
        """One for each of SIZES_PX; `ap50` is (sizes, classes)."""
        empty = np.zeros(0)
        boxes = np.concatenate([np.zeros((0, 4)), *(t.boxes for t in self._truths)])
        classes = np.concatenate([empty, *(t.classes for t in self._truths)])
        counted = np.concatenate([empty, *(~t.ignore for t in self._truths)]).astype(bool)
        found_score = np.concatenate([empty, *(m.found_score for m in self._matches)])
        height = boxes[:, 3] - boxes[:, 1]
        slices = []
        for size, (low, high) in enumerate(SIZES_PX):
            within = counted & (height >= low) & (height < high)
            by_class = {}
            for label, name in enumerate(self._spec.object_classes):
                scores = found_score[within & (classes == label)]
                found = (scores >= self._spec.score_threshold).astype(np.float64)
                by_class[name] = ObjectScore(len(found), float(ap50[size, label]), mean(found))
            slices.append(SizeSlice(low, high, by_class))
        return tuple(slices)


def network_input(
    frames: Sequence[npt.NDArray[np.uint8]], placement: Letterbox, spec: ModelSpec
) -> npt.NDArray[np.float32]:
    """(H, W, 3) BGR frames, oldest first, to (3 * frames, height, width), letterboxed with the
    spec's mean."""
    size = placement.resized_width, placement.resized_height
    tensor = np.zeros((len(frames), 3, placement.dst_height, placement.dst_width), np.float32)
    rows, columns = _inside(placement)
    for image, channels in zip(frames, tensor, strict=True):
        resized = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        channels[:, rows, columns] = normalise(resized, spec)
    return tensor.reshape(-1, *tensor.shape[2:])


def predicted_labels(
    logits: npt.NDArray[np.float32], placement: Letterbox, label_sets: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Most probable dataset label of each pixel of the source image, (H, W) uint8, and its
    probability, (H, W) float32.

    `logits` are (classes, h, w) at output stride. They are enlarged to the network's input,
    cut out of the letterbox and brought to the source's size before the softmax, which is over
    the classes of any label. A label has the sum of its classes' probabilities. A class of two
    labels counts for both, so the others decide between them.
    """
    labels, named = np.flatnonzero(label_sets.any(axis=1)), label_sets.any(axis=0)
    grid = np.ascontiguousarray(logits[named].transpose(1, 2, 0))
    in_network = cv2.resize(grid, (placement.dst_width, placement.dst_height))
    cut = np.ascontiguousarray(in_network[_inside(placement)])
    in_source = cv2.resize(cut, (placement.src_width, placement.src_height))
    in_source = in_source.reshape(*in_source.shape[:2], -1)  # OpenCV drops an axis of one class
    weight = np.exp(in_source - in_source.max(axis=2, keepdims=True))  # softmax, but for its sum
    of_label = weight @ label_sets[np.ix_(labels, named)].T
    best = np.argmax(of_label, axis=2)
    of_best = np.take_along_axis(of_label, best[..., None], axis=2)[..., 0]
    return labels[best].astype(np.uint8), of_best / weight.sum(axis=2)


def detections_in_source(
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    placement: Letterbox,
) -> Detections:
    """The network's (K, 4) boxes in pixels of the source image, clipped to it.

    Boxes outside it, and the places that top-K fills with a score of 0, are left out.
    """
    corners = placement.inverse(boxes.reshape(-1, 2, 2))
    limit = np.array([placement.src_width, placement.src_height]) - 0.5
    corners = np.clip(corners, -0.5, limit)
    kept = (corners[:, 1] > corners[:, 0]).all(axis=1) & (scores > 0)
    return Detections(
        boxes=corners[kept].reshape(-1, 4),
        scores=scores[kept].astype(np.float64),
        classes=labels[kept].astype(np.int64),
    )


def _inside(placement: Letterbox) -> tuple[slice, slice]:
    """Rows and columns of the network's input that show the image."""
    left, top = placement.pad
    return (
        slice(top, top + placement.resized_height),
        slice(left, left + placement.resized_width),
    )


def _batches(dataset: Dataset) -> list[tuple[list[int], str]]:
    """Sample indices in batches of one bucket each."""
    batches = []
    for bucket in dict.fromkeys(dataset.buckets):
        members = [index for index, name in enumerate(dataset.buckets) if name == bucket]
        for start in range(0, len(members), _BATCH):
            batches.append((members[start : start + _BATCH], bucket))
    return batches


def _check_distinct(dataset: Dataset) -> None:
    """A label whose classes all belong to another label too could never win over it."""
    for narrow, inner in enumerate(dataset.label_to_scene):
        for wide, outer in enumerate(dataset.label_to_scene):
            if narrow != wide and inner and inner <= outer:
                raise DatasetError(
                    f"{dataset.name}: every class of label '{dataset.labels[narrow]}' belongs to "
                    f"'{dataset.labels[wide]}' too; give it a class of its own to be scored"
                )
