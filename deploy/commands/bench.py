"""`octoview bench`: how long a tick of the loop takes on this machine."""

import hashlib
import itertools
import os
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from calib.rig import Camera, load_rig
from deploy.bench.alternate import alternate, quartiles, ratio
from deploy.bench.cold_start import cold_start
from deploy.bench.compare import changes, differences, read_result
from deploy.bench.single_image import single_image
from deploy.commands.engine_name import EngineName
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.log.reader import EncodedImage
from deploy.loop.engine import AUTO, load_engine, shipped_model
from deploy.loop.frames import EncodedSet, FrameDecoder
from deploy.loop.machine import machine
from deploy.loop.pipeline import Pipeline
from deploy.loop.preprocess import make_batches
from deploy.loop.timing import StageTimer
from deploy.native import is_built
from deploy.sinks.report import latency_table

SCHEMA = "octoview.bench/1"
DEADLINE_HZ = 36.0
WARM_UP = 5
# Pictures per camera, taken in turn: an image equal to the one before would count as frozen.
VARIANTS = 2

app = typer.Typer()


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    ticks: Annotated[int, typer.Option(min=1, help="Ticks to measure, after the warm-up.")] = 100,
    model: Annotated[
        Path | None, typer.Option(help="ONNX file; the shipped nano.onnx by default.")
    ] = None,
    engine: EngineName = AUTO,
    peer: Annotated[
        list[Path] | None,
        typer.Option(help="Another ONNX model, run in turn with ours; may be repeated."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Time the loop on the hw2 rig with random images, from JPEG to the fused map, no sinks.

    Example: octoview bench --ticks 200 --json bench.json
    """
    if context.invoked_subcommand:
        return
    content = measure(model or shipped_model(), ticks, engine, peer or [])
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
    for line in _sentences(content):
        console.print(line, highlight=False, soft_wrap=True)
    write_json(json_file, content)


def _sentences(content: dict[str, Any]) -> list[str]:
    """The ratios of one run; in brackets the middle half of the rounds."""

    def of(values: dict[str, float], scale: float = 1, places: int = 2) -> str:
        low, middle, high = (f"{scale * values[k]:.{places}f}" for k in ("p25", "p50", "p75"))
        return f"{middle} ({low} to {high})"

    one, start = content["single_image"], content["cold_start"]
    lines = [f"tick over engine alone: {of(content['tick_over_engine'])}"]
    if content["native_over_reference"]:
        lines.append(
            f"native preprocess is {of(content['native_over_reference'])} times as fast as "
            "the reference"
        )
    lines.append(
        f"first tick {start['seconds']:.2f} s after the start of a process, which took "
        f"{start['peak_memory_mb']:.0f} MB at most"
    )
    width, height = one["size"]
    for name, values in one["seconds"].items():
        lines.append(f"one image of {width}x{height}, {name}: {of(values, 1e3)} ms")
    if "gmac" in one["floor"]:
        share = of(one["floor"]["share_of_peak"], 100, 0)
        peak = one["floor"]["peak_gmac_per_second"]
        lines.append(
            f"engine runs at {share} % of the machine's float32 matrix peak, {peak:.0f} GMAC/s"
        )
    else:
        lines.append(f"no floor: {one['floor']['absent']}")
    for peer in one["peers"]:
        width, height = peer["size"]
        lines.append(
            f"{peer['file']} at {width}x{height}: "
            f"{of(peer['seconds_per_megapixel'], places=3)} s per megapixel, ours "
            f"{of(one['seconds_per_megapixel'], places=3)}, faster by "
            f"{of(peer['ours_is_faster_by'])}"
        )
    return lines


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Result of octoview bench --json.")],
    b: Annotated[Path, typer.Argument(help="Another result.")],
) -> None:
    """Ratios of two results, the noise beside them; exit code 1 when they can't be compared.

    Example: octoview bench compare before.json after.json
    """
    first, second = read_result(a), read_result(b)
    reasons = differences(first, second)
    if reasons:
        print(f"not comparable: {'; '.join(reasons)}")
        raise typer.Exit(1)
    table = Table(title="p50 (p25 to p75), ms", title_justify="left")
    for heading in ("stage", a.name, b.name, "B / A", ""):
        table.add_column(heading)
    for change in changes(first, second):
        cells = (f"{q.p50:.2f} ({q.p25:.2f} to {q.p75:.2f})" for q in (change.a, change.b))
        verdict = "within the noise" if change.within_noise else ""
        table.add_row(change.stage, *cells, f"{change.ratio:.3f}", verdict)
    Console().print(table)
    print(f"A: {first.model.engine}; B: {second.model.engine}")


def measure(
    model: Path, ticks: int, engine_name: str = AUTO, peers: list[Path] | None = None
) -> dict[str, Any]:
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

    rounds = min(ticks, 20)
    numbers = itertools.count(WARM_UP + ticks)
    in_turn = alternate(
        {
            "tick": lambda: pipeline.tick(encoded(next(numbers))),
            "engine": lambda: [engine.infer(batch.images) for batch in pipeline.batches],
        },
        rounds,
    )
    frames = FrameDecoder(rig).decode(encoded(0))
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
    first = pipeline.batches[0]
    image = frames.frames[first.cameras[0].name].image
    assert image is not None
    first.fill(frames)
    seconds = [sum(tick.values()) for tick in timer.ticks]
    stages = {
        stage: [tick.get(stage, 0.0) * 1e3 for tick in timer.ticks] for stage in timer.ticks[0]
    }
    stages["tick"] = [second * 1e3 for second in seconds]
    return {
        "schema": SCHEMA,
        "rig": rig.name,
        "model": {
            "file": model.name,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "preset": engine.spec.preset,
            "spec_hash": engine.spec.hash,
            "engine": engine.name,
            "threads": engine.threads,
        },
        "ticks": ticks,
        "warm_up_ticks": WARM_UP,
        "latency_ms": timer.summary(),
        "quartiles_ms": {stage: quartiles(values) for stage, values in stages.items()},
        "engine_ms": buckets,
        "tick_over_engine": ratio(in_turn["tick"], in_turn["engine"]),
        "native_over_reference": ratio(preprocess["reference"], preprocess["native"])
        if preprocess
        else None,
        "single_image": single_image(model, engine, first, image, peers or [], rounds),
        "cold_start": cold_start(
            model, engine_name, {name: variants[0] for name, variants in images.items()}
        ),
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
