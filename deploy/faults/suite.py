"""The suite of the table's faults: each at random times, against a run without it."""

import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calib.rig import Rig
from deploy.faults.engine import FaultyEngine
from deploy.faults.images import Window, swapped
from deploy.faults.outcome import Outcome
from deploy.faults.table import FAULTS, Fault
from deploy.log.reader import EncodedImage, LogReader
from deploy.loop.decode import CameraResult
from deploy.loop.engine import Engine
from deploy.loop.frames import EncodedSet
from deploy.loop.join import join_frames
from deploy.loop.pipeline import Pipeline
from deploy.sinks.mcap_sink import McapSink

# Ticks within which a fault must be named, and after its end be over.
PROMISE = 3
_BEFORE, _AFTER = 3, 5  # healthy ticks at least before and after
MIN_TICKS = _BEFORE + PROMISE + 2 + _AFTER + 1


@dataclass(frozen=True)
class Tick:
    """What is compared of one tick: a checksum of each camera's result, the states, and for whom
    the network failed."""

    results: dict[str, int]
    states: dict[str, str]
    failed: frozenset[str]


def drive(rig: Rig, engine: Engine, sets: Iterable[EncodedSet], log: Path) -> dict[int, Tick]:
    """Run sets through the loop and record them in `log`; ticks by their time."""
    pipeline = Pipeline(rig, engine, keep_going=True)
    ticks = {}
    with McapSink(log, rig) as sink:
        for encoded in sets:
            result = pipeline.tick(encoded)
            sink.write(result)
            ticks[encoded.stamp_ns] = Tick(
                {name: _checksum(camera) for name, camera in result.cameras.items()},
                {name: health.state for name, health in result.health.items()},
                frozenset(result.failed),
            )
    return ticks


def _checksum(camera: CameraResult) -> int:
    maps = camera.scene.tobytes() + camera.drivable.tobytes() + camera.ground.tobytes()
    return zlib.crc32(maps + repr(camera.objects).encode())


def choose(rig: Rig, fault: Fault, stamps: Sequence[int], seed: int) -> Window:
    """Cameras and time of one injection, by the seed."""
    random = np.random.default_rng(seed)
    length = int(random.integers(PROMISE + 2, len(stamps) - _BEFORE - _AFTER))
    first = int(random.integers(_BEFORE, len(stamps) - _AFTER - length + 1))
    names = list(rig.names)
    if fault.change is swapped:  # only cameras of the same size can be taken for each other
        size = {camera.name: (camera.lens.width, camera.lens.height) for camera in rig}
        paired = [name for name in names if list(size.values()).count(size[name]) > 1]
        first_name = paired[int(random.integers(len(paired)))]
        names = [name for name in paired if size[name] == size[first_name]]
    struck = random.choice(names, fault.cameras, replace=False)
    half = (stamps[1] - stamps[0]) // 2  # cameras are not all stamped alike
    cameras = tuple(str(name) for name in struck)
    return Window(cameras, stamps[first] - half, stamps[first + length] - half, random)


def inject(
    rig: Rig,
    engine: Engine,
    images: Sequence[EncodedImage],
    fault: Fault,
    window: Window,
    log: Path,
) -> dict[int, Tick]:
    """Run the images with the fault."""
    stream: Iterator[EncodedImage] = iter(images)
    if fault.change is not None:
        stream = fault.change(stream, window)
    sets: Iterable[EncodedSet] = join_frames(stream, rig)
    if fault.spoil is not None:
        faulty = FaultyEngine(engine, rig, fault.spoil, window)
        engine, sets = faulty, faulty.watch(sets)
    return drive(rig, engine, sets, log)


def judge(
    rig: Rig,
    fault: Fault,
    window: Window,
    reference: dict[int, Tick],
    hurt: dict[int, Tick],
    log: Path,
) -> Outcome:
    """Compare a run with a fault with the one without."""
    outcome = Outcome()
    stamps = sorted(reference)
    half = (stamps[1] - stamps[0]) // 2
    matched = []
    for stamp in stamps:  # jitter may move the earliest stamp of a set
        near = [other for other in hurt if abs(other - stamp) < half]
        if len(near) != 1:
            outcome.problems.append(f"{len(near)} ticks for the one at {stamp} ns")
            return outcome
        matched.append(hurt[near[0]])
    first = sum(stamp < window.start_ns for stamp in stamps)
    last = sum(stamp < window.end_ns for stamp in stamps)
    exempt = set(window.cameras)
    if fault.whole_batch:
        buckets = {rig[name].bucket for name in window.cameras}
        exempt |= {camera.name for camera in rig if camera.bucket in buckets}
    for index, (stamp, tick) in enumerate(zip(stamps, matched, strict=True)):
        for name in rig.names:
            same = tick.results.get(name) == reference[stamp].results.get(name)
            if not same and (name not in exempt or not first <= index < last + PROMISE):
                outcome.problems.append(f"tick {index}: other bytes of {name}")
            if name not in window.cameras and tick.states[name] != "ok":
                outcome.problems.append(f"tick {index}: healthy {name} is {tick.states[name]}")
    _judge_names(fault, window, matched, first, last, outcome)
    reader = LogReader(log)
    read = sum(1 for _ in reader.messages(["/perception/health"]))
    if reader.truncated or read != len(hurt):
        outcome.problems.append(f"log holds {read} of {len(hurt)} ticks")
    return outcome


def _judge_names(
    fault: Fault, window: Window, ticks: list[Tick], first: int, last: int, outcome: Outcome
) -> None:
    expected = set(fault.states) or {"ok"}
    for name in window.cameras:
        states = [tick.states[name] for tick in ticks]
        wrong = [s for s in states[first + PROMISE - 1 : last] if s not in expected]
        if wrong:
            outcome.problems.append(f"{name} is called {wrong[0]}, not {' or '.join(expected)}")
        if set(states[:first]) != {"ok"} or set(states[last + PROMISE - 1 :]) != {"ok"}:
            outcome.problems.append(f"{name} is not ok outside the fault")
        failed = [name in tick.failed for tick in ticks]
        if fault.failed != all(failed[first:last]) or any(failed[:first] + failed[last:]):
            outcome.problems.append(f"the network's failure for {name} is not told")
        if fault.states:
            named = next((i for i, s in enumerate(states[first:]) if s in expected), len(states))
            over = next((i for i, s in enumerate(states[last:]) if s == "ok"), len(states))
            outcome.named = max(named + 1, outcome.named or 0)
            outcome.over = max(over + 1, outcome.over or 0)


def run_suite(
    rig: Rig,
    engine: Engine,
    images: Sequence[EncodedImage],
    names: Iterable[str],
    seeds: Iterable[int],
) -> Iterator[tuple[str, list[Outcome]]]:
    """Outcomes of every fault, one for each seed."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "run.mcap"
        reference = drive(rig, engine, join_frames(images, rig), log)
        stamps = sorted(reference)
        for name in names:
            fault, outcomes = FAULTS[name], []
            if fault.cameras >= len(rig):
                continue
            for seed in seeds:
                window = choose(rig, fault, stamps, seed + zlib.crc32(name.encode()))
                hurt = inject(rig, engine, images, fault, window, log)
                outcomes.append(judge(rig, fault, window, reference, hurt, log))
            yield name, outcomes


def called(fault: Fault) -> str:
    """What a struck camera must be called, for people."""
    return ", ".join(fault.states) or ("no result" if fault.failed else "ok")
