"""`octoview run`: the cameras of a vehicle, or recordings as if they were live."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.commands.engine_name import EngineName
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.commands.surround_file import SurroundFile
from deploy.health.history import unwell
from deploy.health.mounting import MountingWatch
from deploy.loop.engine import AUTO, load_engine, shipped_model
from deploy.loop.live import LiveLoop, Options
from deploy.loop.pipeline import TickResult
from deploy.loop.surround import Surround
from deploy.sinks.recorder import Limits
from deploy.sinks.report import latency_table
from deploy.sources.config import open_run


def run(
    config: Annotated[Path, typer.Argument(help="YAML file of the cameras, or an MCAP log.")],
    record: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Record everything into logs here.")
    ] = None,
    file_mb: Annotated[
        float, typer.Option(min=1, help="Begin a new log after so many MiB.")
    ] = Limits.file_mib,
    file_minutes: Annotated[
        float, typer.Option(min=0.1, help="Begin a new log after so many minutes.")
    ] = Limits.file_minutes,
    keep_gb: Annotated[
        float | None,
        typer.Option(min=0.01, help="Delete the oldest logs beyond so many GiB; else none is."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="ONNX file; the shipped nano.onnx by default.")
    ] = None,
    engine: EngineName = AUTO,
    rate: Annotated[
        float, typer.Option(min=0.01, help="Speed of recordings; 1 is as recorded.")
    ] = 1.0,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="End after so long; else on SIGTERM or Ctrl-C.")
    ] = None,
    metrics: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65535, help="Serve Prometheus on this port of 127.0.0.1."
        ),
    ] = None,
    watch_mounting: Annotated[
        bool,
        typer.Option(
            "--watch-mounting", help="Take a camera off the map whose mounting has moved."
        ),
    ] = False,
    surround: SurroundFile = None,
    json_file: JsonFile = None,
) -> None:
    """Run the network on live cameras and put them together in one map.

    What can't be served in time is dropped and counted; a camera in trouble is named and the
    others go on.

    Examples:\n
    octoview run car.yaml --record /data/drives --keep-gb 200\n
    octoview run deploy/samples/hw2.mcap --record out/drive
    """
    opened = open_run(config, rate)
    network = load_engine(model or shipped_model(), engine=engine)
    limits = Limits(file_mb, file_minutes, keep_gb)
    watch = MountingWatch(opened.rig) if watch_mounting else None
    head = Surround(surround, opened.rig, network.spec) if surround else None
    loop = LiveLoop(opened, network, Options(record, limits, metrics, watch, head))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    if seconds is not None:
        timer = threading.Timer(seconds, loop.stop)
        timer.daemon = True
        timer.start()
    with Ticker(f"running {config.name}", None, "tick") as ticker:

        def progress(result: TickResult) -> None:
            unwell = [f"{n} {h.state}" for n, h in result.health.items() if h.state != "ok"]
            parts = result.system.parts if result.system else ()
            unwell += [f"{part.name}: {part.message}" for part in parts if part.level != "ok"]
            ticker.advance(", ".join(unwell) or f"{len(result.ego.objects)} objects")

        summary = loop.run(progress)
    counts = summary["counts"]
    console = Console()
    console.print(latency_table(summary["latency_ms"]))
    console.print(
        f"{counts['ticks']} ticks, {counts['dropped']} frame sets dropped, "
        f"{counts['failed']} ticks failed, {summary['deadline_misses']} deadlines missed",
        highlight=False,
    )
    for line in unwell(summary["health"]):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if record is not None:
        console.print(
            f"recorded {summary['recorded_mib']:.1f} MiB into {record}, "
            f"{summary['not_recorded_ticks']} ticks not",
            highlight=False,
            soft_wrap=True,
        )
    write_json(json_file, summary)
    if loop.engine_hangs:  # its thread would keep the process for ever
        print("octoview: the engine hangs; the process is ended", file=sys.stderr, flush=True)
        os._exit(1)
