"""Drawing on BGR images: smooth text, labels, polygons, blending."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.sinks.palette import Rgb, bgr

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels

_FONT = cv2.FONT_HERSHEY_DUPLEX
# OpenCV's stroke font is drawn this many times larger and reduced: strokes get even edges and
# widths between whole pixels.
_OVERSAMPLING = 4
# Sub-pixel bits of OpenCV's drawing functions.
_SHIFT = 4


def plain(width: int, height: int, colour: Rgb) -> Image:
    """A picture (height, width, 3) of one colour."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = bgr(colour)
    return image


def shrink(image: Image, width: int, height: int) -> Image:
    """Resize for display. Reducing by a whole factor first, which OpenCV does fast, averages all
    pixels: nearly as good as one INTER_AREA resize and several times as fast."""
    factor = min(image.shape[1] // width, image.shape[0] // height)
    if factor > 1:
        size = image.shape[1] // factor, image.shape[0] // factor
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def blend(image: Image, over: Image, opacity: NDArray[np.float32]) -> None:
    """Lay `over` on `image` in place with `opacity` 0..1 per pixel, float32 (H, W)."""
    image[:] = cv2.blendLinear(over, image, opacity, np.float32(1) - opacity)


@lru_cache(maxsize=4096)
def _glyphs(text: str, height: float, weight: float) -> NDArray[np.float32]:
    """Coverage 0..1 of the text (rows, columns); capitals are `height` pixels high."""
    scale = height * _OVERSAMPLING / 21  # capitals of this font are 21 units high
    thickness = max(1, round(weight * scale))
    (width, above), below = cv2.getTextSize(text, _FONT, scale, thickness)
    margin = thickness
    columns = -(-(width + 2 * margin) // _OVERSAMPLING) * _OVERSAMPLING
    rows = -(-(above + below + 2 * margin) // _OVERSAMPLING) * _OVERSAMPLING
    canvas = np.zeros((rows, columns), np.uint8)
    origin = (margin, above + margin)
    cv2.putText(canvas, text, origin, _FONT, scale, 255, thickness, cv2.LINE_AA)
    size = columns // _OVERSAMPLING, rows // _OVERSAMPLING
    reduced = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.float32) / np.float32(255)


def text_width(text: str, height: float, weight: float = 1.4) -> int:
    """Pixels that `draw_text` needs."""
    return _glyphs(text, height, weight).shape[1]


def elide(text: str, height: float, width: float) -> str:
    """`text`, or as much of its start as fits into `width` pixels, with dots."""
    if text_width(text, height) <= width:
        return text
    fitting = (f"{text[:end].rstrip()}..." for end in range(len(text) - 1, 0, -1))
    return next((short for short in fitting if text_width(short, height) <= width), "")


def draw_text(
    image: Image,
    text: str,
    at: tuple[float, float],
    height: float,
    colour: Rgb,
    *,
    anchor: str = "left",
    weight: float = 1.4,
) -> None:
    """Write a line of text; `at` is the left, `centre` or `right` end of its vertical middle.

    `height`: of capitals, pixels. Parts outside the image are left out.
    """
    glyphs = _glyphs(text, height, weight)
    rows, columns = glyphs.shape
    left = round(at[0] - columns * {"left": 0.0, "centre": 0.5, "right": 1.0}[anchor])
    # The middle of the capitals, not of the glyphs' box with its descenders.
    top = round(at[1] - height / 2 - _margin(height, weight))
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + columns, image.shape[1]), min(top + rows, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    coverage = glyphs[y0 - top : y1 - top, x0 - left : x1 - left, None]
    patch = image[y0:y1, x0:x1]
    patch[:] = np.rint(patch + coverage * (np.asarray(bgr(colour), np.float32) - patch))


def _margin(height: float, weight: float) -> float:
    """Pixels between the top of the glyphs' box and the top of the capitals."""
    return max(1, round(weight * height * _OVERSAMPLING / 21)) / _OVERSAMPLING


def plate(image: Image, text: str, at: tuple[float, float], height: float) -> Box:
    """Room that a label takes whose lower left corner is `at`, moved into the image."""
    width, tall = text_width(text, height) + round(height * 0.7), round(height * 1.9)
    x0 = min(max(round(at[0]), 0), image.shape[1] - width)
    y1 = max(min(round(at[1]), image.shape[0]), tall)
    return x0, y1 - tall, x0 + width, y1


def draw_label(image: Image, text: str, box: Box, height: float, colour: Rgb) -> None:
    """Dark text on a plate of `colour`."""
    x0, y0, x1, y1 = (round(value) for value in box)
    cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), bgr(colour), cv2.FILLED)
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    draw_text(image, text, middle, height, (10, 12, 16), anchor="centre", weight=1.7)


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes have pixels in common."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Pixels (..., 2) in OpenCV's sub-pixel integers."""
    return np.rint(np.clip(points, -1e5, 1e5) * (1 << _SHIFT)).astype(np.int32)


def draw_polygon(
    image: Image,
    points: NDArray[np.float64],
    colour: Rgb,
    *,
    fill: float = 0.0,
    line: int = 1,
    closed: bool = True,
) -> None:
    """Polygon (n, 2) in pixels: filled with opacity `fill`, outlined `line` pixels wide (0: not).

    Parts outside the image are left out.
    """
    outline = _fixed(points)
    if fill > 0:
        x0, y0 = np.clip(np.floor(points.min(axis=0)).astype(int) - 1, 0, None)
        x1, y1 = np.ceil(points.max(axis=0)).astype(int) + 2
        patch = image[y0:y1, x0:x1]
        if patch.size:
            painted = patch.copy()
            shifted = outline - _fixed(np.array([x0, y0], np.float64))
            cv2.fillPoly(painted, [shifted], bgr(colour), cv2.LINE_AA, _SHIFT)
            cv2.addWeighted(painted, fill, patch, 1 - fill, 0, dst=patch)
    if line > 0:
        cv2.polylines(image, [outline], closed, bgr(colour), line, cv2.LINE_AA, _SHIFT)


def draw_circle(
    image: Image, at: tuple[float, float], radius: float, colour: Rgb, line: int = cv2.FILLED
) -> None:
    """A disc, or with `line` a circle that many pixels wide."""
    x, y = _fixed(np.array(at)).tolist()
    size = round(radius * (1 << _SHIFT))
    cv2.circle(image, (x, y), size, bgr(colour), line, cv2.LINE_AA, _SHIFT)


def rounded_rectangle(
    centre: tuple[float, float], size: tuple[float, float], radius: float
) -> NDArray[np.float64]:
    """Outline (n, 2) of an upright rectangle with round corners, pixels."""
    half_width, half_height = size[0] / 2, size[1] / 2
    radius = min(radius, half_width, half_height)
    quarter = np.linspace(0, np.pi / 2, 6)
    corners = []
    for turn, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        middle = (centre[0] + sx * (half_width - radius), centre[1] + sy * (half_height - radius))
        angle = quarter + turn * np.pi / 2
        corners.append(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * radius + middle)
    return np.concatenate(corners)
