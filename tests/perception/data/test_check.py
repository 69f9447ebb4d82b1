"""The check before training: every bad file is named and counted, and skipping leaves the rest."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from perception.data.camvid import CamVid
from perception.data.check import Checked, accept, check, without
from perception.data.dataset import Dataset
from perception.data.fingerprint import fingerprint
from perception.data.synthetic import Synthetic
from perception.errors import DatasetError
from tests.perception.data.folders import write_camvid, write_synthetic


@pytest.fixture
def spoilt(tmp_path: Path) -> Dataset:
    """Six images: labels of 1 missing, of 2 too small, unknown in 4; image 5 cut."""
    folder = write_camvid(tmp_path, 6)
    labels = tmp_path / "valannot"
    (labels / "1.png").unlink()
    cv2.imwrite(str(labels / "2.png"), np.zeros((45, 60), np.uint8))
    cv2.imwrite(str(labels / "4.png"), np.full((90, 120), 77, np.uint8))
    (folder / "5.jpg").write_bytes((folder / "5.jpg").read_bytes()[:600])
    return CamVid(folder)


def test_every_bad_file_is_named(spoilt: Dataset) -> None:
    heard: list[int] = []
    checked = check(spoilt, heard.append)
    assert heard == [1, 2, 3, 4, 5, 6]
    assert list(checked.problems) == [1, 2, 4, 5]
    report = checked.report().splitlines()
    assert report[0] == "camvid/val: 4 of 6 samples are bad"
    for line, words in zip(
        report[1:],
        ("1.png: No such file", "2.png: 60x45, but", "4.png: unknown label value 77", "5.jpg: dam"),
        strict=True,
    ):
        assert words in line


def test_fingerprints_are_those_of_the_good_images(spoilt: Dataset) -> None:
    expected = tuple(fingerprint(spoilt.sample(index).image) for index in (0, 3))
    assert check(spoilt).fingerprints == expected
    assert expected[0] != expected[1]


def test_bad_samples_stop_unless_they_are_skipped(spoilt: Dataset, tmp_path: Path) -> None:
    checked = [check(Synthetic(write_synthetic(tmp_path / "sim"))), check(spoilt)]
    said: list[str] = []
    with pytest.raises(DatasetError, match=r"^4 of 8 samples are bad, .*1\.png.*--skip-bad$"):
        accept(checked, skip_bad=False, say=said.append)
    assert said == [checked[1].report()]

    whole, rest = accept(checked, skip_bad=True, say=said.append)
    assert said == [checked[1].report()] * 2
    assert whole is checked[0].dataset
    assert [Path(source).name for source in rest.sources] == ["0.jpg", "3.jpg"]
    assert (len(rest), rest.buckets, rest.name) == (2, ("large", "large"), "camvid/val")
    assert (rest.labels, rest.label_to_scene) == (spoilt.labels, spoilt.label_to_scene)
    assert rest.box_origin == "mask-derived"
    np.testing.assert_array_equal(rest.sample(1).image, spoilt.sample(3).image)
    assert check(rest) == Checked(rest, {}, checked[1].fingerprints)


def test_a_good_dataset_says_nothing(tmp_path: Path) -> None:
    checked = check(CamVid(write_camvid(tmp_path)))
    said: list[str] = []
    assert accept([checked], skip_bad=False, say=said.append) == [checked.dataset]
    assert said == [] and checked.report() == ""


def test_nothing_left_is_an_error_even_with_skip_bad(tmp_path: Path) -> None:
    dataset = CamVid(write_camvid(tmp_path, 1))
    (tmp_path / "valannot" / "0.png").unlink()
    with pytest.raises(DatasetError, match="camvid/val: no good sample is left"):
        accept([check(dataset)], skip_bad=True)


def test_a_long_report_is_cut(tmp_path: Path) -> None:
    dataset = CamVid(write_camvid(tmp_path, 3))
    many = Checked(dataset, {n: f"{n}.jpg: damaged" for n in range(23)}, ())
    lines = many.report().splitlines()
    assert len(lines) == 1 + 20 + 1
    assert lines[1] == "  0.jpg: damaged" and lines[-1] == "  and 3 more"


def test_without_nothing_is_the_whole(tmp_path: Path) -> None:
    dataset = CamVid(write_camvid(tmp_path, 3))
    assert without(dataset, ()).sources == dataset.sources
    assert without(dataset, {1}).sources == dataset.sources[::2]
