"""A dataset in memory, and a predictor that reads the truth off its images."""

from dataclasses import dataclass, field

import numpy as np

from calib.letterbox import Letterbox
from perception.data.sample import Objects, Sample
from perception.spec import Bucket, ModelSpec
from perception.taxonomy import SCENE_CLASSES

SPEC = ModelSpec(
    preset="test",
    width_multiplier=1.0,
    decoder_channels=8,
    buckets={"large": Bucket(width=160, height=120), "small": Bucket(width=80, height=60)},
    top_k=4,
)
SKY, DRIVABLE, VEGETATION = (SCENE_CLASSES.index(n) for n in ("sky", "drivable", "vegetation"))
SKY_FOR_ROAD = tuple(
    {SKY: DRIVABLE, DRIVABLE: SKY}.get(label, label) for label in range(len(SCENE_CLASSES))
)


def objects_of(boxes: list[list[float]], classes: list[int], ignore: list[bool]) -> Objects:
    return Objects(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(classes, np.int64),
        ground_points=np.full((len(boxes), 2), np.nan, np.float32),
        ignore=np.array(ignore, np.bool_),
    )


def sample_of(index: int, width: int, height: int, camera: str) -> Sample:
    """Bands of sky, vegetation and road. The image tells the predictor its truth: red is twenty
    times the label, blue ten times the sample's index."""
    labels = np.full((height, width), SKY, np.uint8)
    labels[16:36] = VEGETATION
    labels[36:] = DRIVABLE
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = 20 * labels
    image[..., 0] = 10 * index
    boxes = [[9.5, 19.5, 39.5, 39.5], [49.5, 9.5, 59.5, 49.5], [0.5, 30.5, 8.5, 38.5]]
    objects = objects_of(boxes, [0, 1, 0], [False] * 3)
    return Sample(image, labels, objects, f"drive/{index}.png", camera)


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
            sample_of(0, 160, 120, "main"),
            sample_of(1, 80, 60, "rear"),
            sample_of(2, 160, 96, "main"),
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
    only: int | None = None  # index of the sample to spoil, all by default
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self.shapes.append(images.shape)
        outputs = [self._one(image[-3:]) for image in images]
        return {name: np.stack([one[name] for one in outputs]) for name in outputs[0]}

    def _one(self, image: np.ndarray) -> dict[str, np.ndarray]:
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (SPEC.mean, SPEC.std))
        red, _, blue = 255 * (image * std + mean)
        labels = np.rint(red[2::4, 2::4] / 20).astype(int).clip(0, len(SCENE_CLASSES) - 1)
        middle = blue[blue.shape[0] // 2, blue.shape[1] // 2]
        index = round(float(middle) / 10)
        sample = self.dataset.samples[index]
        found = 3
        if self.only in (None, index):
            labels = np.roll(np.array(self.scene_order)[labels], self.shift_rows, axis=0)
            found = self.found
        height, width = image.shape[1:]
        placement = Letterbox.fit(*sample.image.shape[1::-1], width, height)
        boxes = np.full((SPEC.top_k, 4), 5.0, np.float32)
        scores, classes = np.zeros(SPEC.top_k, np.float32), np.zeros(SPEC.top_k, np.int64)
        truth = sample.objects.boxes + np.float32(self.shift_boxes)
        n = len(truth)
        boxes[:n] = placement.forward(truth.reshape(-1, 2, 2)).reshape(-1, 4)
        classes[:n] = sample.objects.classes
        scores[: min(n, found)] = 0.9  # a score of 0 means that there is no object
        return {
            "scene": 10 * np.eye(len(SCENE_CLASSES), dtype=np.float32)[labels].transpose(2, 0, 1),
            "boxes": boxes,
            "scores": scores,
            "labels": classes,
            "ground_points": np.zeros((SPEC.top_k, 2), np.float32),
        }
