"""Self-test: a stored clip through the loop, held to a stored reference.

It runs on the device after every install and update (deploy/device/update.py); whether it passes
decides whether the version is kept.
"""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.device import jetson
from deploy.errors import DeployError
from deploy.log import channels
from deploy.log.diff import compare_logs
from deploy.log.reader import LogReader
from deploy.loop.clock import LockstepClock
from deploy.loop.engine import AUTO
from deploy.loop.replay import replay

SCHEMA = "octoview.self-test/1"

# What another processor may make of the same clip: the last bits of its sums differ. Ids, counts
# and classes must be equal, so an object more or less fails.
_ANNOTATIONS = channels.annotations_topic("*")
TOLERANCES = {
    "/perception/* *": 0.02,  # metres, pixels, probabilities, share of grid cells
    "/perception/objects *": 0.05,  # metres and metres per second in the ego frame
    f"{_ANNOTATIONS} *": 0.5,  # pixels of the camera's own image
}
IGNORED = (
    "/perception/* *.text",  # figures in words, rounded
    f"{_ANNOTATIONS} *.text",
    # Outlines have as many corners as they have; the grid compares the areas, texts the objects.
    f"{_ANNOTATIONS} points*",
)


class SelfTestError(DeployError):
    """The self-test can't be run."""


def self_test(clip: Path, reference: Path, model: Path, engine: str = AUTO) -> dict[str, Any]:
    """Replay `clip` and compare; `passed` in the result says whether all of it agreed.

    Raises SelfTestError without its logs, LogError and EngineError as replay does.
    """
    for path in (clip, reference):
        if not path.is_file():
            raise SelfTestError(f"{path}: no such file; give --clip and --reference")
    before = _thermal()
    with tempfile.TemporaryDirectory(prefix="octoview-self-test-") as folder:
        content = _run(clip, model, Path(folder), engine)
        log = LogReader(Path(folder) / "perception.mcap")
        found = compare_logs(LogReader(reference), log, TOLERANCES, IGNORED)
    alone = sum(found.only_reference.values()) + sum(found.only_log.values())
    return {
        "schema": SCHEMA,
        "passed": found.equal and sum(found.matched.values()) > 0,
        "messages": sum(found.matched.values()),
        "messages_without_partner": alone,
        "beyond": [
            {**asdict(field), "largest": min(field.largest, 1e308)} for field in found.beyond
        ],
        "ticks": content["ticks"],
        "latency_ms": content["latency_ms"],
        "engine": content["model"]["engine"],
        "machine": content["machine"],
        "before": before,
        "after": _thermal(),
    }


def write_reference(clip: Path, model: Path, out: Path, engine: str = AUTO) -> None:
    """Make the reference of a clip: what this machine says of it."""
    with tempfile.TemporaryDirectory(prefix="octoview-self-test-") as folder:
        _run(clip, model, Path(folder), engine)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(folder) / "perception.mcap", out)


def _run(clip: Path, model: Path, folder: Path, engine: str) -> dict[str, Any]:
    return replay(clip, model, folder, clock=LockstepClock(), mosaic=False, engine=engine)


def _thermal() -> dict[str, Any]:
    return {"clocks_mhz": jetson.clocks(), "celsius": jetson.temperatures()}
