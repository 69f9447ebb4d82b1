"""Replay: a whole log through the loop into a folder of results."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.errors import DeployError, LogError
from deploy.faults.injection import Injection, inject
from deploy.log.reader import LogReader
from deploy.loop.clock import LockstepClock, RealTimeClock
from deploy.loop.controls import Controls
from deploy.loop.engine import load_engine
from deploy.loop.join import join_frames
from deploy.loop.pipeline import Pipeline, TickResult
from deploy.loop.playback import Part, Playback
from deploy.loop.runtimes import AUTO, choose
from deploy.loop.surround import Surround
from deploy.loop.timing import StageTimer
from deploy.sinks.mcap_sink import McapSink
from deploy.sinks.mosaic import MosaicSink
from deploy.sinks.replay_page import ReplayPage
from deploy.sinks.report import Report
from deploy.sinks.sink import Sink

RESULTS = ("perception.mcap", "report.json", "mosaic.mp4", "mosaic.png")


def replay(
    log: Path,
    model: Path,
    out: Path,
    *,
    clock: LockstepClock | RealTimeClock,
    mosaic: bool = True,
    images: bool = True,
    html: Path | None = None,
    engine: str = AUTO,
    threads: int | None = None,
    faults: Sequence[Injection] = (),
    surround: Path | None = None,
    part: Part = Part(),  # noqa: B008 it is frozen
    controls: Controls | None = None,
    progress: Callable[[TickResult], None] = lambda result: None,
) -> dict[str, Any]:
    """Run `log` through `model` and write perception.mcap, report.json and, with `mosaic`,
    mosaic.mp4 and mosaic.png into the folder `out`, in place of those of a run before. Without
    `images` perception.mcap holds the results alone. `html` names a page to write, too.
    `surround`: a learned surround head, whose grid goes into the log beside the map. `threads`: of
    the engine; the physical cores without. Returns the report.

    With the lockstep clock equal inputs give an equal perception.mcap, byte for byte. `part` of
    the log is played; `controls` (the clock's own) may jump in it or end it. `faults` are injected
    into the images and the engine; then an engine that fails costs its tick only.

    Raises LogError, EngineError, or PerceptionError when rig and model do not fit; then `out` is
    as it was before.
    """
    reader = LogReader(log)
    playback = Playback(reader, part, controls)
    rig = playback.rig
    choice = choose(engine, model)
    network = load_engine(model, threads, choice.name)
    head = Surround(surround, rig, network.spec, threads) if surround else None
    timer = StageTimer()
    injected = inject(faults, rig, network, playback.images())
    pipeline = Pipeline(rig, injected.engine, timer, surround=head, keep_going=bool(faults))
    report = Report(rig, network, timer)
    with _appearing_at_once(out) as folder:
        with ExitStack() as stack:
            sinks: list[Sink] = [McapSink(folder / "perception.mcap", rig, images=images)]
            if mosaic:
                sinks.append(MosaicSink(folder, rig, pipeline.fuser.grid))
            page = None if html is None else ReplayPage(folder, rig, pipeline.fuser.grid, timer)
            if page:
                sinks.append(page)
            for sink in sinks:
                stack.enter_context(sink)
            for encoded in injected.watch(clock.pace(join_frames(injected.images, rig))):
                result = pipeline.tick(encoded, playback.world_from_ego(encoded.stamp_ns))
                if clock.name == "real":
                    result = replace(result, stages_ms=timer.current_ms)
                with timer.stage("sinks"):
                    for sink in sinks:
                        sink.write(result)
                timer.end_tick()
                report.add(result)
                progress(result)
            _check_usable(log, report)
        content = report.content(
            log.name, reader.truncated, model.name, choice.why, clock.description
        )
        (folder / "report.json").write_text(json.dumps(content, indent=2) + "\n")
        if page and html:
            page.write_html(html, content)
    return content


def _check_usable(log: Path, report: Report) -> None:
    if report.ticks == 0:
        raise LogError(f"{log}: has no images of its rig's cameras; record or import it again")
    if report.usable_frames == 0:
        reasons = (f"{name}: {note}" for name, note in report.notes.items())
        raise LogError(
            f"{log}: none of its images can be used ({next(reasons, 'all frozen')}); "
            "record it again with the calibration of these cameras"
        )


@contextmanager
def _appearing_at_once(out: Path) -> Iterator[Path]:
    """A hidden folder whose files move into `out` when the block ends well.

    They replace the results of a run before, all of them; other files in `out` stay.
    """
    if out.exists() and not out.is_dir():
        raise DeployError(f"{out}: is a file; name a folder for the results")
    for name in RESULTS:
        if (out / name).is_dir():
            raise DeployError(f"{out / name}: is a folder in the way of a result; choose --out")
    # Inside `out` if it is there: it may be a file system of its own, where nothing moves in.
    beside = out if out.is_dir() else out.parent
    try:
        beside.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".replay-", dir=beside))
    except OSError as error:
        raise DeployError(f"{out}: can't be written ({error.strerror}); choose --out") from error
    try:
        yield folder
        out.mkdir(exist_ok=True)
        for name in RESULTS:
            if (folder / name).exists():
                (folder / name).replace(out / name)
            else:
                (out / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
