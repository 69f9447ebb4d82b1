"""`octoview bench`: how long a tick of the loop takes on this machine."""

import os
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from calib.rig import Camera, load_rig
from deploy.commands.engine_name import EngineName
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.log.reader import EncodedImage
from deploy.loop.engine import AUTO, load_engine, shipped_model
from deploy.loop.frames import EncodedSet
from deploy.loop.machine import machine
from deploy.loop.pipeline import Pipeline
from deploy.loop.timing import StageTimer
from deploy.sinks.report import latency_table

SCHEMA = "octoview.bench/1"
DEADLINE_HZ = 36.0
WARM_UP = 5
# Pictures per camera, taken in turn: an image equal to the one before would count as frozen.
VARIANTS = 2


def bench(
    ticks: Annotated[int, typer.Option(min=1, help="Ticks to measure, after the warm-up.")] = 100,
    model: Annotated[
        Path | None, typer.Option(help="ONNX file; the shipped nano.onnx by default.")
    ] = None,
    engine: EngineName = AUTO,
    json_file: JsonFile = None,
) -> None:
    """Time the loop on the hw2 rig with random images, from JPEG to the fused map, no sinks.

    Example: octoview bench --ticks 200 --json bench.json
    """
    content = measure(model or shipped_model(), ticks, engine)
    console = Console()
    console.print(latency_table(content["latency_ms"]))
    calls = Table(title="Engine call by bucket, ms", title_justify="left")
    for heading in ("bucket", "images", "p50", "p90", "p99", "max"):
        calls.add_column(heading, justify="left" if heading == "bucket" else "right")
    for bucket, values in content["engine_ms"].items():
        cells = (f"{values[column]:.1f}" for column in ("p50", "p90", "p99", "max"))
        calls.add_row(bucket, str(values["images"]), *cells)
    console.print(calls)
    computer, deadline = content["machine"], content["deadline"]
    console.print(
        f"{content['ticks_per_second']:.1f} ticks/s, {content['frames_per_second']:.1f} frames/s; "
        f"{deadline['missed']} of {content['ticks']} ticks missed the {deadline['ms']} ms of "
        f"{DEADLINE_HZ:g} Hz",
        highlight=False,
    )
    console.print(
        f"{content['model']['engine']}, {content['model']['threads']} threads on "
        f"{computer['cpu']}, load before {content['load_before']}, after "
        f"{computer['load_1min']}",
        highlight=False,
    )
    write_json(json_file, content)


def measure(model: Path, ticks: int, engine_name: str = AUTO) -> dict[str, Any]:
    """Figures of `ticks` ticks of the hw2 rig, as JSON. Raises EngineError for a bad model."""
    load_before = round(os.getloadavg()[0], 2)
    rig = load_rig("hw2")
    engine = load_engine(model, engine=engine_name)
    pipeline = Pipeline(rig, engine)
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

    with Ticker("measuring", WARM_UP + ticks, "tick") as ticker:
        for index in range(WARM_UP):
            pipeline.tick(encoded(index))
            ticker.advance("warming up")
        timer = pipeline.timer = StageTimer()
        for index in range(WARM_UP, WARM_UP + ticks):
            pipeline.tick(encoded(index))
            timer.end_tick()
            ticker.advance()
        buckets = {}
        for batch in pipeline.batches:
            calls = StageTimer()
            for _ in range(min(ticks, 20)):
                with calls.stage("engine"):
                    engine.infer(batch.images)
                calls.end_tick()
            buckets[batch.bucket] = {"images": len(batch.cameras), **calls.summary()["engine"]}

    seconds = [sum(tick.values()) for tick in timer.ticks]
    return {
        "schema": SCHEMA,
        "rig": rig.name,
        "model": {
            "file": model.name,
            "preset": engine.spec.preset,
            "spec_hash": engine.spec.hash,
            "engine": engine.name,
            "threads": engine.threads,
        },
        "ticks": ticks,
        "warm_up_ticks": WARM_UP,
        "latency_ms": timer.summary(),
        "engine_ms": buckets,
        "ticks_per_second": round(ticks / sum(seconds), 2),
        "frames_per_second": round(ticks * len(rig) / sum(seconds), 2),
        "deadline": {
            "hz": DEADLINE_HZ,
            "ms": round(1e3 / DEADLINE_HZ, 2),
            "missed": sum(second > 1 / DEADLINE_HZ for second in seconds),
        },
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
