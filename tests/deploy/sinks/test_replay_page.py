"""The page of a replay in a real headless browser: it renders, plays, and asks nobody else."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from deploy.loop.clock import LockstepClock
from deploy.loop.replay import replay

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--virtual-time-budget=5000", "--host-resolver-rules=MAP * ~NOTFOUND"),
)

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


def browse(page: Path, profile: Path, *options: str) -> str:
    assert CHROMIUM
    done = subprocess.run(
        [CHROMIUM, *QUIET, f"--user-data-dir={profile}", *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory,
    log: Path,
    model: Path,
) -> Path:
    folder = tmp_path_factory.mktemp("page")
    path = folder / "drive.html"
    replay(log, model, folder / "out", clock=LockstepClock(), mosaic=False, html=path)
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["perception.mcap", "report.json"]
    return path


def told(text: str) -> dict[str, object]:
    """The data of the page, out of its text."""
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert match
    return json.loads(match[1])


def test_it_holds_everything_itself(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|<link|src=\"(?!data:)", text)
    assert page.stat().st_size < 3_000_000


@needs_browser
def test_a_browser_shows_map_timeline_and_video(page: Path, tmp_path: Path) -> None:
    dom = browse(page, tmp_path / "profile", "--dump-dom")
    assert 'data-ready="yes"' in dom  # the script ran to its end
    assert 'data-video="' in dom  # and knows whether the video plays here
    first = told(dom)["ticks"][0]  # type: ignore[index]
    assert f'data-objects="{len(first["objects"])}"' in dom and first["objects"]
    now = html.unescape(re.sub("<[^>]+>", "", dom.split('id="now"', 1)[1].split("</p>")[0]))
    assert "0.00 s, tick 0" in now and "all cameras ok" in now


@needs_browser
@pytest.mark.parametrize("width", [1280, 420])
def test_pictures_are_where_they_belong(page: Path, tmp_path: Path, width: int) -> None:
    """On a desk and on a phone: bright page, dark map with the road's green in it, no overflow."""
    shot = tmp_path / "shot.png"
    browse(page, tmp_path / "profile", f"--window-size={width},1800", f"--screenshot={shot}")
    image = cv2.imread(str(shot)).astype(int)
    assert image.shape[1] == width
    green = (image[..., 1] > image[..., 2] + 60) & (image[..., 1] > 100)
    dark = image.max(axis=2) < 50
    assert green.mean() > 0.01 and dark.mean() > 0.05
    assert np.median(image[:, -4:]) > 200  # the margin, with nothing hanging out


@needs_browser
def test_a_camera_with_trouble_is_seen(
    make_log: Callable[..., Path],
    model: Path,
    ticks: list[dict[str, bytes]],
    tmp_path: Path,
) -> None:
    images = [dict(tick) for tick in ticks]
    images[0]["rear"] = images[0]["rear"][:3000]
    del images[2]["wide"]
    noise = np.random.default_rng(3)
    for tick in images:  # a cap on the lens
        dark = noise.integers(0, 4, (480, 640, 3), np.uint8)
        tick["left_pillar"] = cv2.imencode(".jpg", dark)[1].tobytes()
    path = tmp_path / "bad.html"
    replay(
        make_log(images), model, tmp_path / "out", clock=LockstepClock(), mosaic=False, html=path
    )
    dom = browse(path, tmp_path / "profile", "--dump-dom")
    assert "rear corrupt" in dom.split('id="now"', 1)[1].split("</p>")[0]
    assert [t["unwell"] for t in told(dom)["ticks"]][2] == {"wide": "late", "left_pillar": "blind"}  # type: ignore[attr-defined]
    assert "<title>rear: corrupt</title>" in dom and "<title>wide: late</title>" in dom
    assert "<title>left_pillar: blind</title>" in dom
