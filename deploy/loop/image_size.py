"""Size of an encoded image by its header alone: a few bytes must not claim gigabytes."""

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
# Start of frame of every JPEG process; the other markers between are no frames (ITU T.81, B.1.1.3).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def stated_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG or PNG states; None where it states none, and for others."""
    if data[:8] == _PNG and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
