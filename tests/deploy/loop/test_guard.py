"""The guard: an engine that hangs or throws costs a tick, and works again when it comes back."""

import threading
import time

import numpy as np
import pytest

from deploy.errors import EngineError
from deploy.loop.engine import Computed, Engine
from deploy.loop.guard import GuardedEngine
from perception.spec import PRESETS

IMAGES = np.zeros((1, 3, 8, 8), np.float32)


class Told(Engine):
    """Does what it is told in each call."""

    spec, metadata, name, threads = PRESETS["nano"], {}, "told", 1

    def __init__(self) -> None:
        self.release = threading.Event()
        self.told = "work"

    def submit(self, images: np.ndarray) -> Computed:
        if self.told == "hang":
            self.release.wait(30)
        if self.told == "throw":
            raise RuntimeError("CUDA error 700")
        return Computed({"scene": images + 1})


def test_it_passes_results_through():
    assert (GuardedEngine(Told()).infer(IMAGES)["scene"] == 1).all()


def test_whatever_is_thrown_is_an_engine_error():
    engine = Told()
    engine.told = "throw"
    with pytest.raises(EngineError, match="CUDA error 700"):
        GuardedEngine(engine).infer(IMAGES)


def test_a_call_that_hangs_is_left_and_others_fail_at_once_until_it_comes_back():
    engine = Told()
    guarded = GuardedEngine(engine, limit_s=0.05)
    engine.told = "hang"
    with pytest.raises(EngineError, match=r"within 0\.05 s"):
        guarded.infer(IMAGES)
    assert guarded.hangs
    with pytest.raises(EngineError, match="still hangs"):
        guarded.infer(IMAGES)
    engine.told = "work"
    engine.release.set()
    for _ in range(500):
        if not guarded.hangs:
            break
        time.sleep(0.01)
    assert (guarded.infer(IMAGES)["scene"] == 1).all()
