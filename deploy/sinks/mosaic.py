"""The mosaic: every camera's view and the bird's-eye map in one picture, as video and as png."""

import math
from collections import Counter
from itertools import combinations
from pathlib import Path
from types import TracebackType

import cv2

from calib.rig import Rig
from deploy.errors import DeployError
from deploy.loop.ego_map import GridSpec
from deploy.loop.pipeline import TickResult
from deploy.sinks.birds_eye import BirdsEye
from deploy.sinks.camera_view import draw_camera
from deploy.sinks.drawing import Image, draw_circle, draw_text, elide, plain, text_width
from deploy.sinks.palette import (
    BACKGROUND,
    DRIVABLE,
    FAINT,
    GROUND,
    LINE,
    OBJECTS,
    STATUS,
    TEXT,
    Rgb,
    bgr,
)
from deploy.sinks.rig_plan import draw_rig_plan
from deploy.sinks.video import VideoWriter

WIDTH, HEIGHT = 1920, 1080
MARGIN, GAP = 20, 10
HEADER, FOOTER = 66, 46

LEGEND_OF_GROUND: tuple[tuple[str, Rgb], ...] = (
    ("drivable", DRIVABLE),
    ("other ground", GROUND),
    ("unknown", BACKGROUND),
)

Area = tuple[int, int, int, int]  # x, y, width, height in pixels

# Pictures kept while running: the one nearest the middle becomes mosaic.png.
KEPT = 8


class Mosaic:
    """Draws ticks. One layout for any rig of 1 to 16 cameras, computed once."""

    def __init__(self, rig: Rig, grid: GridSpec) -> None:
        self._rig = rig
        top, bottom = HEADER, HEIGHT - FOOTER
        map_width = round((bottom - top) * (grid.y_max - grid.y_min) / (grid.x_max - grid.x_min))
        self._map_at = (WIDTH - MARGIN - map_width, top)
        self._birds_eye = BirdsEye(rig, grid, map_width, bottom - top)
        width = self._map_at[0] - 2 * MARGIN
        lens = rig.cameras[0].lens
        self._background = self._draw_background()
        self._tiles, self._free = _tiles(rig, width, bottom - top, lens.width / lens.height)

    def draw(self, result: TickResult) -> Image:
        """The picture of one tick, uint8 (1080, 1920, 3) BGR."""
        canvas = self._background.copy()
        for name, (x, y, width, height) in self._tiles.items():
            tile = canvas[y : y + height, x : x + width]
            draw_camera(tile, result.frames.frames[name], result.cameras.get(name))
        if self._free is not None:
            x, y, width, height = self._free
            draw_rig_plan(canvas[y : y + height, x : x + width], self._rig, result.frames)
        x, y = self._map_at
        birds_eye = self._birds_eye.draw(result.ego, result.frames)
        canvas[y : y + birds_eye.shape[0], x : x + birds_eye.shape[1]] = birds_eye
        corner = x + birds_eye.shape[1] - 1, y + birds_eye.shape[0] - 1
        cv2.rectangle(canvas, (x, y), corner, bgr(LINE), 1)
        self._header(canvas, result)
        return canvas

    @property
    def cameras_area(self) -> Area:
        """Where the cameras' tiles lie in the picture, with what is between them."""
        areas = list(self._tiles.values())
        left, top = min(a[0] for a in areas), min(a[1] for a in areas)
        right, bottom = max(a[0] + a[2] for a in areas), max(a[1] + a[3] for a in areas)
        return left, top, right - left, bottom - top

    def _draw_background(self) -> Image:
        """What is the same in every picture."""
        canvas = plain(WIDTH, HEIGHT, BACKGROUND)
        draw_text(canvas, "OctoView", (MARGIN, HEADER / 2), 19, TEXT, weight=2)
        y = HEIGHT - FOOTER / 2
        left = float(MARGIN)
        for name, colour in OBJECTS.items():
            left = _legend(canvas, name, colour, left, y)
        left = float(self._map_at[0])
        for name, colour in LEGEND_OF_GROUND:
            left = _legend(canvas, name, colour, left, y)
        return canvas

    def _header(self, canvas: Image, result: TickResult) -> None:
        middle = HEADER / 2 + 3
        left = MARGIN + text_width("OctoView", 19, 2) + 26.0
        states = Counter(frame.status for frame in result.frames.frames.values())
        for status, number in states.most_common():
            text = f"{number} cameras {status}" if number != 1 else f"1 camera {status}"
            left = _counter(canvas, text, STATUS[status], left, middle)
        tick = f"rig {elide(self._rig.name, 10, 240)}, tick {result.frames.index}"
        right = self._map_at[0] - MARGIN
        draw_text(canvas, tick, (right, middle), 10, FAINT, anchor="right")
        labels = Counter(thing.label for thing in result.ego.objects)
        texts = {
            label: f"{labels[label]} {label}" + "s" * (labels[label] != 1) for label in OBJECTS
        }
        left = WIDTH - MARGIN + 22.0 - sum(text_width(t, 10) + 34 for t in texts.values())
        for label, text in texts.items():
            left = _counter(canvas, text, OBJECTS[label], left, middle)


def _counter(canvas: Image, text: str, colour: Rgb, left: float, y: float) -> float:
    """A dot and a text; returns where the next one starts."""
    draw_circle(canvas, (left + 5, y - 1), 5, colour)
    draw_text(canvas, text, (left + 17, y), 10, TEXT)
    return left + text_width(text, 10) + 34


def _legend(canvas: Image, name: str, colour: Rgb, left: float, y: float) -> float:
    """One entry of the legend; returns where the next one starts."""
    x = round(left)
    box = (x, round(y) - 7), (x + 14, round(y) + 7)
    cv2.rectangle(canvas, *box, bgr(colour), cv2.FILLED)
    cv2.rectangle(canvas, *box, bgr(LINE), 1)
    draw_text(canvas, name, (x + 24, y), 8.5, FAINT)
    return left + 24 + text_width(name, 8.5) + 26


def _tiles(rig: Rig, width: int, height: int, aspect: float) -> tuple[dict[str, Area], Area | None]:
    """Where each camera's tile lies, and a cell that stays free in the middle, if one does."""
    columns, rows, tile_width = 1, len(rig), 0
    for candidate in range(1, len(rig) + 1):
        needed = math.ceil(len(rig) / candidate)
        fit = min(
            (width - GAP * (candidate - 1)) / candidate,
            (height - GAP * (needed - 1)) / needed * aspect,
        )
        if int(fit) > tile_width:
            columns, rows, tile_width = candidate, needed, int(fit)
    tile_height = int(tile_width / aspect)
    left = MARGIN + (width - columns * tile_width - GAP * (columns - 1)) // 2
    down = (height - rows * tile_height) // max(rows - 1, 1) if rows > 1 else 0
    down = min(down, 3 * GAP)
    top = HEADER + (height - rows * tile_height - (rows - 1) * down) // 2

    def area(cell: tuple[int, int]) -> Area:
        row, column = cell
        x, y = left + column * (tile_width + GAP), top + row * (tile_height + down)
        return x, y, tile_width, tile_height

    seats = seating(rig, rows, columns)
    free = {(r, c) for r in range(rows) for c in range(columns)} - set(seats.values())
    inner = [(r, c) for r, c in free if 0 < r < rows - 1 and 0 < c < columns - 1]
    return {name: area(cell) for name, cell in seats.items()}, area(inner[0]) if inner else None


def seating(rig: Rig, rows: int, columns: int) -> dict[str, tuple[int, int]]:
    """A cell (row, column) for each camera, near where it looks, as seen from above with forward
    up: each takes the nearest free cell, then pairs change places as long as that helps."""
    free = [(row, column) for row in range(rows) for column in range(columns)]
    wanted, seats = {}, {}
    for camera in rig:
        forward, leftward = camera.ego_from_camera[:2, 2]
        longest = max(abs(forward), abs(leftward), 1e-6)
        place = (
            (rows - 1) * (0.5 - 0.5 * forward / longest),
            (columns - 1) * (0.5 - 0.5 * leftward / longest),
        )
        wanted[camera.name] = place
        seats[camera.name] = min(free, key=lambda cell: math.dist(cell, place))
        free.remove(seats[camera.name])

    def off(name: str, cell: tuple[int, int]) -> float:
        return math.dist(cell, wanted[name]) ** 2

    better = True
    while better:
        better = False
        for a, b in combinations(rig.names, 2):
            now, changed = off(a, seats[a]) + off(b, seats[b]), off(a, seats[b]) + off(b, seats[a])
            if changed < now - 1e-9:
                seats[a], seats[b] = seats[b], seats[a]
                better = True
    return seats


class MosaicSink:
    """Writes mosaic.mp4 (H.264, plays in browsers) and mosaic.png (a tick from the middle)."""

    def __init__(self, folder: Path, rig: Rig, grid: GridSpec) -> None:
        self._mosaic = Mosaic(rig, grid)
        self._png = folder / "mosaic.png"
        rate_hz = max(camera.rate_hz for camera in rig)
        options = {"preset": "veryfast", "crf": "21"}
        self._video = VideoWriter(folder / "mosaic.mp4", (WIDTH, HEIGHT), rate_hz, options)
        self._kept: dict[int, Image] = {}
        self._every = 1
        self._count = 0

    def __enter__(self) -> "MosaicSink":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._count:
            middle = min(self._kept, key=lambda index: abs(index - (self._count - 1) / 2))
            if not cv2.imwrite(str(self._png), self._kept[middle]):
                raise DeployError(f"{self._png}: can't be written; check the folder")
        self._video.close(finish=kind is None)

    def write(self, result: TickResult) -> None:
        """Draw and encode one tick."""
        picture = self._mosaic.draw(result)
        self._keep(picture)
        self._video.write(picture, result.frames.stamp_ns)

    def _keep(self, picture: Image) -> None:
        """Keep pictures at even distances, however long the run turns out to be."""
        if self._count % self._every == 0:
            self._kept[self._count] = picture
            if len(self._kept) > KEPT:
                self._every *= 2
                self._kept = {i: p for i, p in self._kept.items() if i % self._every == 0}
        self._count += 1
