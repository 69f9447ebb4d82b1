"""Encoded images, decoded only where their header leaves room: bytes must not claim gigabytes."""

import re
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MOST_PIXELS = 1 << 27
"""More than any camera has: 400 MB in colour."""

_PNG = b"\x89PNG\r\n\x1a\n"
# Start of frame of every JPEG process; the other markers between are no frames (ITU T.81, B.1.1.3).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")


def decode(data: bytes, flags: int) -> NDArray[Any] | None:
    """The image as `cv2.imdecode` gives it: JPEG, PNG, WebP, BMP, TIFF or PNM. None for what is
    none of these, is damaged, or states more than MOST_PIXELS."""
    size = stated_size(data)
    if size is None or size[0] * size[1] > MOST_PIXELS:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def stated_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that an image of those kinds states; None where it states none."""
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:8] == _PNG:
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp(data)
    if data[:2] == b"BM" and len(data) >= 26:
        width, height = _pair("<HH", data, 18) if data[14] == 12 else _pair("<ii", data, 18)
        return abs(width), abs(height)
    if data[:4] in _TIFF:
        return _tiff(data, _TIFF[data[:4]])
    found = _PNM.match(data)
    return (int(found[1]), int(found[2])) if found else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:  # what decoders skip: stray bytes, fill
            at += 1
        elif marker in _FRAMES:
            height, width = _pair(">HH", data, at + 5)
            return width, height
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _png(data: bytes) -> tuple[int, int] | None:
    """None as well where a chunk says that it is longer than the data: OpenCV 4.13 takes memory for
    what it says, up to 4 GB."""
    at, kind = len(_PNG), b""
    while kind != b"IEND" and at + 12 <= len(data):  # length, kind, content, checksum
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return _pair(">II", data, 16) if 24 < at <= len(data) else None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = _pair("<HH", data, 26)
    return (width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else None


def _tiff(data: bytes, order: str) -> tuple[int, int] | None:
    """From the first directory; its fields are 12 bytes each (TIFF 6.0, section 2)."""
    values: dict[int, int] = {}
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        for field in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", data, field)
            form = {3: "H", 4: "I"}.get(kind)
            if form and tag in (256, 257):
                values.setdefault(tag, struct.unpack_from(order + form, data, field + 8)[0])
    except struct.error:
        return None
    return (values[256], values[257]) if len(values) == 2 else None


def _pair(form: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, data, at)
    return first, second
