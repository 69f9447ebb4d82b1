"""One log of many: replayed in a process of its own, its result kept as one row.

A row appears whole or not at all, under a name that the log alone decides. So a worker that is
killed leaves nothing half done, and a log that runs twice is still counted once.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from calib.json_text import load_json
from calib.text_file import write_text

ATTEMPTS = 3
_INTERRUPTED = 130
_GRACE_S = 0.5
"""How long a replay that failed waits for the word that the fleet has been ended."""
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """`log` to replay into a folder below `out` with `model` on `engine`, whose calls use
    `threads` threads."""

    log: Path
    out: Path
    model: Path
    engine: str
    threads: int = 1

    @property
    def folder(self) -> Path:
        """Where its results are: readable, and different for equal names in different places."""
        digest = hashlib.sha256(str(self.log).encode()).hexdigest()[:10]
        return self.out / f"{self.log.stem}-{digest}"

    def row(self) -> dict[str, Any] | None:
        """Its result, if it has one and neither the log nor the model has changed since. What
        failed is tried again."""
        try:
            row = load_json((self.folder / "row.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        done = isinstance(row, dict) and row.get("key") == self._key() and not row.get("error")
        return row if done else None

    def run(self, ended: Event | None = None) -> dict[str, Any]:
        """Its result: the one that is there, or that of a replay now. `ended` is set when the fleet
        has been ended.

        A process that dies (killed, out of memory) is started again, ATTEMPTS times in all. What
        can't be replayed gives a row with the reason in `error`.
        """
        done = self.row()
        if done is not None:
            return done
        row = self._empty_row()
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            for left in self.folder.glob(".replay-*"):  # by one that was killed
                shutil.rmtree(left, ignore_errors=True)
            process = self._replay()
            row["attempts"] = attempt
            # Control-C reaches the fleet and all replays; one that is just starting can end by it
            # in many ways, none of which is a result.
            if process.returncode and ended is not None and ended.wait(_GRACE_S):
                raise KeyboardInterrupt
            if process.returncode >= 0:
                break
        if process.returncode == _INTERRUPTED:
            raise KeyboardInterrupt
        row["worker_seconds"] = round(time.monotonic() - began, 3)
        if process.returncode == 0:
            report = load_json((self.folder / "report.json").read_text(encoding="utf-8"))
            row |= _facts(report)
        elif process.returncode < 0:
            name = signal.Signals(-process.returncode).name
            row["error"] = f"its process was ended by {name}, {ATTEMPTS} times"
        else:
            lines = process.stderr.strip().splitlines()
            row["error"] = lines[-1] if lines else f"exit code {process.returncode}"
        return self._keep(row)

    def failed(self, reason: str) -> dict[str, Any]:
        """Its result when whoever ran it was lost time and again."""
        return self._keep(self._empty_row() | {"error": reason})

    def _empty_row(self) -> dict[str, Any]:
        return {"key": self._key(), "log": str(self.log), "error": ""}

    def _keep(self, row: dict[str, Any]) -> dict[str, Any]:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "row.json", json.dumps(row, indent=2) + "\n")
        return row

    def _replay(self) -> subprocess.CompletedProcess[str]:
        command = [
            *(sys.executable, "-m", "deploy.fleet.worker", "replay", "log", str(self.log)),
            *("--out", str(self.folder), "--model", str(self.model), "--engine", self.engine),
            *("--threads", str(self.threads), "--no-mosaic", "--no-images"),
        ]
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        return subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    def _key(self) -> list[Any]:
        """What the result depends on: if this changes, it is run anew."""
        found: list[Any] = [self.engine]
        for path in (self.log, self.model):
            try:
                state = path.stat()
                found += [str(path), state.st_size, state.st_mtime_ns]
            except OSError:
                found += [str(path), 0, 0]
        return found


def _facts(report: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a report in one flat row."""
    states = report["frames"]["states"].values()
    facts = {
        "rig": report["rig"]["name"],
        "cameras": len(report["rig"]["cameras"]),
        "seconds": report["log"]["seconds"],
        "truncated": report["log"]["truncated"],
        "engine": report["model"]["engine"],
        "spec_hash": report["model"]["spec_hash"],
        "ticks": report["ticks"],
        "frames_usable": report["frames"]["usable"],
    }
    for state in dict.fromkeys(name for one in states for name in one):
        facts[f"frames_{state}"] = sum(one.get(state, 0) for one in states)
    for one in report["health"].values():
        for state, ticks in one["ticks"].items():
            column = f"ticks_{state.replace(' ', '_')}"
            facts[column] = facts.get(column, 0) + ticks
    for name in ("p50", "p90", "p99", "max"):
        facts[f"tick_ms_{name}"] = report["latency_ms"]["tick"][name]
    for label, counts in report["objects"].items():
        facts |= {f"{label}_{what}": count for what, count in counts.items()}
    return facts
