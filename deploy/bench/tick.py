"""All that `octoview bench` measures of a model: the tick of the hw2 rig, its stages, the rest."""

import hashlib
import itertools
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from calib.rig import Camera, load_rig
from deploy.bench.alternate import alternate, quartiles, ratio
from deploy.bench.cold_start import cold_start
from deploy.bench.durations import by_stage, percentiles_ms
from deploy.bench.growth import growth
from deploy.bench.peers import Peer
from deploy.bench.power import power_log
from deploy.bench.single_image import single_image
from deploy.bench.variants import load_variants, variants
from deploy.log.reader import EncodedImage
from deploy.loop.artefact import precision_of
from deploy.loop.engine import load_engine
from deploy.loop.frames import EncodedSet, FrameDecoder
from deploy.loop.machine import machine
from deploy.loop.pipeline import Pipeline
from deploy.loop.preprocess import make_batches
from deploy.loop.runtimes import AUTO, choose
from deploy.loop.timing import StageTimer
from deploy.native import is_built

SCHEMA = "octoview.bench/4"
DEADLINE_HZ = 36.0
WARM_UP = 5
# Pictures per camera, taken in turn: an image equal to the one before would count as frozen.
VARIANTS = 2
GROWTH_ROUNDS = 5


def measure(
    models: Sequence[Path],
    ticks: int,
    engines: Sequence[str] = (AUTO,),
    peers: Sequence[Path] = (),
    progress: Callable[[str], None] = lambda step: None,
) -> dict[str, Any]:
    """Figures of `ticks` ticks of the hw2 rig, as JSON; `progress` is told of each tick.

    Everything is measured of the first model in the first engine; `engines` in the result has
    each model in each engine, where `auto` stands for all that can run here.

    Raises EngineError for a bad model or peer, before anything is measured.
    """
    load_before = round(os.getloadavg()[0], 2)
    rig = load_rig("hw2")
    model = models[0]
    choice = choose(engines[0], model)
    engine = load_engine(model, engine=choice.name)
    pipeline = Pipeline(rig, engine)
    loaded, left_out = load_variants(rig, models, engines)
    rng = np.random.default_rng(0)
    images = {camera.name: [_random_jpeg(camera, rng) for _ in range(VARIANTS)] for camera in rig}

    def encoded(index: int) -> EncodedSet:
        stamp = round(index * 1e9 / DEADLINE_HZ)
        variant = index % VARIANTS
        frames = {
            name: EncodedImage(name, stamp, variants[variant], "jpeg")
            for name, variants in images.items()
        }
        return EncodedSet(index, stamp, frames, frozenset())

    frames = FrameDecoder(rig).decode(encoded(0))
    first = pipeline.batches[0]
    image = frames.frames[first.cameras[0].name].image
    assert image is not None
    height, width = first.images.shape[2:]
    others = [Peer(path, engine.threads, image, (width, height)) for path in peers]
    for index in range(WARM_UP):
        pipeline.tick(encoded(index))
        progress("warming up")
    pipeline.timer = StageTimer()  # without the warm-up
    rows = []
    with power_log() as power:
        for index in range(WARM_UP, WARM_UP + ticks):
            pipeline.tick(encoded(index))
            rows.append(pipeline.timer.current)
            pipeline.timer.end_tick()
            progress("then ratios, growth and a cold start")
    rounds = min(ticks, 20)
    buckets = {}
    for batch in pipeline.batches:
        calls = alternate({"call": partial(engine.infer, batch.images)}, rounds)
        times = percentiles_ms(np.array(calls["call"]))
        buckets[batch.bucket] = {"images": len(batch.cameras), **times}

    numbers = itertools.count(WARM_UP + ticks)
    in_turn = alternate(
        {
            "tick": lambda: pipeline.tick(encoded(next(numbers))),
            "engine": lambda: [engine.infer(batch.images) for batch in pipeline.batches],
        },
        rounds,
    )
    preprocess = {}
    if is_built():
        native = make_batches(rig, engine.spec, "native")
        reference = make_batches(rig, engine.spec, "reference")
        preprocess = alternate(
            {
                "native": lambda: [batch.fill(frames) for batch in native],
                "reference": lambda: [batch.fill(frames) for batch in reference],
            },
            rounds,
        )
    first.fill(frames)
    stages = by_stage(rows)
    seconds = stages["tick"]
    return {
        "schema": SCHEMA,
        "rig": rig.name,
        "model": {
            "file": model.name,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "preset": engine.spec.preset,
            "precision": precision_of(engine.metadata),
            "spec_hash": engine.spec.hash,
            "engine": engine.name,
            "engine_chosen": choice.why,
            "threads": engine.threads,
        },
        "ticks": ticks,
        "warm_up_ticks": WARM_UP,
        "latency_ms": {stage: percentiles_ms(values) for stage, values in stages.items()},
        "quartiles_ms": {
            stage: quartiles((1e3 * values).tolist()) for stage, values in stages.items()
        },
        "engine_ms": buckets,
        "tick_over_engine": ratio(in_turn["tick"], in_turn["engine"]),
        "native_over_reference": ratio(preprocess["reference"], preprocess["native"])
        if preprocess
        else None,
        "engines_left_out": left_out,
        "engines": variants(loaded, encoded, rounds, 1 / DEADLINE_HZ),
        "single_image": single_image(model, engine, first, others, rounds),
        "growth": growth(engine, first.images[:1], min(ticks, GROWTH_ROUNDS)),
        "cold_start": cold_start(
            model, choice.name, {name: variants[0] for name, variants in images.items()}
        ),
        "ticks_per_second": round(ticks / float(seconds.sum()), 2),
        "frames_per_second": round(ticks * len(rig) / float(seconds.sum()), 2),
        "deadline": {
            "hz": DEADLINE_HZ,
            "ms": round(1e3 / DEADLINE_HZ, 2),
            "missed": int((seconds > 1 / DEADLINE_HZ).sum()),
        },
        "power": power.summary(),
        "load_before": load_before,
        "machine": machine(),
    }


def _random_jpeg(camera: Camera, rng: np.random.Generator) -> bytes:
    """Random blobs with a little noise: as hard to decode as a street, unlike pure noise."""
    lens = camera.lens
    blobs = rng.integers(0, 256, (lens.height // 40, lens.width // 40, 3), np.uint8)
    size = lens.width, lens.height
    image = cv2.resize(blobs, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
