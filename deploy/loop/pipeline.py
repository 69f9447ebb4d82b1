"""The loop: one frame set in, what the cameras saw together out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calib.rig import Rig
from deploy.errors import EngineError
from deploy.health.camera import CameraHealth, RigMonitor
from deploy.health.system import SystemHealth
from deploy.loop.decode import CameraResult, Decoder, not_finite
from deploy.loop.ego_map import EgoMap
from deploy.loop.engine import Engine, Outputs, Pending
from deploy.loop.frames import EncodedSet, FrameDecoder, FrameSet
from deploy.loop.fuse import Fuser
from deploy.loop.ground_memory import GroundMemory
from deploy.loop.preprocess import Batch, make_batches
from deploy.loop.surround import Surround, SurroundMap
from deploy.loop.timing import StageTimer
from deploy.loop.track import Tracker


@dataclass(frozen=True)
class TickResult:
    """One tick. `cameras` has an entry for every camera that the network gave a result for;
    `repeated` names those whose previous frame was missing, which matters to a network of two
    frames only. `failed`: why the network gave none for a frame that was ok. `stages_ms`: wall
    time by stage, with the real-time clock only. `system`: health of the machine, live only.
    `surround`: the learned grid, where one is asked for."""

    frames: FrameSet
    cameras: dict[str, CameraResult]
    ego: EgoMap
    repeated: frozenset[str]
    health: Mapping[str, CameraHealth] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    stages_ms: Mapping[str, float] | None = None
    system: SystemHealth | None = None
    surround: SurroundMap | None = None

    @property
    def fit_cameras(self) -> dict[str, CameraResult]:
        """The results that a map may be made of: none of a camera that its health rules out."""
        unfit = {name for name, health in self.health.items() if not health.fit}
        return {name: result for name, result in self.cameras.items() if name not in unfit}


class Pipeline:
    """Everything between the log and the sinks, set up once per rig and model.

    One engine call per bucket of the rig: `hw2` runs as two batches of four.

    `surround`: a learned head, whose grid is made beside the map. `keep_going`: an engine that
    fails costs its cameras this tick instead of the run.

    Raises PerceptionError when the rig needs a bucket or a class that the model does not have.
    """

    def __init__(
        self,
        rig: Rig,
        engine: Engine,
        timer: StageTimer | None = None,
        *,
        surround: Surround | None = None,
        keep_going: bool = False,
    ) -> None:
        self.rig = rig
        self.engine = engine
        self.timer = timer or StageTimer()
        self.batches = make_batches(rig, engine.spec, allocate=engine.allocate)
        self.fuser = Fuser(rig, self.batches, engine.spec)
        self._tracker = Tracker()
        self._memory = GroundMemory(self.fuser.grid)
        self._images = FrameDecoder(rig)
        self._monitor = RigMonitor(rig)
        self._surround = surround
        self._keep_going = keep_going
        self._decoder = Decoder(engine.spec)

    def tick(
        self,
        encoded: EncodedSet,
        world_from_ego: NDArray[np.float64] | None = None,
        bad_calibration: Mapping[str, str] | None = None,
    ) -> TickResult:
        """Run one frame set through all stages. `world_from_ego` (4, 4): where the vehicle is,
        if known; then velocities are over the ground, and what the ground was a moment ago is
        remembered. `bad_calibration`: what a calibration check holds against a camera, by its
        name.

        Raises EngineError when the network fails, unless told to keep going; a camera that fails
        costs its own frame only.
        """
        with self.timer.stage("decode_image"):
            frames = self._images.decode(encoded)
            health = self._monitor.update(frames, bad_calibration)
        results: dict[str, CameraResult] = {}
        failed: dict[str, str] = {}
        repeated: frozenset[str] = frozenset()
        with self.timer.stage("preprocess"):
            for batch in self.batches:
                repeated |= batch.fill(frames)
        with self.timer.stage("engine"):
            outputs = self._infer(frames, failed)
        with self.timer.stage("decode"):
            for batch, arrays in outputs:
                for name, slot in _delivered(batch, frames).items():
                    if output := not_finite(arrays, slot):
                        failed[name] = f"output '{output}' of the network is not finite"
                        continue
                    letterbox = batch.letterboxes[name]
                    results[name] = self._decoder.decode(arrays, slot, name, letterbox)
        with self.timer.stage("fuse"):
            in_rig_order = {name: results[name] for name in self.rig.names if name in results}
            ego = self.fuser.fuse(
                {name: result for name, result in in_rig_order.items() if health[name].fit},
                lambda things: self._tracker.update(things, frames.stamp_ns, world_from_ego),
                lambda now, hidden: self._memory.add(now, hidden, frames.stamp_ns, world_from_ego),
            )
        result = TickResult(frames, in_rig_order, ego, repeated, health, failed)
        if self._surround:
            with self.timer.stage("surround"):
                result = replace(result, surround=self._surround.see(result.fit_cameras))
        return result

    def _infer(self, frames: FrameSet, failed: dict[str, str]) -> list[tuple[Batch, Outputs]]:
        """Outputs of every batch; cameras of one that fails are added to `failed`.

        All are submitted before one is waited for, and nothing else is done meanwhile: on a CPU
        other stages would only take the engine's cores, and their times would mean nothing.
        """
        pending: list[tuple[Batch, Pending]] = []
        done: list[tuple[Batch, Outputs]] = []

        def lost(batch: Batch, error: EngineError) -> None:
            if not self._keep_going:
                raise error
            failed.update((name, str(error)) for name in _delivered(batch, frames))

        for batch in self.batches:
            try:
                pending.append((batch, self.engine.submit(batch.images)))
            except EngineError as error:
                lost(batch, error)
        for batch, call in pending:
            try:
                done.append((batch, call.result()))
            except EngineError as error:
                lost(batch, error)
        return done


def _delivered(batch: Batch, frames: FrameSet) -> dict[str, int]:
    """Cameras of the batch whose frame is ok, and their slots."""
    slots = {camera.name: slot for slot, camera in enumerate(batch.cameras)}
    return {name: slot for name, slot in slots.items() if frames.frames[name].status == "ok"}
