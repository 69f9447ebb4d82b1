"""The look-up against calib's own projection, and a painted ground seen again through it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.letterbox import Letterbox
from calib.pose import ego_from_camera
from calib.rig import Camera, Rig, load_rig
from perception.spec import PRESETS
from perception.surround.lookup import MOST_PIXELS, canvas, rig_lookup
from perception.surround.network import SurroundHead
from perception.surround.rigs import random_rig
from perception.surround.spec import SurroundSpec

MODEL = PRESETS["nano"]
SPEC = SurroundSpec(x_min=-16, x_max=16, y_min=-16, y_max=16, cell=0.8, heights=(0.0, 1.0))
HW2 = load_rig("hw2")


def rays_of_map(camera: Camera, rig: Rig) -> np.ndarray:
    """Ego rays (height, width, 3) of the pixels of the camera's scene map on the rig's canvas."""
    size, own, stride = canvas(rig.cameras, MODEL), MODEL.bucket(camera.bucket), 4
    box = Letterbox.fit(camera.lens.width, camera.lens.height, own.width, own.height)
    columns, rows = np.meshgrid(np.arange(size.width // stride), np.arange(size.height // stride))
    pixels = np.stack([columns, rows], -1) * stride + (stride - 1) / 2
    return camera.unproject(box.inverse(pixels))


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_the_ray_of_the_looked_up_pixel_meets_the_point(seed: int):
    rig = random_rig(np.random.default_rng(seed), HW2)
    lookup, points = rig_lookup(rig.cameras, MODEL, SPEC), SPEC.points()
    values, size = lookup.values, canvas(rig.cameras, MODEL)
    assert (values[..., 2] <= MOST_PIXELS).all() and np.isfinite(values).all()
    for place, camera in enumerate(rig):
        _, visible = camera.project(points)
        # The camera's own looks: one in each cell that it sees.
        own_looks = np.where((lookup.cameras == place)[:, None, ..., None], values, 0)
        found = own_looks.sum(axis=0)
        assert np.array_equal(found[..., 2] > 0, visible)
        found[..., 1] = (found[..., 1] + 1) * len(rig) - 2 * place - 1
        own = MODEL.bucket(camera.bucket)
        box = Letterbox.fit(camera.lens.width, camera.lens.height, own.width, own.height)
        pixels = (found[visible][:, :2] + 1) / 2 * (size.width, size.height) - 0.5
        # Nothing outside the camera's own part of the canvas, not even by interpolation.
        first, last = 1.5, np.array([own.width, own.height]) - 2.5
        assert (pixels >= first - 1e-3).all() and (pixels <= last + 1e-3).all()
        inner = ((pixels > first + 0.01) & (pixels < last - 0.01)).all(axis=-1)
        rays = camera.unproject(box.inverse(pixels[inner]))
        away = points[visible][inner] - camera.ego_from_camera[:3, 3]
        apart = np.linalg.norm(np.cross(rays, away), axis=-1) / np.linalg.norm(away, axis=-1)
        assert (apart < 2e-3).all()


def stripes(points: np.ndarray) -> np.ndarray:
    """A pattern that tells every place and direction: True is drivable."""
    return (np.floor(points[..., 0] / 4) + np.floor(points[..., 1] / 6)) % 2 == 0


def paint(rig: Rig) -> torch.Tensor:
    """Scene logits of each camera of a flat world painted in `stripes`, the rest sky."""
    maps = []
    for camera in rig:
        rays, origin = rays_of_map(camera, rig), camera.ego_from_camera[:3, 3]
        with np.errstate(all="ignore"):
            ground = origin + rays * (-origin[2] / rays[..., 2:])
        down = rays[..., 2] < 0
        names = np.where(down, np.where(stripes(np.nan_to_num(ground)), 0, 1), 8)
        maps.append(np.eye(len(SPEC.scene_classes))[names].transpose(2, 0, 1) * 20)
    return torch.tensor(np.stack(maps), dtype=torch.float32)


def agreement(rig: Rig, painted: Rig) -> float:
    """Share of the cells near the vehicle where what `rig` looks up is what lies there."""
    head, lookup = SurroundHead(SPEC), rig_lookup(rig.cameras, MODEL, SPEC).values
    seen = head.look_up(paint(painted), torch.from_numpy(lookup)).numpy()[:, 0, 0]
    weight = lookup[:, 0, :, :, 2]
    drivable = (seen * weight).sum(0) / np.maximum(weight.sum(0), 1e-6)
    places = SPEC.points()[0]
    known = (weight.sum(0) > 0.3) & (np.linalg.norm(places[..., :2], axis=-1) < 12)
    assert known.sum() > 300
    return float(((drivable > 0.5) == stripes(places))[known].mean())


def test_a_painted_ground_is_seen_again():
    assert agreement(HW2, HW2) > 0.93


def test_a_wrong_rig_sees_another_ground():
    turned = [
        replace(camera, ego_from_camera=_turned(camera.ego_from_camera, 20)) for camera in HW2
    ]
    assert agreement(Rig("turned", tuple(turned)), HW2) < 0.8
    left, right = HW2["left_pillar"], HW2["right_pillar"]
    swapped = {"left_pillar": right, "right_pillar": left}
    cameras = [
        replace(camera, ego_from_camera=swapped.get(camera.name, camera).ego_from_camera)
        for camera in HW2
    ]
    assert agreement(Rig("swapped", tuple(cameras)), HW2) < agreement(HW2, HW2) - 0.1


def _turned(pose: np.ndarray, degrees: float) -> np.ndarray:
    turn = ego_from_camera((0, 0, 0), np.radians(degrees), 0, 0) @ np.linalg.inv(
        ego_from_camera((0, 0, 0), 0, 0, 0)
    )
    turned = pose.copy()
    turned[:3, :3] = turn[:3, :3] @ pose[:3, :3]
    return turned


def test_a_camera_of_an_unknown_bucket_is_named():
    with pytest.raises(Exception, match="bucket 'huge'"):
        rig_lookup([replace(HW2["main"], bucket="huge")], MODEL, SPEC)


def test_random_rigs_differ_and_see_the_ground():
    rng = np.random.default_rng(0)
    rigs = [random_rig(rng, HW2) for _ in range(60)]
    assert {len(rig) for rig in rigs} >= {3, 5, 7}
    poses = {camera.ego_from_camera.tobytes() for rig in rigs for camera in rig}
    assert len(poses) == sum(len(rig) for rig in rigs)
    # Most look ahead of the bonnet; a rig that was made from few cameras may see little.
    looks = [rig_lookup(rig.cameras, MODEL, SPEC).values for rig in rigs]
    seen = [values[:, 0, :, :, 2].any(axis=0).mean() for values in looks]
    assert np.median(seen) > 0.5
