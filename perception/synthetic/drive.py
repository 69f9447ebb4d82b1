"""A drive: the instants of one world in order, every camera at each, encoded as a car would."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Literal

import cv2
import numpy as np

from calib.rig import Rig
from perception.synthetic.birds_eye import BirdsEyeTruth
from perception.synthetic.light import random_exposure
from perception.synthetic.renderer import Renderer
from perception.synthetic.truth import ObjectTruth
from perception.synthetic.world import World

ImageFormat = Literal["jpeg", "webp"]


@dataclass(frozen=True)
class Shot:
    """One encoded image; `labels` is a png of scene class indices, None without truth."""

    image: bytes
    labels: bytes | None
    objects: list[ObjectTruth]


@dataclass(frozen=True)
class Instant:
    """All cameras of a rig at `t` seconds, by name. world_from_ego: (4, 4), metres. `drivable`:
    the ground from above as BirdsEyeTruth gives it, None without truth."""

    t: float
    world_from_ego: np.ndarray
    shots: dict[str, Shot]
    drivable: np.ndarray | None


@dataclass(frozen=True)
class Drive:
    """What to render: equal drives give equal bytes, whatever the number of processes."""

    rig: Rig
    seed: int
    seconds: float
    rate_hz: float
    truth: bool = False
    format: ImageFormat = "jpeg"
    quality: int = 75

    @property
    def count(self) -> int:
        """Instants: the first at 0, the last before `seconds`."""
        return max(1, round(self.seconds * self.rate_hz))


def instants(drive: Drive, workers: int = 2) -> Iterator[Instant]:
    """Render the instants of `drive` in order; at most a few are in memory.

    Raises RenderError when the machine has no EGL.
    """
    # Fresh processes: an OpenGL context does not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), start_worker) as pool:
        waiting: deque[Future[Instant]] = deque()
        for index in range(drive.count):
            waiting.append(pool.submit(_render, drive, index))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def start_worker() -> None:
    """Set up one rendering process: the rasteriser's and OpenCV's own threads would only compete
    with the other processes."""
    os.environ["LP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)


_stage: tuple[Renderer, World, BirdsEyeTruth] | None = (
    None  # of this worker; a pool serves one drive
)


def _render(drive: Drive, index: int) -> Instant:
    global _stage
    if _stage is None:
        world = World(drive.seed, drive.seconds)
        _stage = Renderer(), world, BirdsEyeTruth(world)
    renderer, world, above = _stage
    t = index / drive.rate_hz
    shots = {}
    world_from_ego = np.eye(4)
    for number, camera in enumerate(drive.rig):
        # A camera keeps its look over the drive, only the noise is new in each frame.
        look = random_exposure(np.random.default_rng((drive.seed, number)), strong=False)
        noise = int(np.random.default_rng((drive.seed, number, index)).integers(2**31))
        exposure = replace(look, seed=noise)
        view = renderer.render(world, camera, t, exposure, depth=False, boxes=drive.truth)
        labels = _encoded(".png", view.labels, []) if drive.truth else None
        shots[camera.name] = Shot(_picture(drive, view.image), labels, view.objects)
        world_from_ego = view.world_from_ego
    drivable = above.drivable(world.at(t)) if drive.truth else None
    return Instant(t, world_from_ego, shots, drivable)


def _picture(drive: Drive, image: np.ndarray) -> bytes:
    if drive.format == "webp":
        return _encoded(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, drive.quality])
    return _encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, drive.quality])


def _encoded(suffix: str, image: np.ndarray, options: list[int]) -> bytes:
    _, data = cv2.imencode(suffix, image, options)
    return data.tobytes()
