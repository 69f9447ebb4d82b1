"""The page of `calibrate check`: the verdict, and the pictures to see it by."""

import base64
from collections.abc import Iterable
from html import escape
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from calib.check.evidence import Evidence
from calib.check.finding import Level
from calib.check.judge import Verdict
from calib.rig import Rig
from deploy.check.moments import Moment
from deploy.check.overlay import camera_overlay, colour_image, matches_overlay
from deploy.commands.calibrate.check import WORDS, cells
from deploy.log import channels
from deploy.log.boxes import Box, from_scene_update
from deploy.log.reader import LogReader
from deploy.sinks.drawing import Image
from perception.report import page

_LEAST = 8
"""Matches from which on a pair of cameras is shown."""
_BOXES_NEAR_NS = 60_000_000
_COLOURS = {Level.NOTE: "accent", Level.DOUBTFUL: "second", Level.BAD: "wrong"}


def write_check_page(
    path: Path, reader: LogReader, rig: Rig, moment: Moment, evidence: Evidence, verdict: Verdict
) -> None:
    """Write the page; its pictures are those of `moment`, the first one looked at.

    Raises PerceptionError when the file can't be written.
    """
    images = {
        name: image
        for name, encoded in moment.now.images.items()
        if (image := colour_image(encoded.data)) is not None
    }
    boxes = _boxes(reader, moment.now.stamp_ns)
    sections = [
        page.Section("Verdict", _tiles(evidence, verdict) + _findings(verdict)),
        page.Section(
            "Cameras",
            _table(verdict),
            "Matches with other cameras, and with itself a little later, that agree with the rig, "
            "of those found; some of those found are always wrong. Yaw, pitch and roll: degrees by "
            "which the camera is off, each about ± 0.2 at best.",
        ),
        page.Section(
            "What the rig says, over the pictures",
            _overlays(rig, images, boxes),
            "Green: the ground, every 5 metres, as it would be if it were flat; white: straight "
            "ahead and straight to the side. Red: the horizon, at the height of the camera. "
            "Lines should run along the road and lie on it, and boxes of the log around their "
            "objects.",
        ),
        page.Section(
            "Matches between cameras",
            _pairs(rig, images, evidence, verdict),
            "The same points in two pictures of one instant. Green: the rig says so too; red: it "
            "denies it.",
        ),
    ]
    title = f"Rig {rig.name}: {WORDS[verdict.level]}"
    page.write(path, title, sections, subtitle=f"checked against {reader.path.name}")


def _tiles(evidence: Evidence, verdict: Verdict) -> str:
    confirmed = sum(one.level == Level.NOTE for one in verdict.cameras.values())
    across = verdict.genuine & ~evidence.moving
    share = float(verdict.agrees[across].mean()) if across.any() else 0.0
    noise = f"{verdict.noise:.2f}°" if np.isfinite(verdict.noise) else "-"
    return page.tiles(
        [
            ("verdict", WORDS[verdict.level], "of the whole rig"),
            ("cameras", f"{confirmed} of {len(verdict.cameras)}", "confirmed by the pictures"),
            ("matches", f"{across.sum():,}", "between cameras, at one instant"),
            ("agree", f"{share:.0%}", "of those, with the rig as given"),
            ("median error", noise, "of matches, all cameras turned as they fit"),
        ]
    )


def _findings(verdict: Verdict) -> str:
    lines = "".join(
        f'<li><b style="color:var(--{_COLOURS[finding.level]})">'
        f"{'note' if finding.level == Level.NOTE else WORDS[finding.level]}</b> "
        f"{escape(name)}: {escape(finding.text)}</li>"
        for name, one in verdict.cameras.items()
        for finding in one.findings
    )
    return f"<ul>{lines}</ul>" if lines else ""


def _table(verdict: Verdict) -> str:
    headings = ("camera", "verdict", "matches", "over time", "yaw", "pitch", "roll")
    rows = [(name, WORDS[one.level], *cells(one)) for name, one in verdict.cameras.items()]
    return page.table(headings, rows)


def _boxes(reader: LogReader, stamp_ns: int) -> list[Box]:
    near = reader.messages(
        [channels.TRUTH_OBJECTS], stamp_ns - _BOXES_NEAR_NS, stamp_ns + _BOXES_NEAR_NS
    )
    first = next(near, None)
    return from_scene_update(first.decode()) if first else []


def _overlays(rig: Rig, images: dict[str, Image], boxes: list[Box]) -> str:
    return _columns(
        (camera.name, camera_overlay(images[camera.name], camera, boxes))
        for camera in rig
        if camera.name in images
    )


def _pairs(rig: Rig, images: dict[str, Image], evidence: Evidence, verdict: Verdict) -> str:
    shown = []
    for a, b in combinations(rig.names, 2):
        rows = verdict.genuine & evidence.between(a, b, moment=0)
        if rows.sum() >= _LEAST and a in images and b in images:
            pixels = evidence.a_pixels[rows], evidence.b_pixels[rows]
            picture = matches_overlay((images[a], images[b]), pixels, verdict.agrees[rows])
            shown.append((f"{a} and {b}", picture))
    return _columns(shown, 30) if shown else "<p>None.</p>"


def _columns(pictures: Iterable[tuple[str, Image]], least_rem: int = 20) -> str:
    """Side by side, each at least so wide."""
    figures = "".join(
        f'<figure style="margin:0"><figcaption>{escape(name)}</figcaption>'
        f'<img alt="{escape(name)}" src="{_source(image)}" style="width:100%"></figure>'
        for name, image in pictures
    )
    wide = f"grid-template-columns:repeat(auto-fit,minmax(min(100%,{least_rem}rem),1fr))"
    return f'<div class="columns" style="{wide};gap:.75rem 1.25rem">{figures}</div>'


def _source(image: Image) -> str:
    _, encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 85])
    return f"data:image/webp;base64,{base64.b64encode(encoded.tobytes()).decode()}"
