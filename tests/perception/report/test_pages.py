"""Report pages: well-formed, self-contained, and they show what the scores say."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from perception.cost import Cost
from perception.errors import PerceptionError
from perception.evaluate import evaluate
from perception.report import page, plot
from perception.report.curves import curves_section, write_curves
from perception.report.evaluation import scores_sections
from perception.report.gallery import Gallery
from perception.report.page import Section
from perception.scores import Bin, Reliability
from tests.perception.memory import SKY_FOR_ROAD, SPEC, Memory, Oracle, sample_of

COST = Cost(parameters=1_234_567, macs={"large": 4_120_000_000, "small": 1_030_000_000}, traffic={})
BAD = 5


class Checked(HTMLParser):
    """Every element that is opened is closed in order; links are collected."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()


def _ten_images() -> Memory:
    samples = [sample_of(n, 160, 120, "main") for n in range(10)]
    return Memory(samples=samples, buckets=("large",) * 10)


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    """Of ten images one is predicted wrong, and its objects are missed."""
    return _gallery(Oracle(_ten_images(), scene_order=SKY_FOR_ROAD, found=0, only=BAD))


def _gallery(oracle: Oracle) -> Gallery:
    gallery = Gallery(oracle.dataset, SPEC)
    evaluate(oracle, oracle.dataset, SPEC, watch=gallery)
    return gallery


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, gallery: Gallery) -> str:
    dataset = _ten_images()
    oracle = Oracle(dataset, scene_order=SKY_FOR_ROAD, found=0, only=BAD)
    path = tmp_path_factory.mktemp("report") / "new folder" / "report.html"
    sections = scores_sections(evaluate(oracle, dataset, SPEC), COST, SPEC, gallery)
    page.write(path, "nano <on> memory", sections)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_loads_nothing(report: str) -> None:
    checked = Checked(report)
    assert checked.links and all(link.startswith("data:image/") for link in checked.links)
    assert not re.search(r"https?://|url\(|@import", report)
    assert "script" not in checked.tags and "http-equiv" not in report
    assert "<title>nano &lt;on&gt; memory</title>" in report


def test_page_says_what_was_measured(report: str) -> None:
    for text in ("drivable IoU", "4.12", "8.24 GFLOP", "1.23 M", "160x120", "12 to 24 px"):
        assert text in report
    assert "Training images unknown" in report and "prefers-color-scheme: dark" in report


def test_worst_image_comes_first_by_name(report: str, gallery: Gallery) -> None:
    assert gallery.worst[0].source == f"drive/{BAD}.png"
    assert gallery.worst[0].mean_iou == pytest.approx(1 / 3)
    assert all(picture.mean_iou == 1 for picture in gallery.worst[1:])
    assert [(p.source, p.missed) for p in gallery.most_missed] == [(f"drive/{BAD}.png", 3)]
    after = report[report.index("Worst images") :]
    assert after.index(f"drive/{BAD}.png") < after.index("drive/0.png")


def test_gallery_keeps_few_pictures(gallery: Gallery) -> None:
    assert [p.source for p in gallery.examples] == [f"drive/{n}.png" for n in (0, 2, 4, 5, 7, 9)]
    assert len(gallery.worst) == 6
    nothing_missed = _gallery(Oracle(_ten_images()))
    assert nothing_missed.most_missed == []
    assert {p.mean_iou for p in nothing_missed.worst} == {1}


def test_boxes_are_drawn_by_how_they_did(gallery: Gallery) -> None:
    bad = gallery.worst[0]
    assert [box.style for box in bad.truth] == ["missed"] * 3 and bad.predicted == ()
    good = gallery.examples[0]
    assert [box.style for box in good.truth] == ["right"] * 3
    assert good.predicted[1].text == "pedestrian 0.90, right"
    np.testing.assert_allclose(good.predicted[1].corners, (49.5, 9.5, 59.5, 49.5), atol=0.01)
    shifted = _gallery(Oracle(_ten_images(), shift_boxes=30.0)).examples[0]
    assert {box.style for box in shifted.predicted} == {"false"}


def test_pictures_show_truth_beside_prediction(gallery: Gallery) -> None:
    """Where sky is taken for road the panes differ, and nowhere in a right image."""
    (_, truth, predicted), (_, good_truth, good_predicted) = (
        p.panes for p in (gallery.worst[0], gallery.examples[0])
    )
    np.testing.assert_array_equal(good_truth, good_predicted)
    assert (truth[:10] != predicted[:10]).any(axis=2).all()  # sky
    np.testing.assert_array_equal(truth[20:32], predicted[20:32])  # vegetation


def test_dataset_without_boxes_shows_none() -> None:
    dataset = _ten_images()
    dataset.box_origin = "none"
    gallery = Gallery(dataset, SPEC)
    scores = evaluate(Oracle(dataset), dataset, SPEC, watch=gallery)
    html = "".join(section.html for section in scores_sections(scores, COST, SPEC, gallery))
    assert "mAP50" not in html and '<rect class="right"' not in html


def test_names_from_outside_are_escaped() -> None:
    dataset = _ten_images()
    dataset.samples = [replace(s, source="<b>/<script>.png") for s in dataset.samples]
    html = "".join(p.html() for p in _gallery(Oracle(dataset)).examples)
    assert "<script>" not in html and "&lt;b&gt;/&lt;script&gt;.png" in html


def test_file_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PerceptionError, match=r"file/report.html: can't be written"):
        page.write(tmp_path / "file" / "report.html", "title", [Section("a", "b")])


# Plots


def test_reliability_bars_have_the_height_of_their_accuracy() -> None:
    empty = Bin(0.0, 0.5, 0, math.nan, math.nan)
    svg = plot.reliability(
        Reliability(0.25, 8, (empty, Bin(0.5, 1.0, 8, 0.75, 0.5))), "Scene", "probability"
    )
    Checked(svg)
    bars = re.findall(
        r'class="bars" x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', svg
    )
    gaps = re.findall(r'class="over" x="[\d.]+" y="[\d.]+" width="[\d.]+" height="([\d.]+)"', svg)
    assert len(bars) == len(gaps) == 1  # none for the empty bin
    assert float(gaps[0]) == pytest.approx(float(bars[0][2]) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 12, [0, 5, 10]),
        (0.0009, 0.0021, [0.001, 0.0015, 0.002]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert plot.ticks(low, high) == pytest.approx(expected)


# Curves


def _curve(folder: Path, rows: list[str], end: str = "\n") -> Path:
    path = folder / "curve.csv"
    path.write_text("\n".join(["step,learning_rate,scene,aux", *rows]) + end)
    return path


def test_every_column_has_its_curve(tmp_path: Path) -> None:
    path = _curve(tmp_path, [f"{n},0.001,{2 - n / 100},{n if n % 2 else ''}" for n in range(1, 51)])
    section = curves_section(path)
    checked = Checked(section.html)
    assert checked.tags.count("svg") == 3 and "Step 50." in section.note
    assert "scene 1.5<" in section.html and "aux 49<" in section.html  # the latest values


def test_half_written_last_row_is_left_out(tmp_path: Path) -> None:
    whole = curves_section(_curve(tmp_path, ["1,0.1,3,4", "2,0.1,2,4"]))
    assert curves_section(_curve(tmp_path, ["1,0.1,3,4", "2,0.1,2,4", "3,0.1,1"], "")) == whole
    assert curves_section(_curve(tmp_path, ["1,0.1,3,4", "2,0.1,2,4", "3,0.1,1,4"])) != whole


def test_long_curves_are_thinned(tmp_path: Path) -> None:
    path = _curve(tmp_path, [f"{n},0.001,{n % 2},1" for n in range(1, 20_001)])
    section = curves_section(path)
    lines = re.findall(r'<polyline class="line" points="([^"]*)"', section.html)
    assert [len(points.split()) for points in lines] == [120] * 3  # blocks of 167 rows
    assert len(section.html) < 60_000


def test_run_without_a_step_and_file_that_is_none(tmp_path: Path) -> None:
    assert "No step yet" in curves_section(_curve(tmp_path, [])).html
    with pytest.raises(PerceptionError, match=r"absent.csv: is no curve"):
        curves_section(tmp_path / "absent.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(PerceptionError, match=r"empty.csv: is no curve"):
        curves_section(tmp_path / "empty.csv")


def test_live_page_loads_itself_anew(tmp_path: Path) -> None:
    html = tmp_path / "curves.html"
    write_curves(_curve(tmp_path, ["1,0.1,nan,4", "2,0.1,2,inf"]), html)
    text = html.read_text()
    Checked(text)
    assert '<meta http-equiv="refresh"' in text and "scene 2<" in text and "aux 4<" in text
