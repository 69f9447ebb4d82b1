"""What an image shows: real and drawn pictures are seen, covered and smeared ones are not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from calib.rig import Rig
from deploy.health.sight import measure
from deploy.log.reader import LogReader

SAMPLE = Path(__file__).parents[3] / "deploy" / "samples" / "hw2.mcap"


@pytest.fixture(scope="module")
def pictures(ticks: list[dict[str, bytes]]) -> list[np.ndarray]:
    """Drawn world, and every camera of the sample log."""
    sample = [i.data for i, _ in zip(LogReader(SAMPLE).images(), range(8), strict=False)]
    return [
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        for data in [*list(ticks[0].values())[::3], *sample[::3]]
    ]


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_pictures_of_the_road_are_seen_by_day_and_at_dusk(pictures: list[np.ndarray]):
    assert [measure(p).blindness for p in pictures] == [""] * len(pictures)
    dusk = [p // 4 for p in pictures]
    assert [measure(p).blindness for p in dusk] == [""] * len(dusk)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda p: noisy(np.zeros_like(p)), "dark", id="black"),
        pytest.param(lambda p: noisy(np.full_like(p, 255)), "saturated", id="white"),
        pytest.param(lambda p: noisy(np.full_like(p, 90)), "covered", id="covered"),
        pytest.param(
            lambda p: noisy(cv2.GaussianBlur(p, (0, 0), p.shape[1] / 40)), "blurred", id="smeared"
        ),
    ],
)
def test_a_view_that_shows_nothing_is_told(pictures: list[np.ndarray], spoil, reason: str):
    found = [measure(spoil(p)).blindness.split(":")[0] for p in pictures]
    assert set(found) <= {reason, "covered"} and reason in found


def test_real_roads_are_seen(shared_data: Path, rig: Rig):
    files = [
        *sorted((shared_data / "camvid" / "train").glob("*.*"))[::40],
        *sorted((shared_data / "dgp_scene").rglob("*.jpg"))[:6],
    ]
    assert len(files) > 10
    for file in files:
        assert measure(cv2.imread(str(file))).blindness == "", file
