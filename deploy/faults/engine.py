"""Faults of the engine: what it gives, or that it gives nothing."""

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from calib.rig import Rig
from deploy.errors import EngineError
from deploy.faults.images import Window
from deploy.loop.engine import Computed, Engine, Outputs
from deploy.loop.frames import EncodedSet

Spoil = Callable[[Outputs, int], None]
"""Changes the outputs of one camera, whose slot in the batch is given."""


class FaultyEngine(Engine):
    """`engine` with a fault for the window's cameras. `watch` tells it what time it is."""

    def __init__(self, engine: Engine, rig: Rig, spoil: Spoil, window: Window) -> None:
        self._engine, self._spoil, self._window = engine, spoil, window
        buckets = dict.fromkeys(camera.bucket for camera in rig)
        self._slots = {}
        for bucket in buckets:
            size = engine.spec.bucket(bucket)
            names = [camera.name for camera in rig if camera.bucket == bucket]
            slots = [names.index(name) for name in window.cameras if name in names]
            self._slots[size.height, size.width] = slots
        self._now_ns = 0
        self.spec, self.metadata = engine.spec, engine.metadata
        self.name, self.threads = engine.name, engine.threads

    def watch(self, sets: Iterable[EncodedSet]) -> Iterator[EncodedSet]:
        """Pass the sets on; the one last passed is the one the engine runs on."""
        for encoded in sets:
            self._now_ns = encoded.stamp_ns
            yield encoded

    def submit(self, images: NDArray[np.float32]) -> Computed:
        """See `Engine.submit`."""
        start = time.perf_counter()
        outputs = self._engine.infer(images)
        slots = self._slots[images.shape[2], images.shape[3]]
        if slots and self._window.start_ns <= self._now_ns < self._window.end_ns:
            outputs = {name: values.copy() for name, values in outputs.items()}
            for slot in slots:
                self._spoil(outputs, slot)
            if self._spoil is slow:
                time.sleep(4 * (time.perf_counter() - start))
        return Computed(outputs)


def filled(output: str, value: float) -> Spoil:
    """Some of the numbers of `output` are `value`."""

    def spoil(outputs: Outputs, slot: int) -> None:
        outputs[output][slot].flat[::97] = value

    return spoil


def throws(outputs: Outputs, slot: int) -> None:
    raise EngineError("injected: the engine gives up")


def slow(outputs: Outputs, slot: int) -> None:
    """Nothing is wrong with the outputs; each call takes five times as long."""
