"""A training folder: random worlds, every camera of a rig equally often, truth for each view.

The layout is read back by perception/data/synthetic.py. Every eight-camera round of every world
has its own look, and each view its own camera faults and a slightly misplaced camera.
"""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from calib.rig import Camera, Rig
from perception.errors import DatasetError
from perception.spec import PRESETS
from perception.synthetic.drive import start_worker
from perception.synthetic.light import random_exposure
from perception.synthetic.renderer import Renderer, View
from perception.synthetic.truth import MAX_OCCLUSION, MIN_HEIGHT
from perception.synthetic.world import World
from perception.taxonomy import OBJECT_CLASSES, SCENE_CLASSES

TIMES_PER_WORLD = 2
DURATION_S = 6.0
_PARTS = ("images", "labels", "previous")


def write_views(
    folder: Path,
    rig: Rig,
    views: int,
    seed: int,
    workers: int = 2,
    on_done: Callable[[int], None] = lambda done: None,
    frames: int = 1,
) -> dict[str, Any]:
    """Render `views` views of `rig` into `folder` and return the index that was written.

    With two `frames` each view has the frame that its camera took before it too. Pictures are
    rendered at the camera's own size and reduced to the nano preset's bucket as the runtime does.
    Equal arguments give equal bytes, whatever `workers` is. `on_done` hears how many
    views are finished. Raises DatasetError when the folder has content, RenderError without EGL.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder}: exists and is not empty; name a new folder")
    sizes = PRESETS["nano"].buckets
    for camera in rig:
        if camera.bucket not in sizes:
            raise DatasetError(
                f"camera '{camera.name}' feeds bucket '{camera.bucket}', but the nano preset has "
                f"{', '.join(sizes)}; correct the rig"
            )
    for name in _PARTS[: 1 + frames]:
        (folder / name).mkdir(parents=True, exist_ok=True)
    try:
        entries = _render(folder, rig, views, seed, workers, on_done, frames)
    except BaseException:  # Ctrl-C too: leave no folder that looks like a dataset
        for name in _PARTS:
            shutil.rmtree(folder / name, ignore_errors=True)
        raise
    index = {
        "seed": seed,
        "rig": rig.name,
        "scene_classes": list(SCENE_CLASSES),
        "object_classes": list(OBJECT_CLASSES),
        "views": entries,
    }
    unfinished = folder / "index.json.part"
    unfinished.write_text(json.dumps(index, separators=(",", ":")), encoding="utf-8")
    unfinished.replace(folder / "index.json")  # last: a folder with an index is complete
    return index


def _render(
    folder: Path,
    rig: Rig,
    views: int,
    seed: int,
    workers: int,
    on_done: Callable[[int], None],
    frames: int,
) -> list[dict[str, Any]]:
    per_world = TIMES_PER_WORLD * len(rig)
    tasks = [
        (folder, rig, seed, world, min(per_world, views - world * per_world), frames)
        for world in range((views + per_world - 1) // per_world)
    ]
    entries: list[dict[str, Any]] = []
    # Fresh processes: an OpenGL context does not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), start_worker) as pool:
        for part in pool.map(_render_world, tasks):
            entries += part
            on_done(len(entries))
    return entries


_renderer: Renderer | None = None


def _render_world(task: tuple[Path, Rig, int, int, int, int]) -> list[dict[str, Any]]:
    global _renderer
    _renderer = _renderer or Renderer()
    folder, rig, seed, index, count, frames = task
    world = World((seed, index), DURATION_S)
    rng = np.random.default_rng((seed, index, 1))
    times = np.sort(rng.uniform(0, DURATION_S, TIMES_PER_WORLD))
    entries = []
    for number in range(count):
        camera = _shaken(rig.cameras[number % len(rig)], rng)
        exposure = random_exposure(rng, strong=True)
        quality = int(rng.integers(55, 97))
        t = float(times[number // len(rig)])
        view = _renderer.render(world, camera, t, exposure, depth=False)
        name = f"{index * TIMES_PER_WORLD * len(rig) + number:06d}_{camera.name}"
        entry = _write(folder, name, view, index, quality)
        if frames == 2:
            entry["previous"] = f"previous/{name}.jpg"
            before = max(t - 1 / camera.rate_hz, 0.0)
            other_noise = replace(exposure, seed=exposure.seed + 1)
            view = _renderer.render(world, camera, before, other_noise, depth=False, boxes=False)
            _write_image(folder / entry["previous"], view, quality)
        entries.append(entry)
    return entries


def _shaken(camera: Camera, rng: np.random.Generator) -> Camera:
    """The camera misplaced by about a degree and a few centimetres."""
    turn, _ = cv2.Rodrigues(np.radians(rng.normal(0, 1.0, 3)))
    pose = camera.ego_from_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ turn
    pose[:3, 3] += rng.normal(0, [0.05, 0.05, 0.08])
    return replace(camera, ego_from_camera=pose)


def _write(folder: Path, name: str, view: View, world: int, quality: int) -> dict[str, Any]:
    wide, high = _write_image(folder / f"images/{name}.jpg", view, quality)
    labels = cv2.resize(view.labels, (wide, high), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(folder / f"labels/{name}.png"), labels)
    sx, sy = wide / view.camera.lens.width, high / view.camera.lens.height
    objects = []
    for truth in view.objects:
        x0, y0, x1, y1 = truth.box
        box = [
            (x0 + 0.5) * sx - 0.5,
            (y0 + 0.5) * sy - 0.5,
            (x1 + 0.5) * sx - 0.5,
            (y1 + 0.5) * sy - 0.5,
        ]
        if (box[2] - box[0]) * (box[3] - box[1]) < 3:
            continue  # a pixel or two: neither learnt nor missed
        gx, gy = truth.ground_point
        point = [round((gx + 0.5) * sx - 0.5, 2), round((gy + 0.5) * sy - 0.5, 2)]
        objects.append(
            {
                "class": truth.kind,
                "box": [round(value, 2) for value in box],
                "ground_point": point if np.isfinite(point).all() else None,
                "occlusion": truth.occlusion,
                "instance": truth.instance,
                "ignore": bool(box[3] - box[1] < MIN_HEIGHT or truth.occlusion > MAX_OCCLUSION),
            }
        )
    return {
        "image": f"images/{name}.jpg",
        "labels": f"labels/{name}.png",
        "camera": view.camera.name,
        "bucket": view.camera.bucket,
        "scene": world,
        "objects": objects,
    }


def _write_image(path: Path, view: View, quality: int) -> tuple[int, int]:
    """Reduce the picture to the size (width, height) of its camera's bucket, and write it."""
    size = PRESETS["nano"].buckets[view.camera.bucket]
    image = cv2.resize(view.image, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return size.width, size.height
