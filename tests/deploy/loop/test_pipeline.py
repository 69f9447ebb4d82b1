"""The loop as a whole, with a real engine on drawn pictures that differ in every camera."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from calib.rig import Rig
from deploy.errors import EngineError
from deploy.log.reader import EncodedImage
from deploy.loop.engine import Computed, Engine, Outputs, Pending, load_engine
from deploy.loop.frames import EncodedSet
from deploy.loop.histogram import RELATIVE_ERROR
from deploy.loop.pipeline import Pipeline, TickResult

Images = dict[str, bytes]


@pytest.fixture(scope="module")
def engine(model: Path) -> Engine:
    return load_engine(model)


def run(rig: Rig, engine: Engine, *ticks: Images) -> list[TickResult]:
    pipeline = Pipeline(rig, engine)
    results = []
    for index, images in enumerate(ticks):
        encoded = {n: EncodedImage(n, index, data, "jpeg") for n, data in images.items()}
        results.append(pipeline.tick(EncodedSet(index, index, encoded, frozenset())))
    return results


def bytes_of(result: TickResult, camera: str) -> tuple[bytes, ...]:
    seen = result.cameras[camera]
    maps = seen.scene.tobytes(), seen.drivable.tobytes(), seen.ground.tobytes()
    return (*maps, repr(seen.objects).encode())


def test_it_sees_the_drawn_world(rig: Rig, engine: Engine, ticks: list[Images]):
    (result,) = run(rig, engine, ticks[0])
    assert list(result.cameras) == list(rig.names)
    ego = result.ego
    y = ego.grid.centres()[..., 1]
    x = ego.grid.centres()[..., 0]
    near = ego.seen & (np.abs(x) < 12)
    assert ((ego.drivable > 0.5) == (np.abs(y) < 5.5))[
        near & (np.abs(np.abs(y) - 5.5) > 0.5)
    ].mean() > 0.97
    people = [t for t in ego.objects if t.label == "pedestrian"]
    assert any(np.hypot(t.x - 7.0, t.y - 6.0) < 2.5 for t in people)


def test_one_engine_call_per_bucket(rig: Rig, engine: Engine, ticks: list[Images]):
    asked, answered = [], []

    class Counting(Engine):
        spec = engine.spec

        def submit(self, images: np.ndarray) -> Pending:
            asked.append(images.shape)
            call = engine.submit(images)

            class Counted(Pending):
                def result(self) -> Outputs:
                    assert len(asked) == 2, "both are under way before one is waited for"
                    answered.append(images.shape)
                    return call.result()

            return Counted()

    run(rig, Counting(), ticks[0])
    assert asked == answered == [(4, 3, 480, 640), (4, 3, 240, 320)]


@pytest.mark.parametrize("dead", ["main", "left_repeater"])
def test_a_dead_camera_changes_no_byte_of_the_others(
    rig: Rig, engine: Engine, ticks: list[Images], dead: str
):
    healthy = run(rig, engine, *ticks[:2])
    without = {name: data for name, data in ticks[1].items() if name != dead}
    hurt = run(rig, engine, ticks[0], without)
    assert dead not in hurt[1].cameras
    assert hurt[1].frames.frames[dead].status == "missing"
    for name in without:
        assert bytes_of(hurt[1], name) == bytes_of(healthy[1], name)


def test_a_corrupt_camera_changes_no_byte_of_the_others(
    rig: Rig, engine: Engine, ticks: list[Images]
):
    (healthy,) = run(rig, engine, ticks[0])
    (hurt,) = run(rig, engine, ticks[0] | {"wide": ticks[0]["wide"][:4000]})
    assert hurt.frames.frames["wide"].status == "corrupt"
    for name in hurt.cameras:
        assert bytes_of(hurt, name) == bytes_of(healthy, name)
    assert len(hurt.cameras) == 7


def test_swapped_cameras_are_noticed(rig: Rig, engine: Engine, ticks: list[Images]):
    """Each camera's result follows its own picture, and the map shows the mistake."""
    images = ticks[0]
    swap = {"left_pillar": images["right_pillar"], "right_pillar": images["left_pillar"]}
    (right,) = run(rig, engine, images)
    (wrong,) = run(rig, engine, images | swap)
    all_bytes = [bytes_of(right, name) for name in rig.names]
    assert len(set(all_bytes)) == len(rig)
    assert bytes_of(wrong, "left_pillar")[0] == bytes_of(right, "right_pillar")[0]
    assert bytes_of(wrong, "left_pillar") != bytes_of(right, "left_pillar")
    assert bytes_of(wrong, "main") == bytes_of(right, "main")
    assert wrong.ego.objects != right.ego.objects


def test_changed_input_changes_output(rig: Rig, engine: Engine, ticks: list[Images]):
    first, second = run(rig, engine, *ticks[:2])
    for name in rig.names:
        assert bytes_of(first, name) != bytes_of(second, name)


def test_a_rig_of_one_camera(rig: Rig, engine: Engine, ticks: list[Images]):
    alone = Rig("alone", (rig["main"],))
    (result,) = run(alone, engine, {"main": ticks[0]["main"]})
    (together,) = run(rig, engine, ticks[0])
    assert bytes_of(result, "main")[0] == bytes_of(together, "main")[0]


def test_every_stage_is_timed(rig: Rig, engine: Engine, ticks: list[Images]):
    pipeline = Pipeline(rig, engine)
    encoded = {n: EncodedImage(n, 0, data, "jpeg") for n, data in ticks[0].items()}
    pipeline.tick(EncodedSet(0, 0, encoded, frozenset()))
    pipeline.timer.end_tick()
    summary = pipeline.timer.summary()
    assert list(summary) == ["decode_image", "preprocess", "engine", "decode", "fuse", "tick"]
    assert all(values["p50"] > 0 for values in summary.values())
    total = sum(values["p50"] for name, values in summary.items() if name != "tick")
    assert summary["tick"]["p50"] == pytest.approx(total, rel=2 * RELATIVE_ERROR)


class Spoiling(Engine):
    """The engine, with `value` in one slot of one output of each batch of `cameras`."""

    def __init__(self, engine: Engine, output: str, slot: int, value: float, batch: int) -> None:
        self._engine = engine
        self._output, self._slot, self._value, self._batch = output, slot, value, batch
        self.spec, self.name, self.threads = engine.spec, engine.name, engine.threads
        self.metadata = engine.metadata

    def submit(self, images: np.ndarray) -> Pending:
        outputs = self._engine.infer(images)
        if images.shape[-1] == self._batch:
            outputs[self._output][self._slot].flat[7] = self._value
        return Computed(outputs)


@pytest.mark.parametrize(
    ("output", "value"),
    [("scene", np.nan), ("scene", -np.inf), ("scores", np.nan), ("boxes", np.inf)],
)
def test_a_network_that_gives_no_numbers_costs_that_camera_only(
    rig: Rig, engine: Engine, ticks: list[Images], output: str, value: float
):
    (healthy,) = run(rig, engine, ticks[0])
    (hurt,) = run(rig, Spoiling(engine, output, 1, value, 640), ticks[0])
    large = [camera.name for camera in rig if camera.bucket == "large"]
    assert set(hurt.failed) == {large[1]} and output in hurt.failed[large[1]]
    assert set(hurt.cameras) == set(rig.names) - {large[1]}
    for name in hurt.cameras:
        assert bytes_of(hurt, name) == bytes_of(healthy, name)
    assert np.isfinite(hurt.ego.drivable).all()
    without = {name: data for name, data in ticks[0].items() if name != large[1]}
    (blind,) = run(rig, engine, without)
    assert hurt.ego.seen.tobytes() == blind.ego.seen.tobytes()  # as if it had no image, not worse
    assert hurt.ego.drivable.tobytes() == blind.ego.drivable.tobytes()


def test_an_engine_that_throws_costs_its_batch_when_told_to_keep_going(
    rig: Rig, engine: Engine, ticks: list[Images]
):
    class Throwing(Spoiling):
        def submit(self, images: np.ndarray) -> Pending:
            if images.shape[-1] == 640:
                raise EngineError("out of memory")
            return engine.submit(images)

    throwing = Throwing(engine, "", 0, 0, 0)
    encoded = {n: EncodedImage(n, 0, data, "jpeg") for n, data in ticks[0].items()}
    frames = EncodedSet(0, 0, encoded, frozenset())
    with pytest.raises(EngineError, match="out of memory"):
        Pipeline(rig, throwing).tick(frames)
    result = Pipeline(rig, throwing, keep_going=True).tick(frames)
    large = {camera.name for camera in rig if camera.bucket == "large"}
    assert set(result.failed) == large and set(result.failed.values()) == {"out of memory"}
    assert set(result.cameras) == set(rig.names) - large


def test_a_blind_camera_is_kept_off_the_map(rig: Rig, engine: Engine, ticks: list[Images]):
    noise = np.random.default_rng(0).integers(0, 4, (960, 1280, 3), np.uint8)
    black = cv2.imencode(".jpg", noise)[1].tobytes()
    (hurt,) = run(rig, engine, ticks[0] | {"main": black})
    (without,) = run(rig, engine, {n: d for n, d in ticks[0].items() if n != "main"})
    assert hurt.health["main"].state == "blind" and "main" in hurt.cameras
    assert hurt.fit_cameras.keys() == without.cameras.keys()
    assert hurt.ego.seen.tobytes() == without.ego.seen.tobytes()
