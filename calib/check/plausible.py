"""What the numbers of a camera alone give away, without a picture."""

from collections.abc import Iterator

import numpy as np

from calib.camera import Camera
from calib.check.finding import Finding, Level
from calib.lens import Lens

_HEIGHTS = (0.1, 5.0)
_FAR = 15.0
"""Metres from the rear axle to a camera at most."""
_LEANING = 30.0
"""Degrees by which a camera's horizon may be tilted."""
_OFF_CENTRE = 0.12
"""Share of the image's size by which the optical axis may miss its middle."""
_ASPECT = 0.05
_VIEWS = (5.0, 220.0)
"""Degrees across."""
_BLIND = {"pinhole": 0.02, "fisheye": 0.4}
"""Share of the image that may have no ray: none of a pinhole's, a fisheye's corners."""
_SIDES = {
    "left": (90, 90),
    "right": (-90, 90),
    "front": (0, 90),
    "rear": (180, 90),
    "back": (180, 90),
}
"""Azimuth in degrees that a name promises, and how far from it the axis may be."""


def implausible(camera: Camera, image_size: tuple[int, int] | None) -> Iterator[Finding]:
    """Findings about one camera; `image_size` (width, height) of its pictures, None without any.
    Only what no camera can have is bad."""
    lens = camera.lens
    if image_size is not None and image_size != (lens.width, lens.height):
        width, height = image_size
        yield Finding(
            Level.BAD,
            f"its lens is of images {lens.width}x{lens.height}, the log's are {width}x{height}: "
            "wrong resolution",
        )
    yield from _of_lens(lens)
    yield from _of_pose(camera)


def _of_lens(lens: Lens) -> Iterator[Finding]:
    for name, centre, size in (("cx", lens.cx, lens.width), ("cy", lens.cy, lens.height)):
        off = (centre + 0.5) / size - 0.5
        if abs(off) > _OFF_CENTRE:
            yield Finding(
                Level.DOUBTFUL,
                f"{name} is {centre:.0f} of {size} pixels, {abs(off):.0%} from the middle: "
                "a lens of another resolution?",
            )
    if abs(lens.fx / lens.fy - 1) > _ASPECT:
        yield Finding(
            Level.DOUBTFUL,
            f"fx {lens.fx:.0f} and fy {lens.fy:.0f} differ: a lens of another resolution?",
        )
    columns, rows = np.meshgrid(
        np.linspace(0, lens.width - 1, 33), np.linspace(0, lens.height - 1, 25)
    )
    blind = float(np.isnan(lens.unproject(np.stack([columns, rows], axis=-1))[..., 0]).mean())
    if blind > _BLIND[lens.model]:
        yield Finding(
            Level.DOUBTFUL,
            f"{blind:.0%} of the image has no ray: coefficients of another lens model?",
        )
    ends = lens.unproject([[0, lens.cy], [lens.width - 1, lens.cy]])
    view = float(np.degrees(np.arctan2(ends[:, 0], ends[:, 2])) @ [-1, 1])
    if np.isfinite(view) and not _VIEWS[0] <= view <= _VIEWS[1]:
        yield Finding(Level.DOUBTFUL, f"it sees {view:.1f} degrees across")


def _of_pose(camera: Camera) -> Iterator[Finding]:
    pose = camera.ego_from_camera
    x, y, z = pose[:3, 3]
    if not _HEIGHTS[0] <= z <= _HEIGHTS[1]:
        yield Finding(Level.DOUBTFUL, f"it is at a height of {z:.2f} m above the ground")
    if np.hypot(x, y) > _FAR:
        yield Finding(Level.DOUBTFUL, f"it is {np.hypot(x, y):.0f} m from the rear axle")
    tilt = float(np.degrees(np.arcsin(np.clip(-pose[2, 0], -1, 1))))
    if pose[2, 1] > 0:
        yield Finding(Level.DOUBTFUL, "it is mounted upside down")
    elif abs(tilt) > _LEANING:
        yield Finding(Level.DOUBTFUL, f"its horizon is tilted by {abs(tilt):.0f} degrees")
    azimuth = float(np.degrees(np.arctan2(pose[1, 2], pose[0, 2])))
    for word in camera.name.lower().replace("-", "_").split("_"):
        if word in _SIDES:
            middle, reach = _SIDES[word]
            if abs((azimuth - middle + 180) % 360 - 180) > reach:
                yield Finding(
                    Level.NOTE, f"it is called {word} and looks {azimuth:+.0f} degrees (left +)"
                )
