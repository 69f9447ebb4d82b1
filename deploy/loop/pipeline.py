"""The loop: one frame set in, what the cameras saw together out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.rig import Rig
from deploy.loop.decode import CameraResult, Decoder
from deploy.loop.ego_map import EgoMap
from deploy.loop.engine import Engine
from deploy.loop.frames import EncodedSet, FrameDecoder, FrameSet
from deploy.loop.fuse import Fuser
from deploy.loop.preprocess import make_batches
from deploy.loop.surround import SurroundMap
from deploy.loop.timing import StageTimer
from deploy.loop.track import Tracker


@dataclass(frozen=True)
class TickResult:
    """One tick. `cameras` has an entry for every camera whose frame is ok; `repeated` names those
    whose previous frame was missing, which matters to a network of two frames only. `surround`: the
    learned grid, where one is asked for."""

    frames: FrameSet
    cameras: dict[str, CameraResult]
    ego: EgoMap
    repeated: frozenset[str]
    surround: SurroundMap | None = None


class Pipeline:
    """Everything between the log and the sinks, set up once per rig and model.

    One engine call per bucket of the rig: `hw2` runs as two batches of four.

    Raises PerceptionError when the rig needs a bucket or a class that the model does not have.
    """

    def __init__(self, rig: Rig, engine: Engine, timer: StageTimer | None = None) -> None:
        self.rig = rig
        self.engine = engine
        self.timer = timer or StageTimer()
        self.batches = make_batches(rig, engine.spec)
        self.fuser = Fuser(rig, self.batches, engine.spec)
        self._tracker = Tracker()
        self._images = FrameDecoder(rig)
        self._decoder = Decoder(engine.spec)

    def tick(
        self, encoded: EncodedSet, world_from_ego: NDArray[np.float64] | None = None
    ) -> TickResult:
        """Run one frame set through all stages. `world_from_ego` (4, 4): where the vehicle is,
        if known; then velocities are over the ground.

        Raises EngineError when the network fails; a camera that fails costs its own frame only.
        """
        with self.timer.stage("decode_image"):
            frames = self._images.decode(encoded)
        results: dict[str, CameraResult] = {}
        repeated: frozenset[str] = frozenset()
        for batch in self.batches:
            with self.timer.stage("preprocess"):
                repeated |= batch.fill(frames)
            with self.timer.stage("engine"):
                outputs = self.engine.infer(batch.images)
            with self.timer.stage("decode"):
                for slot, camera in enumerate(batch.cameras):
                    if frames.frames[camera.name].status == "ok":
                        letterbox = batch.letterboxes[camera.name]
                        name = camera.name
                        results[name] = self._decoder.decode(outputs, slot, name, letterbox)
        with self.timer.stage("fuse"):
            in_rig_order = {name: results[name] for name in self.rig.names if name in results}
            ego = self.fuser.fuse(
                in_rig_order,
                lambda seen: self._tracker.update(seen, frames.stamp_ns, world_from_ego),
            )
        return TickResult(frames, in_rig_order, ego, repeated)
