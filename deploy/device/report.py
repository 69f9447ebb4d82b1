"""What the device says of itself: its versions, the engine, the Jetson. `octoview flash verify`
compares this with what was packaged; `octoview doctor` shows parts of it."""

import json
from pathlib import Path
from typing import Any

from deploy.device import jetson
from deploy.device.engines import read_status
from deploy.device.seal import SealError, check_all
from deploy.device.slots import SlotError, Slots
from deploy.device.update import read_release

SCHEMA = "octoview.device/1"


def report(slots: Slots, root: Path = Path("/")) -> dict[str, Any]:
    """Everything as plain values. Reads every byte of the running version."""
    trial = slots.on_trial()
    return {
        "schema": SCHEMA,
        "running": _version(slots),
        "trial": {"version": trial.name, "starts": slots.starts()} if trial else None,
        "refused": slots.refused(),
        "versions": [str(path) for path in slots.complete()],
        "self_test": _self_test(slots.state / "health/self-test.json"),
        "engine": read_status(slots.state / "engines"),
        "jetson": {
            "model": jetson.model(root),
            "l4t": jetson.l4t(root),
            "jetpack": jetson.JETPACK.get(jetson.l4t(root) or ""),
            "tensorrt": jetson.tensorrt(root),
            "power_mode": jetson.power_mode(root),
            "temperatures": jetson.temperatures(root),
            "clocks_mhz": jetson.clocks(root),
            "cameras": jetson.cameras(root),
        },
        "free_gib": jetson.free_gib(slots.state),
    }


def _self_test(path: Path) -> dict[str, Any]:
    """What the last self-test said; empty where none ran, or the file can't be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: content[key] for key in ("passed", "latency_ms", "engine", "ticks")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _version(slots: Slots) -> dict[str, Any]:
    try:
        slot = slots.current()
        return {**read_release(slot), "slot": str(slot), "manifest": check_all(slot), "error": None}
    except (SealError, SlotError) as error:
        return {"error": str(error)}
