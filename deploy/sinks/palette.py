"""Colours of pictures and logs: written here once, RGB 0..255."""

Rgb = tuple[int, int, int]

DRIVABLE: Rgb = (46, 196, 160)
OBJECTS: dict[str, Rgb] = {
    "vehicle": (255, 176, 59),
    "pedestrian": (255, 92, 108),
    "cyclist": (120, 168, 255),
}
OTHER_OBJECT: Rgb = (200, 200, 200)
STATUS: dict[str, Rgb] = {
    "ok": (46, 196, 160),
    "late": (255, 202, 87),
    "frozen": (120, 168, 255),
    "corrupt": (255, 92, 108),
    "missing": (255, 92, 108),
}
# What a camera is found to be besides (deploy/health/camera.py).
STATE: dict[str, Rgb] = {
    **STATUS,
    "disconnected": (255, 92, 108),
    "blind": (176, 124, 255),
    "out-of-sync": (255, 150, 70),
    "bad-calibration": (226, 120, 190),
    "no result": (150, 75, 60),
}

BACKGROUND: Rgb = (13, 17, 23)
PANEL: Rgb = (20, 26, 34)
GROUND: Rgb = (46, 56, 68)  # seen, not drivable
LINE: Rgb = (62, 74, 90)
FAINT: Rgb = (110, 124, 142)
TEXT: Rgb = (226, 232, 240)


def object_colour(label: str) -> Rgb:
    """Colour of an object class."""
    return OBJECTS.get(label, OTHER_OBJECT)


def bgr(colour: Rgb) -> Rgb:
    """The colour in OpenCV's channel order."""
    return colour[2], colour[1], colour[0]
