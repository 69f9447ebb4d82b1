"""Pictures for a report: examples, the worst images, and those with most objects missed.

Of each picture that may be shown small copies are kept, and of the others nothing.
"""

import base64
import heapq
from dataclasses import dataclass
from html import escape
from pathlib import PurePath

import cv2
import numpy as np
import numpy.typing as npt

from perception.data.dataset import Dataset
from perception.evaluate import Scored
from perception.spec import ModelSpec
from perception.taxonomy import IGNORE, SCENE_CLASSES, SCENE_COLOURS

_SHOWN = 6
"""Pictures of each kind."""
_WIDTH = 480
_OPACITY = 0.62

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Box:
    """One rectangle over a picture, in pixels of the source image."""

    corners: tuple[float, float, float, float]
    style: str  # right, false, missed, ignored
    text: str


@dataclass(frozen=True)
class Picture:
    """Image, truth and prediction of one sample, each as a small picture."""

    source: str
    mean_iou: float
    objects: int
    missed: int
    false: int
    size: tuple[int, int]  # width, height of the source image
    panes: tuple[Image, Image, Image]  # small, BGR
    truth: tuple[Box, ...]
    predicted: tuple[Box, ...]

    def html(self) -> str:
        """A figure of three panes with its file's name and figures."""
        name = "/".join(PurePath(self.source).parts[-2:])
        facts = []
        if self.mean_iou == self.mean_iou:
            facts.append(f"mean IoU {self.mean_iou:.3f}")
        if self.objects or self.false:
            facts.append(f"{self.missed} of {self.objects} objects missed, {self.false} false")
        titles = ("image", "truth", "prediction")
        panes = zip(titles, self.panes, ((), self.truth, self.predicted), strict=True)
        return (
            f"<figure><figcaption>{escape(name)} <span>· {' · '.join(facts)}</span></figcaption>"
            f'<div class="panes">{"".join(self._pane(*pane) for pane in panes)}</div></figure>'
        )

    def _pane(self, title: str, image: Image, boxes: tuple[Box, ...]) -> str:
        width, height = self.size
        _, encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 82])
        data = base64.b64encode(encoded.tobytes()).decode()
        rectangles = []
        for box in boxes:
            x0, y0, x1, y1 = box.corners
            rectangles.append(
                f'<rect class="{box.style}" x="{x0 + 0.5:.1f}" y="{y0 + 0.5:.1f}" '
                f'width="{x1 - x0:.1f}" height="{y1 - y0:.1f}"><title>{escape(box.text)}</title>'
                "</rect>"
            )
        return (
            f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}">'
            f'<image href="data:image/webp;base64,{data}" width="{width}" height="{height}"/>'
            f"{''.join(rectangles)}</svg>"
        )


class Gallery:
    """Give it to `evaluate` as `watch`."""

    def __init__(self, dataset: Dataset, spec: ModelSpec) -> None:
        self._spec = spec
        self._boxes_known = dataset.box_origin != "none"
        count = min(len(dataset), _SHOWN)
        self._example_indices = set(np.linspace(0, len(dataset) - 1, count).round().astype(int))
        self._examples: dict[int, Picture] = {}
        self._worst: list[tuple[float, int, Picture]] = []
        self._most_missed: list[tuple[float, int, Picture]] = []
        self.colours = {
            dataset.labels[label]: _colour(names)
            for label, names in enumerate(dataset.label_to_scene)
            if names
        }
        self._palette = np.zeros((256, 3), np.uint8)  # BGR by label
        for label, name in enumerate(dataset.labels):
            self._palette[label] = self.colours.get(name, (0, 0, 0))[::-1]

    def __call__(self, scored: Scored) -> None:
        """Look at one sample, and keep it if it is an example or among the worst so far."""
        if scored.index in self._example_indices:
            self._examples[scored.index] = self._picture(scored)
        if scored.mean_iou == scored.mean_iou:
            self._keep(self._worst, -scored.mean_iou, scored)
        missed = self._missed(scored).sum()
        if missed:
            self._keep(self._most_missed, float(missed), scored)

    @property
    def examples(self) -> list[Picture]:
        """Evenly spaced over the dataset."""
        return [self._examples[index] for index in sorted(self._examples)]

    @property
    def worst(self) -> list[Picture]:
        """Of the lowest mean IoU, worst first."""
        return [picture for *_, picture in sorted(self._worst, key=_badness, reverse=True)]

    @property
    def most_missed(self) -> list[Picture]:
        """With the most objects missed, worst first."""
        return [picture for *_, picture in sorted(self._most_missed, key=_badness, reverse=True)]

    def _keep(self, heap: list[tuple[float, int, Picture]], badness: float, scored: Scored) -> None:
        key = (badness, -scored.index)  # of equals the first in the dataset
        if len(heap) < _SHOWN:
            heapq.heappush(heap, (*key, self._picture(scored)))
        elif key > heap[0][:2]:
            heapq.heapreplace(heap, (*key, self._picture(scored)))

    def _missed(self, scored: Scored) -> npt.NDArray[np.bool_]:
        """(objects,): not found by a detection that the loop would report."""
        found = scored.matches.found_score >= self._spec.score_threshold
        return ~found & ~scored.sample.objects.ignore

    def _picture(self, scored: Scored) -> Picture:
        sample, names = scored.sample, self._spec.object_classes
        missed = self._missed(scored)
        truth, predicted = [], []
        if self._boxes_known:
            objects = sample.objects
            for n, corners in enumerate(objects.boxes.tolist()):
                style = "ignored" if objects.ignore[n] else "missed" if missed[n] else "right"
                truth.append(Box(tuple(corners), style, f"{names[objects.classes[n]]}, {style}"))
            found, matches = scored.detections, scored.matches
            for n in np.flatnonzero(found.scores >= self._spec.score_threshold):
                style = (
                    "right" if matches.right[n] else "false" if matches.counted[n] else "ignored"
                )
                text = f"{names[found.classes[n]]} {found.scores[n]:.2f}, {style}"
                predicted.append(Box(tuple(found.boxes[n].tolist()), style, text))
        height, width = sample.image.shape[:2]
        size = min(width, _WIDTH), round(height * min(width, _WIDTH) / width)
        image = np.asarray(cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return Picture(
            source=sample.source,
            mean_iou=scored.mean_iou,
            objects=int((~sample.objects.ignore).sum()),
            missed=int(missed.sum()),
            false=sum(box.style == "false" for box in predicted),
            size=(width, height),
            panes=(
                image,
                self._painted(image, scored.truth),
                self._painted(image, scored.predicted),
            ),
            truth=tuple(truth),
            predicted=tuple(predicted),
        )

    def _painted(self, image: Image, labels: npt.NDArray[np.uint8]) -> Image:
        """Label colours over the grey image; what has no label stays grey."""
        small = cv2.resize(labels, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        painted = cv2.addWeighted(self._palette[small], _OPACITY, grey, 1 - _OPACITY, 0)
        painted[small == IGNORE] = grey[small == IGNORE]
        return np.asarray(painted, np.uint8)


def _badness(entry: tuple[float, int, Picture]) -> tuple[float, int]:
    return entry[:2]


def _colour(names: frozenset[str]) -> tuple[int, int, int]:
    """RGB of a label: that of its first scene class."""
    return SCENE_COLOURS[min(names, key=SCENE_CLASSES.index)]
