"""Every fault at random times, judged, as the table of docs/reliability.md; `make faults`."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from calib.errors import CalibError
from calib.rig import Rig
from deploy.errors import DeployError
from deploy.faults.course import INSTANTS, Course
from deploy.faults.outcome import HEADER, Outcome, row
from deploy.faults.process import PROCESS_FAULTS, run_processes
from deploy.faults.repeat import long_enough
from deploy.faults.suite import MIN_TICKS, called, run_suite
from deploy.faults.table import FAULTS
from deploy.log.reader import LogReader
from deploy.loop.engine import AUTO, load_engine, shipped_model


def main() -> int:
    """Print the table; 1 if anything was not as promised, 2 for what can't be run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # processes and disks are not left
    arguments = _arguments()
    try:
        return _print_table(arguments)
    except (CalibError, DeployError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 2


def _print_table(arguments: argparse.Namespace) -> int:
    reader = LogReader(arguments.log)
    rig = reader.rig
    if arguments.cameras:
        rig = Rig(rig.name, tuple(rig[name] for name in arguments.cameras.split(",")))
    model = arguments.model or shipped_model()
    print(
        f"{arguments.log.name}, {len(rig)} cameras, {arguments.ticks} ticks; network {model.name};"
        f" {arguments.seeds} seeds\n\n{HEADER}",
        flush=True,
    )
    problems = 0
    for line, outcomes in _rows(arguments, reader, rig, model):
        print(line, flush=True)
        for seed, outcome in enumerate(outcomes):
            for problem in outcome.problems[:3]:
                print(f"  seed {seed}: {problem}", flush=True)
            problems += len(outcome.problems)
    return 1 if problems else 0


def _rows(
    arguments: argparse.Namespace, reader: LogReader, rig: Rig, model: Path
) -> Iterator[tuple[str, list[Outcome]]]:
    seeds = range(arguments.seeds)
    images = long_enough(reader, rig, arguments.ticks)
    engine = load_engine(model, engine=AUTO)
    chosen = [name for name in arguments.faults if name in FAULTS]
    for name, outcomes in run_suite(rig, engine, images, chosen, seeds):
        yield row(name, FAULTS[name].what, called(FAULTS[name]), outcomes), outcomes
    chosen = [name for name in arguments.faults if name in PROCESS_FAULTS]
    if not chosen:
        return
    with tempfile.TemporaryDirectory() as folder:
        course = Course(Path(folder), rig, model, long_enough(reader, rig, INSTANTS))
        for name, outcomes in run_processes(course, chosen, seeds):
            fault = PROCESS_FAULTS[name]
            yield row(name, fault.what, fault.called, outcomes), outcomes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.faults", description=__doc__)
    parser.add_argument(
        "--log",
        type=Path,
        default=Path("deploy/samples/hw2.mcap"),
        help="what is driven; a log of less than --ticks instants is repeated",
    )
    parser.add_argument("--model", type=Path, default=None, help="the shipped one by default")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--ticks", type=int, default=18)
    parser.add_argument("--cameras", default="", help="some of the log's, with commas between")
    parser.add_argument("faults", nargs="*", default=[*FAULTS, *PROCESS_FAULTS], metavar="FAULT")
    arguments = parser.parse_args()
    unknown = sorted({*arguments.faults} - FAULTS.keys() - PROCESS_FAULTS.keys())
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}")
    if arguments.ticks < MIN_TICKS or arguments.seeds < 1:
        parser.error(f"give at least --ticks {MIN_TICKS} and --seeds 1")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
