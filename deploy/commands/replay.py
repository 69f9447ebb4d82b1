"""`octoview replay`: the main job, a log through the loop."""

import sys
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.commands.engine_name import EngineName
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.keys import Keys
from deploy.commands.main_command import with_main
from deploy.commands.progress import Ticker
from deploy.commands.replay_diff import replay_diff
from deploy.commands.replay_fleet import replay_fleet
from deploy.commands.report_file import HtmlFile
from deploy.commands.surround_file import SurroundFile
from deploy.faults.injection import parse_injection
from deploy.faults.table import FAULTS
from deploy.health.history import unwell
from deploy.loop.clock import LockstepClock, RealTimeClock
from deploy.loop.controls import HELP, Controls
from deploy.loop.engine import shipped_model
from deploy.loop.pipeline import TickResult
from deploy.loop.playback import Part
from deploy.loop.replay import replay as run
from deploy.loop.runtimes import AUTO
from deploy.sinks.report import tables

_LOG = "log"

app = typer.Typer(cls=with_main(_LOG))
app.command("diff")(replay_diff)
app.command("fleet")(replay_fleet)


class Clock(str, Enum):
    """How the log's time passes."""

    lockstep = "lockstep"
    real = "real"


@app.command(_LOG)
def replay(
    log: Annotated[Path, typer.Argument(help="MCAP log with images and calibration.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out/replay"),
    model: Annotated[
        Path | None, typer.Option(help="ONNX file; the shipped nano.onnx by default.")
    ] = None,
    clock: Annotated[
        Clock, typer.Option(help="lockstep drops nothing, real keeps the pace of the log.")
    ] = Clock.lockstep,
    rate: Annotated[
        float, typer.Option(min=0.01, help="Speed of the real clock; 1 is as recorded.")
    ] = 1.0,
    start: Annotated[float, typer.Option(min=0.0, help="Second of the log to begin at.")] = 0.0,
    end: Annotated[float | None, typer.Option(min=0.0, help="Second of the log to end at.")] = None,
    loop: Annotated[
        int, typer.Option(min=0, help="How often to play it; 0 until it is ended.")
    ] = 1,
    cameras: Annotated[
        str | None, typer.Option(help="Names of the cameras to play, such as main,rear.")
    ] = None,
    engine: EngineName = AUTO,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the engine, on a CPU; a core each by default.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:CAMERA,...][@START-END]",
            help=f"Inject a fault, times in seconds from the start: {', '.join(FAULTS)}.",
        ),
    ] = None,
    surround: SurroundFile = None,
    json_file: JsonFile = None,
    html: HtmlFile = None,
    images: Annotated[
        bool,
        typer.Option("--images/--no-images", help="Keep the images in perception.mcap."),
    ] = True,
    mosaic: Annotated[
        bool, typer.Option("--mosaic/--no-mosaic", help="Draw mosaic.mp4 and mosaic.png.")
    ] = True,
) -> None:
    """Run a recorded log through the network and put all cameras together in one map.

    Writes perception.mcap, report.json, mosaic.mp4 and mosaic.png. `octoview replay diff`
    compares two perception.mcap. On a terminal the real clock minds keys: space pauses, s plays
    one tick, the arrows jump 5 s, q ends the run.

    Example: octoview replay deploy/samples/hw2.mcap --out out/demo
    """
    chosen = None if cameras is None else tuple(cameras.split(","))
    part = Part(start, end, loop, chosen)
    with ExitStack() as stack:
        controls = None
        if clock is Clock.real and Keys.usable():
            controls = Controls(stack.enter_context(Keys()).read)
            print(HELP, file=sys.stderr)
        ticker = stack.enter_context(Ticker(f"replaying {log.name}", None, "tick"))

        def progress(result: TickResult) -> None:
            unwell = [n for n, frame in result.frames.frames.items() if frame.status != "ok"]
            note = f"{len(result.ego.objects)} objects"
            ticker.advance(f"{note}, not ok: {', '.join(unwell)}" if unwell else note)

        content = run(
            log,
            model or shipped_model(),
            out,
            clock=LockstepClock() if clock is Clock.lockstep else RealTimeClock(rate, controls),
            mosaic=mosaic,
            images=images,
            html=html,
            engine=engine,
            threads=threads,
            faults=[parse_injection(text) for text in fault or ()],
            surround=surround,
            part=part,
            controls=controls,
            progress=progress,
        )
    console = Console()
    console.print(tables(content))
    for name, note in content["frames"]["first_unusable"].items():
        console.print(f"{name}: first unusable frame: {note}", highlight=False, soft_wrap=True)
    for line in unwell(content["health"]):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if content["log"]["truncated"]:
        console.print(f"{log} is cut off; it was read up to the cut", highlight=False)
    write_json(json_file, content)
    written = str(out) if html is None else f"{out} and {html}"
    console.print(f"wrote {written}", highlight=False, soft_wrap=True)
