"""One camera's picture in the mosaic: drivable area, boxes, name and state."""

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.letterbox import Letterbox
from deploy.loop.decode import CameraResult, Detection
from deploy.loop.frames import Frame
from deploy.sinks.drawing import (
    Box,
    Image,
    blend,
    draw_circle,
    draw_label,
    draw_text,
    elide,
    overlap,
    plain,
    plate,
    shrink,
    text_width,
)
from deploy.sinks.palette import (
    DRIVABLE,
    FAINT,
    PANEL,
    STATUS,
    TEXT,
    Rgb,
    bgr,
    object_colour,
)

OVERLAY = 0.38
TEXT_HEIGHT = 9.0
LABEL_HEIGHT = 7.0
# A box lower than this gets no written label: it would hide more than it tells.
MIN_LABELLED = 22


def draw_camera(tile: Image, frame: Frame, result: CameraResult | None) -> None:
    """Fill `tile`, uint8 (H, W, 3) BGR, with one camera's frame and what was seen in it."""
    tile[:] = bgr(PANEL)
    height, width = tile.shape[:2]
    if frame.image is None or result is None:
        draw_text(
            tile,
            frame.status.upper(),
            (width / 2, height / 2 - 8),
            15,
            STATUS[frame.status],
            anchor="centre",
            weight=2,
        )
        note = elide(frame.note, 7, width - 16)
        draw_text(tile, note, (width / 2, height / 2 + 18), 7, FAINT, anchor="centre")
    else:
        source_height, source_width = frame.image.shape[:2]
        fit = Letterbox.fit(source_width, source_height, width, height)
        left, top = fit.pad
        inside = tile[top : top + fit.resized_height, left : left + fit.resized_width]
        inside[:] = shrink(frame.image, fit.resized_width, fit.resized_height)
        _paint_drivable(inside, result)
        nearest_last = sorted(result.objects, key=lambda d: d.ground_point[1])
        for detection in nearest_last:
            _draw_detection(tile, detection, fit)
        taken: list[Box] = []
        for detection in reversed(nearest_last):
            _label_detection(tile, detection, fit, taken)
    _draw_name(tile, frame.camera, STATUS[frame.status])


def _paint_drivable(inside: Image, result: CameraResult) -> None:
    """Blend the drivable area in, its edge at probability one half, with a line around it."""
    height, width = inside.shape[:2]
    probability = _resample(result.drivable, result.letterbox, width, height)
    # A soft step around one half: smooth edges at any tile size.
    coverage = np.clip((probability - np.float32(0.5)) * 6 + np.float32(0.5), 0, 1)
    blend(inside, plain(width, height, DRIVABLE), coverage * np.float32(OVERLAY))
    contours, _ = cv2.findContours(
        (probability >= 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    large = [contour for contour in contours if len(contour) > 40]
    cv2.polylines(inside, large, True, bgr(DRIVABLE), 1, cv2.LINE_AA)


def _resample(
    values: NDArray[np.float32], letterbox: Letterbox, width: int, height: int
) -> NDArray[np.float32]:
    """The part of a scene map that shows the image, without padding, at width x height."""
    stride = letterbox.dst_width / values.shape[1]
    # One affine map from output pixels by way of network pixels to scene map pixels.
    sx = letterbox.resized_width / width / stride
    sy = letterbox.resized_height / height / stride
    to_scene = np.array(
        [
            [sx, 0, 0.5 * sx + letterbox.pad_left / stride - 0.5],
            [0, sy, 0.5 * sy + letterbox.pad_top / stride - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (width, height)
    return np.asarray(
        cv2.warpAffine(values, to_scene, size, flags=flags, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )


def _draw_detection(tile: Image, detection: Detection, fit: Letterbox) -> None:
    colour = object_colour(detection.label)
    corners = fit.forward(np.reshape(detection.box, (2, 2)))
    (x0, y0), (x1, y1) = np.rint(corners).astype(int).tolist()
    cv2.rectangle(tile, (x0, y0), (x1, y1), bgr(colour), 1, cv2.LINE_AA)
    _draw_brackets(tile, (x0, y0, x1, y1), colour)
    x, y = fit.forward(np.array(detection.ground_point)).tolist()
    if 0 <= x < tile.shape[1] and 0 <= y < tile.shape[0]:
        draw_circle(tile, (x, y), 3.4, (10, 12, 16))
        draw_circle(tile, (x, y), 2.4, colour)


def _label_detection(tile: Image, detection: Detection, fit: Letterbox, taken: list[Box]) -> None:
    """Class and score above the box; left out where it would cover the label of a nearer one."""
    (x0, y0), (_, y1) = fit.forward(np.reshape(detection.box, (2, 2))).tolist()
    text = f"{detection.label} {detection.score:.0%}"
    box = plate(tile, text, (x0, y0), LABEL_HEIGHT)
    if y1 - y0 >= MIN_LABELLED and not any(overlap(box, other) for other in taken):
        draw_label(tile, text, box, LABEL_HEIGHT, object_colour(detection.label))
        taken.append(box)


def _draw_brackets(tile: Image, box: tuple[int, int, int, int], colour: Rgb) -> None:
    """Heavier corners: the box reads at a glance and still shows what is inside it."""
    x0, y0, x1, y1 = box
    reach = max(3, min(x1 - x0, y1 - y0) // 4)
    for x, dx in ((x0, reach), (x1, -reach)):
        for y, dy in ((y0, reach), (y1, -reach)):
            cv2.line(tile, (x, y), (x + dx, y), bgr(colour), 2, cv2.LINE_AA)
            cv2.line(tile, (x, y), (x, y + dy), bgr(colour), 2, cv2.LINE_AA)


def _draw_name(tile: Image, name: str, state: Rgb) -> None:
    text = elide(name.replace("_", " "), TEXT_HEIGHT, tile.shape[1] - 34)
    width, height = text_width(text, TEXT_HEIGHT) + 34, 24
    plate = tile[:height, :width]
    plate[:] = np.rint(plate * 0.25 + np.asarray(bgr(PANEL)) * 0.75)
    draw_circle(tile, (13, height / 2), 4.5, state)
    draw_text(tile, text, (23, height / 2), TEXT_HEIGHT, TEXT)
