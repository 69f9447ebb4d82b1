"""Cameras to convert, and the way through a file and back."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from calib.formats.cameras import EGO, CameraSet, FoundCamera
from calib.formats.convert import FORMATS, read_cameras, write_cameras
from calib.formats.document import Given
from calib.lens import Lens
from calib.pose import ego_from_camera, invert


@st.composite
def mounted(draw: st.DrawFn, lenses: st.SearchStrategy[Lens], most: int = 3) -> CameraSet:
    """Cameras anywhere on a vehicle, looking anywhere."""
    cameras = []
    for index in range(draw(st.integers(1, most))):
        angles = [draw(st.floats(-np.pi, np.pi)) for _ in range(3)]
        pose = ego_from_camera([draw(st.floats(-9, 9)) for _ in range(3)], *angles)
        cameras.append(FoundCamera(f"camera_{index}", draw(lenses), pose))
    return CameraSet(tuple(cameras), EGO)


def lens_only(lens: Lens, name: str = "front") -> CameraSet:
    return CameraSet((FoundCamera(name, lens),))


def through(
    folder: Path, found: CameraSet, key: str, given: Given | None = None
) -> tuple[CameraSet, list[str]]:
    """`found` after a file of format `key`, recognised by itself, and what was said on writing."""
    written, notes = write_cameras(found, FORMATS[key], folder / f"a{FORMATS[key].suffix}")
    return read_cameras(written, given or Given()), notes


def ahead(count: int = 60) -> NDArray[np.float64]:
    """Camera-frame points (count, 3) in front of a camera, metres."""
    rng = np.random.default_rng(5)
    return rng.uniform((-2, -2, 3), (2, 2, 20), (count, 3))


def assert_same_pictures(before: CameraSet, after: CameraSet) -> None:
    """Points in the frame of the first camera of each set fall on the same pixels in every
    camera; without poses, points of each camera in itself."""
    assert len(before.cameras) == len(after.cameras)
    posed = after.frame is not None
    for index, (one, other) in enumerate(zip(before.cameras, after.cameras, strict=True)):
        assert (one.lens.width, one.lens.height) == (other.lens.width, other.lens.height)
        assert one.lens.model == other.lens.model
        points = ahead()
        there = points
        if posed:
            there = _move(between(after, index), _move(invert(between(before, index)), points))
        np.testing.assert_allclose(
            one.lens.project(points)[0], other.lens.project(there)[0], rtol=1e-9, atol=1e-6
        )


def between(found: CameraSet, index: int) -> NDArray[np.float64]:
    """camera_from_first (4, 4)."""
    first = found.cameras[0].frame_from_camera
    other = found.cameras[index].frame_from_camera
    assert first is not None and other is not None
    return np.linalg.inv(other) @ first


def _move(dst_from_src: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ dst_from_src[:3, :3].T + dst_from_src[:3, 3]
