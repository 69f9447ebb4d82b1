"""A folder of rounds: all cameras of a random rig at one instant of a random world, with truth.

Round k is the folder `00000k`: the rig with its lenses at network size, a picture for each camera,
and two pictures of the ground from straight above (BirdsEyeTruth): `drivable.png`, `vehicles.png`.
`perception/surround/rounds.py` reads it back.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from calib.rig import Rig, save_rig
from perception.errors import DatasetError
from perception.surround.rigs import random_rig
from perception.surround.rounds import at_network_size
from perception.synthetic.birds_eye import BirdsEyeTruth
from perception.synthetic.drive import start_worker
from perception.synthetic.light import random_exposure
from perception.synthetic.renderer import Renderer
from perception.synthetic.world import World

ROUNDS_PER_WORLD = 2
DURATION_S = 3.0
# A vehicle of which every camera sees fewer pixels than this is no truth to learn from.
LEAST_PIXELS = 20


def write_rounds(
    folder: Path,
    like: Rig,
    rounds: int,
    seed: int,
    workers: int = 2,
    on_done: Callable[[int], None] = lambda done: None,
) -> None:
    """Render `rounds` rounds into the new `folder`, half of their rigs made from `like`.

    Pictures are drawn at network size, which takes a third of the time of drawing them at the
    camera's and reducing them: here more worlds are worth more than finer edges.
    Equal arguments give equal bytes. A round is complete once its last file is there. `on_done`
    hears how many are finished.
    Raises DatasetError when the folder has content, RenderError without EGL.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder}: exists and is not empty; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        (folder, like, seed, first, min(ROUNDS_PER_WORLD, rounds - first))
        for first in range(0, rounds, ROUNDS_PER_WORLD)
    ]
    done = 0
    # Fresh processes: an OpenGL context does not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), start_worker) as pool:
        for count in pool.map(_render_world, tasks):
            done += count
            on_done(done)


_renderer: Renderer | None = None


def _render_world(task: tuple[Path, Rig, int, int, int]) -> int:
    global _renderer
    _renderer = _renderer or Renderer()
    folder, like, seed, first, count = task
    world = World((seed, first), DURATION_S)
    above = BirdsEyeTruth(world)
    rng = np.random.default_rng((seed, first, 1))
    for number in range(first, first + count):
        t = float(rng.uniform(0, DURATION_S))
        path = folder / f"{number:06d}"
        path.mkdir()
        cameras, seen = [], set[int]()
        for camera in map(at_network_size, random_rig(rng, like)):
            view = _renderer.render(
                world, camera, t, random_exposure(rng, strong=False), depth=False, boxes=False
            )
            instances, pixels = np.unique(view.instances, return_counts=True)
            seen |= set(instances[pixels >= LEAST_PIXELS].tolist())
            picture = str(path / f"{camera.name}.jpg")
            cv2.imwrite(picture, view.image, [cv2.IMWRITE_JPEG_QUALITY, 85])
            cameras.append(camera)
        save_rig(Rig("random", tuple(cameras)), path / "rig.yaml")
        state = world.at(t)
        cv2.imwrite(str(path / "drivable.png"), above.drivable(state).astype(np.uint8))
        cv2.imwrite(str(path / "vehicles.png"), above.vehicles(state, seen))
    return count
