"""docs/datasets.md names what open_dataset knows, and CamVid's bytes as they are."""

import re
from pathlib import Path

import pytest

from perception.data.camvid import LABELS
from perception.data.dataset import open_dataset
from perception.errors import DatasetError

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "datasets.md").read_text("utf-8")


def test_the_table_has_every_form_of_every_dataset() -> None:
    with pytest.raises(DatasetError) as caught:
        open_dataset("none:such")
    known = set(re.findall(r"[\w-]+:[A-Z]+(?:\[/[A-Z]+\])?", str(caught.value))) - {"NAME:PATH"}
    assert len(known) == 9
    assert set(re.findall(r"^\| `([^`]+)` \|", DOCUMENT, re.MULTILINE)) == known


def test_bytes_of_camvid() -> None:
    listed = dict(re.findall(r"\b(\d+) ([a-z]+)", DOCUMENT[DOCUMENT.index("0 sky") :]))
    assert listed.pop("11") == "anything"
    assert [listed[str(byte)] for byte in range(11)] == list(LABELS[:11])
