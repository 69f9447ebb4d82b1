"""The mosaic draws any rig, and shows what happened to each camera."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calib.lens import Lens
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig, load_rig
from deploy.loop.ego_map import EgoMap, GridSpec, MapObject
from deploy.loop.frames import STATUSES, Frame, FrameSet
from deploy.loop.pipeline import TickResult
from deploy.sinks.birds_eye import BirdsEye
from deploy.sinks.mosaic import HEIGHT, WIDTH, Mosaic, seating

GRID = GridSpec()


def ring_of_cameras(n: int) -> Rig:
    lens = Lens("pinhole", 320, 200, 200, 200, 159.5, 99.5)
    return Rig(
        "ring",
        tuple(
            Camera(
                f"c{i}", lens, ego_from_camera((1, 0, 1.5), 2 * math.pi * i / n, 0, 0), 10, "small"
            )
            for i in range(n)
        ),
    )


def empty_map(**changes: object) -> EgoMap:
    nothing = EgoMap(GRID, np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape, np.float32), ())
    return replace(nothing, **changes)


def tick(rig: Rig, ego: EgoMap | None = None, **states: str) -> TickResult:
    frames = {n: Frame(n, states.get(n, "missing"), note="because") for n in rig.names}
    return TickResult(FrameSet(0, 0, frames), {}, ego or empty_map(), frozenset())


@pytest.mark.parametrize("n", range(1, 17))
def test_any_number_of_cameras_fits_without_overlap(n: int):
    rig = ring_of_cameras(n)
    mosaic = Mosaic(rig, GRID)
    covered = np.zeros((HEIGHT, WIDTH), int)
    for x, y, width, height in mosaic._tiles.values():
        assert x >= 0 and y >= 0 and x + width <= WIDTH and y + height <= HEIGHT
        assert width >= 200
        covered[y : y + height, x : x + width] += 1
    assert covered.max() == 1 and len(mosaic._tiles) == n
    assert mosaic.draw(tick(rig)).shape == (HEIGHT, WIDTH, 3)


def test_hw2_sits_as_it_looks():
    seats = seating(load_rig("hw2"), 3, 3)
    assert seats["main"] == (0, 1) and seats["rear"] == (2, 1)
    assert {name: seats[name][1] for name in seats if name.startswith("left")} == {
        "left_pillar": 0,
        "left_repeater": 0,
    }
    assert seats["right_pillar"] == (1, 2) and seats["right_repeater"] == (2, 2)
    assert (1, 1) not in seats.values()


def test_every_state_looks_different():
    rig = ring_of_cameras(1)
    mosaic = Mosaic(rig, GRID)
    x, y, width, height = mosaic._tiles["c0"]
    tiles = {
        status: mosaic.draw(tick(rig, c0=status))[y : y + height, x : x + width].tobytes()
        for status in STATUSES
        if status != "ok"
    }
    assert len(set(tiles.values())) == len(tiles) == 4


def test_the_map_is_drawn_forward_up_and_left_left():
    drivable = np.zeros(GRID.shape, np.float32)
    rows, columns = GRID.shape
    drivable[3 * rows // 4 :, 3 * columns // 4 :] = 1  # far left ahead
    ego = empty_map(drivable=drivable, confidence=drivable)
    rig = ring_of_cameras(4)
    picture = BirdsEye(rig, GRID, 600, 900).draw(ego, tick(rig).frames).astype(int)
    green = (picture[..., 1] > 90) & (picture[..., 2] < 80)
    v, u = np.nonzero(green)
    assert u.size > 10_000
    assert np.percentile(u, 98) < 160 and np.percentile(v, 98) < 240


def test_an_object_is_drawn_at_its_place_and_unseen_cells_are_not_free():
    rig = ring_of_cameras(4)
    view = BirdsEye(rig, GRID, 600, 900)
    frames = tick(rig).frames
    thing = MapObject("vehicle", 0.9, 20.0, -8.0, 0.5, ("c0",), (4.5, 1.9, 1.6))
    without = view.draw(empty_map(), frames).astype(int)
    with_it = view.draw(empty_map(objects=(thing,)), frames).astype(int)
    u, v = view.pixels(np.array([20.0, -8.0]))
    assert (u, v) == pytest.approx((300 + 8 * 15, 600 - 20 * 15))
    patch = slice(int(v) - 10, int(v) + 10), slice(int(u) - 5, int(u) + 5)
    assert np.abs(with_it[patch] - without[patch]).mean() > 40
    claimed = empty_map(drivable=np.ones(GRID.shape, np.float32))  # free, but not seen
    np.testing.assert_array_equal(view.draw(claimed, frames), without)
