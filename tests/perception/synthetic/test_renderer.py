"""Pictures and truth agree with each other and with calib's geometry, which knows no renderer."""

from copy import copy

import moderngl
import numpy as np
import pytest

from calib.rig import Camera, Rig
from perception.errors import PerceptionError
from perception.synthetic.mesh import FIRST_INSTANCE
from perception.synthetic.renderer import Renderer, RenderError, View
from perception.synthetic.truth import MAX_OCCLUSION, MIN_HEIGHT, ObjectTruth
from perception.synthetic.world import World
from perception.taxonomy import IGNORE, SCENE_CLASSES

DRIVABLE, SKY = SCENE_CLASSES.index("drivable"), SCENE_CLASSES.index("sky")
T = 1.0
CAMERAS = ("main", "wide", "left_pillar", "right_repeater", "rear")  # both lens models


@pytest.fixture(scope="module")
def views(renderer: Renderer, busy: World, hw2: Rig) -> dict[str, View]:
    return {name: renderer.render(busy, hw2[name], T) for name in CAMERAS}


def ego_points(view: View, camera: Camera | None = None) -> np.ndarray:
    """(H, W, 3) what each pixel sees, ego frame, from depth and calib alone."""
    assert view.depth is not None
    camera = camera or view.camera
    y, x = np.mgrid[: view.depth.shape[0], : view.depth.shape[1]].astype(float)
    rays = camera.lens.unproject(np.stack([x, y], axis=2))
    with np.errstate(invalid="ignore"):
        points = rays / rays[..., 2:] * view.depth[..., None]
        return points @ camera.ego_from_camera[:3, :3].T + camera.ego_from_camera[:3, 3]


def in_box(points: np.ndarray, truth: ObjectTruth, slack: float) -> np.ndarray:
    """Which of the ego-frame points (n, 3) lie in the 3D box, grown by `slack` metres."""
    c, s = np.cos(truth.yaw), np.sin(truth.yaw)
    local = (points - truth.position) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    length, width, height = truth.size
    beside = np.abs(local[:, :2]) <= np.array([length, width]) / 2 + slack
    return beside.all(1) & (local[:, 2] >= -slack) & (local[:, 2] <= height + slack)


@pytest.mark.parametrize("name", CAMERAS)
def test_depth_of_road_lies_on_the_ground_plane(views: dict[str, View], name: str) -> None:
    road = views[name].labels == DRIVABLE
    height = ego_points(views[name])[road][:, 2]
    assert len(height) > 5000
    assert np.percentile(np.abs(height), 99) < 0.02


def test_wrong_camera_puts_the_road_elsewhere(views: dict[str, View], hw2: Rig) -> None:
    view = views["left_pillar"]
    points = ego_points(view, hw2["right_repeater"])
    assert np.percentile(np.abs(points[view.labels == DRIVABLE][:, 2]), 50) > 0.05


@pytest.mark.parametrize("name", CAMERAS)
def test_pixels_of_objects_lie_in_their_3d_boxes(views: dict[str, View], name: str) -> None:
    view = views[name]
    points = ego_points(view)
    big = [o for o in view.objects if (view.instances == o.instance).sum() > 100]
    assert big
    for truth in big:
        inside = in_box(points[view.instances == truth.instance], truth, 0.3)  # 0.3: mirrors
        assert inside.mean() > 0.98, truth
        turned = ObjectTruth(**{**vars(truth), "position": (0.0, 0.0, 0.0)})
        assert not in_box(points[view.instances == truth.instance], turned, 0.3).any()


@pytest.mark.parametrize("name", CAMERAS)
def test_boxes_bound_the_masks_and_ground_points_are_projections(
    views: dict[str, View], name: str
) -> None:
    view = views[name]
    assert {o.instance for o in view.objects} == set(np.unique(view.instances)) - {0}
    for truth in view.objects:
        rows, columns = np.nonzero(view.instances == truth.instance)
        expected = (columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5)
        assert truth.box == expected
        assert set(view.labels[rows, columns]) == {SCENE_CLASSES.index(truth.kind)}
        low = truth.box[3] - truth.box[1] < MIN_HEIGHT
        assert truth.ignore == (low or truth.occlusion > MAX_OCCLUSION)
        from_ego = np.linalg.inv(view.camera.ego_from_camera)
        point = from_ego[:3, :3] @ truth.position + from_ego[:3, 3]
        pixel, _ = view.camera.lens.project(point)
        assert np.allclose(pixel, truth.ground_point, equal_nan=True)


def test_road_lies_ahead_and_sky_above(views: dict[str, View]) -> None:
    labels = views["main"].labels
    height, width = labels.shape
    ahead = labels[int(height * 0.9), width // 2 - 60 : width // 2 + 60]
    assert (ahead == DRIVABLE).mean() > 0.8
    for view in views.values():
        assert view.depth is not None
        sky = view.labels == SKY
        assert sky.any() and np.isinf(view.depth[sky]).all()
        assert np.isfinite(view.depth[~sky & (view.labels != IGNORE)]).all()


def test_every_camera_sees_something_else(renderer: Renderer, world: World, hw2: Rig) -> None:
    left = renderer.render(world, hw2["left_pillar"], T, depth=False).image
    right = renderer.render(world, hw2["right_pillar"], T, depth=False).image
    again = renderer.render(world, hw2["left_pillar"], T, depth=False).image
    assert np.array_equal(left, again)
    assert np.abs(left.astype(int) - right).mean() > 5
    assert np.abs(left.astype(int) - right[:, ::-1]).mean() > 5


def test_pictures_move_with_time(renderer: Renderer, world: World, hw2: Rig) -> None:
    first = renderer.render(world, hw2["left_repeater"], T, depth=False).image.astype(int)
    soon = renderer.render(world, hw2["left_repeater"], T + 0.02, depth=False).image
    later = renderer.render(world, hw2["left_repeater"], T + 2.0, depth=False).image
    assert 0 < np.abs(first - soon).mean() < np.abs(first - later).mean()


def test_occlusion_compares_with_the_object_drawn_alone(
    renderer: Renderer, busy: World, hw2: Rig, views: dict[str, View]
) -> None:
    name = "left_pillar"
    objects = [o for o in views[name].objects if (views[name].instances == o.instance).sum() > 150]
    assert objects
    for truth in objects:
        alone = _only(busy, truth.instance)
        mask = renderer.render(alone, hw2[name], T, depth=False, boxes=False).instances
        seen = (views[name].instances == truth.instance).sum()
        exact = 1 - seen / (mask == truth.instance).sum()
        assert truth.occlusion == pytest.approx(exact, abs=0.08), truth


def _only(world: World, instance: int) -> World:
    """The same world without all that could hide one object."""
    bare = copy(world)
    bare.ground = world.ground[:1]
    tiny = world.static[0].copy()
    tiny["position"] = (0, 0, -50)
    bare.static = [m for m in world.static if m["id"][0] == instance] or [tiny]
    everything = world.at

    def at(t: float) -> object:
        state = everything(t)
        kept = [a for a in state.actors if a.instance == instance]
        return type(state)(state.world_from_ego, kept)

    bare.at = at  # type: ignore[method-assign, assignment]
    return bare


def test_ids_start_after_the_scene_classes() -> None:
    assert len(SCENE_CLASSES) <= FIRST_INSTANCE


def test_machine_without_egl_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise Exception("libEGL.so not loaded\nmore")

    monkeypatch.setattr(moderngl, "create_context", fail)
    with pytest.raises(RenderError) as caught:
        Renderer()
    assert isinstance(caught.value, PerceptionError)
    assert "libegl1" in str(caught.value) and "\n" not in str(caught.value)
