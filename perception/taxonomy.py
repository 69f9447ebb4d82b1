"""The project's classes.

A dataset label maps to a *set* of our classes: a coarse label trains the sum of the
probabilities of its fine classes, and an empty set trains nothing (ignored).
"""

from collections.abc import Mapping

SCENE_CLASSES: tuple[str, ...] = (
    "drivable",
    "pavement",
    "terrain",
    "building",
    "fence",
    "pole",
    "sign",
    "vegetation",
    "sky",
    "vehicle",
    "pedestrian",
    "cyclist",
)
OBJECT_CLASSES: tuple[str, ...] = ("vehicle", "pedestrian", "cyclist")

IGNORE = 255
"""Label value of pixels that belong to no class."""

SCENE_COLOURS: Mapping[str, tuple[int, int, int]] = {
    "drivable": (128, 64, 128),
    "pavement": (244, 35, 232),
    "terrain": (152, 251, 152),
    "building": (70, 70, 70),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "sky": (70, 130, 180),
    "vehicle": (0, 0, 142),
    "pedestrian": (220, 20, 60),
    "cyclist": (119, 11, 32),
}
"""RGB, the Cityscapes palette, so that pictures look familiar."""
