"""The report of a replay: report.json for machines, a table for people."""

from collections import Counter
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from rich.console import Group
from rich.table import Table

from calib.rig import Rig
from deploy.health.history import HealthHistory
from deploy.loop.engine import Engine
from deploy.loop.frames import STATUSES
from deploy.loop.machine import machine
from deploy.loop.pipeline import TickResult
from deploy.loop.timing import StageTimer

SCHEMA = "octoview.replay/1"
PACKAGES = ("octoview", "numpy", "opencv-python-headless", "onnxruntime", "mcap", "av")


class Report:
    """Counts what happened, tick by tick."""

    def __init__(self, rig: Rig, engine: Engine, timer: StageTimer) -> None:
        self._rig = rig
        self._engine = engine
        self._timer = timer
        self.states = {name: Counter({status: 0 for status in STATUSES}) for name in rig.names}
        self._health = HealthHistory()
        self.notes: dict[str, str] = {}  # camera -> the first reason for an unusable image
        self._detections: Counter[str] = Counter()
        self._objects: Counter[str] = Counter()
        self._shared: Counter[str] = Counter()
        self._tracks: Counter[str] = Counter()
        self._first_ns: int | None = None
        self._last_ns = 0
        self.ticks = 0

    def add(self, result: TickResult) -> None:
        """Count one tick."""
        self.ticks += 1
        stamp = result.frames.stamp_ns
        self._first_ns = stamp if self._first_ns is None else self._first_ns
        self._last_ns = stamp
        for name, frame in result.frames.frames.items():
            self.states[name][frame.status] += 1
            if frame.status == "corrupt":
                self.notes.setdefault(name, frame.note)
        self._health.add(result.health, result.failed)
        for camera in result.cameras.values():
            self._detections.update(detection.label for detection in camera.objects)
        self._objects.update(thing.label for thing in result.ego.objects)
        self._shared.update(t.label for t in result.ego.objects if len(t.cameras) > 1)
        self._tracks.update(
            t.label
            for t in result.ego.objects
            if t.motion and t.motion.age_s == 0  # seen first
        )

    @property
    def usable_frames(self) -> int:
        """Images that reached the network."""
        return sum(states["ok"] for states in self.states.values())

    def content(
        self, log: str, truncated: bool, model: str, chosen: str, clock: dict[str, float | str]
    ) -> dict[str, Any]:
        """The report as JSON; keys and units stay as they are within `schema`.

        chosen: why it is this engine.
        """
        busy_s = self._timer.busy_seconds
        classes = self._engine.spec.object_classes
        return {
            "schema": SCHEMA,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "log": {
                "file": log,
                "seconds": round((self._last_ns - (self._first_ns or 0)) / 1e9, 6),
                "truncated": truncated,
            },
            "model": {
                "file": model,
                "preset": self._engine.spec.preset,
                "spec_hash": self._engine.spec.hash,
                "engine": self._engine.name,
                "engine_chosen": chosen,
            },
            "rig": {
                "name": self._rig.name,
                "cameras": {camera.name: camera.bucket for camera in self._rig},
            },
            "clock": clock,
            "ticks": self.ticks,
            "frames": {
                "states": {name: dict(states) for name, states in self.states.items()},
                "first_unusable": self.notes,
                "usable": self.usable_frames,
                "per_second": round(self.usable_frames / busy_s, 2) if busy_s else 0.0,
            },
            "health": self._health.content,
            "ticks_per_second": round(self.ticks / busy_s, 2) if busy_s else 0.0,
            "latency_ms": self._timer.summary(),
            "objects": {
                label: {
                    "detections": self._detections[label],
                    "on_map": self._objects[label],
                    "on_map_by_several_cameras": self._shared[label],
                    "tracks": self._tracks[label],
                }
                for label in classes
            },
            "machine": machine(),
            "versions": {package: version(package) for package in PACKAGES},
        }


def tables(content: dict[str, Any]) -> Group:
    """The report for a terminal."""
    cameras = Table(title="Cameras: frames by state", title_justify="left")
    cameras.add_column("camera")
    for status in STATUSES:
        cameras.add_column(status, justify="right")
    for name, states in content["frames"]["states"].items():
        cells = [str(states[status]) if states[status] else "-" for status in STATUSES]
        bad = any(states[status] for status in STATUSES if status != "ok")
        cameras.add_row(name, *cells, style="yellow" if bad else None)

    latency = latency_table(content["latency_ms"])
    objects = Table(title="Objects, summed over ticks", title_justify="left")
    for heading in ("class", "detections", "on the map", "by several cameras", "tracks"):
        objects.add_column(heading, justify="left" if heading == "class" else "right")
    for label, counts in content["objects"].items():
        objects.add_row(label, *(str(value) for value in counts.values()))
    return Group(cameras, latency, objects, _sentence(content))


def latency_table(latency: dict[str, dict[str, float]]) -> Table:
    """Milliseconds per tick by stage."""
    table = Table(title="Latency of a tick by stage, ms", title_justify="left")
    table.add_column("stage")
    columns = ("p50", "p90", "p99", "max")
    for column in columns:
        table.add_column(column, justify="right")
    for stage, values in latency.items():
        cells = (f"{values[column]:.1f}" for column in columns)
        if stage == "tick":
            table.add_section()
        table.add_row(stage, *cells, style="bold" if stage == "tick" else None)
    return table


def _sentence(content: dict[str, Any]) -> str:
    clock, frames = content["clock"], content["frames"]
    dropped = f", {clock['dropped']} dropped" if clock["name"] == "real" else ""
    speed = f"{content['ticks_per_second']:.1f} ticks/s, {frames['per_second']:.1f} frames/s"
    return (
        f"{content['ticks']} ticks{dropped}, {frames['usable']} frames: {speed} with "
        f"{content['model']['engine']} on {content['machine']['physical_cores']} cores\n"
        f"engine: {content['model']['engine_chosen']}"
    )
