"""Live: cameras to results, tick by tick, until told to stop; nothing that fails ends it."""

import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy.health.history import HealthHistory
from deploy.health.metrics import MetricsServer
from deploy.health.probe import Probe
from deploy.health.system import Recording, SystemMonitor
from deploy.health.watchdog import Watchdog
from deploy.loop.engine import Engine
from deploy.loop.frames import EncodedSet
from deploy.loop.guard import GuardedEngine
from deploy.loop.inbox import Inbox
from deploy.loop.pipeline import Pipeline, TickResult
from deploy.loop.surround import Surround
from deploy.loop.timing import StageTimer
from deploy.sinks.recorder import Limits, Recorder
from deploy.sources.config import Run
from deploy.sources.feed import Feed

_GOODBYE_S = 2.0

CalibrationCheck = Callable[[TickResult], Mapping[str, str]]
"""Looks at a tick; says of cameras by name why their calibration no longer holds."""


@dataclass(frozen=True)
class Options:
    """`record`: folder for logs. `metrics_port`: for Prometheus, on the loopback interface; None
    opens no socket. `calibration`: asked after every tick, its answer holds in the next.
    `surround`: a learned head to run beside the map."""

    record: Path | None = None
    limits: Limits = field(default_factory=Limits)
    metrics_port: int | None = None
    calibration: CalibrationCheck | None = None
    surround: Surround | None = None


class LiveLoop:
    """One run. `stop()` may be called from anywhere, a signal handler too."""

    def __init__(self, run: Run, engine: Engine, options: Options | None = None) -> None:
        self._run = run
        self._options = options or Options()
        self._engine = GuardedEngine(engine)
        self._timer = StageTimer()
        self._pipeline = Pipeline(
            run.rig, self._engine, self._timer, surround=self._options.surround, keep_going=True
        )
        self._inbox = Inbox(run.rig, run.clock)
        self._feeds = [Feed(source, self._inbox) for source in run.sources]
        self._monitor = SystemMonitor(run.deadline_ms, Probe(self._options.record))
        self._stopped = threading.Event()
        self._newest: TickResult | None = None
        self._health = HealthHistory()
        self._broken = ""  # what was thrown in the tick before
        self._bad_calibration: Mapping[str, str] = {}
        self.ticks = self.failed_ticks = 0
        self.metrics_port: int | None = None

    def stop(self) -> None:
        """End after the tick in progress."""
        self._stopped.set()

    @property
    def engine_hangs(self) -> bool:
        """Whether a call of the engine never came back; then no thread can end it."""
        return self._engine.hangs

    def run(self, progress: Callable[[TickResult], None] = lambda result: None) -> dict[str, Any]:
        """Tick until stopped or until all recordings have ended; returns the summary.

        Raises DeployError when recording or metrics can't start; nothing after that.
        """
        options = self._options
        with ExitStack() as stack:
            recorder = None
            if options.record is not None:
                recorder = Recorder(options.record, self._run.rig, options.limits)
                stack.enter_context(recorder)
            if options.metrics_port is not None:
                server = MetricsServer(options.metrics_port, lambda: self._newest)
                self.metrics_port = stack.enter_context(server).port
            watchdog = stack.enter_context(Watchdog(lambda: not self._engine.hangs))
            stack.callback(self._stop_feeds)
            for feed in self._feeds:
                feed.start()
            while not self._stopped.is_set():
                if not any(feed.running for feed in self._feeds):
                    self._inbox.close()
                encoded = self._inbox.take()
                if encoded is None:
                    break
                result = self._tick(encoded, recorder)
                watchdog.beat()
                if result is not None:
                    with suppress(OSError):  # whoever watched may be gone
                        progress(result)
        return self._summary(recorder)

    def _tick(self, encoded: EncodedSet, recorder: Recorder | None) -> TickResult | None:
        """One tick; None when a stage threw, which the next tick's health tells."""
        self.ticks += 1
        try:
            result = self._pipeline.tick(encoded, bad_calibration=self._bad_calibration)
            stages = self._timer.current_ms
            latency_ms = (self._run.clock.now_ns() - encoded.stamp_ns) / 1e6
            system = self._monitor.update(
                latency_ms,
                stages.get("engine", 0.0),
                result.failed,
                self._broken,
                self._counts(),
                recorder.state if recorder else Recording(),
            )
            result = replace(result, stages_ms=stages, system=system)
            self._newest, self._broken = result, ""
            self._health.add(result.health, result.failed)
            if recorder is not None:
                recorder.write(result)
            if self._options.calibration is not None:
                self._bad_calibration = self._options.calibration(result)
            return result
        except Exception as error:  # the next frame set may be better
            self.failed_ticks += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            self._broken = f"tick {encoded.index} lost: {type(error).__name__}: {error} ({place})"
            return None
        finally:
            self._timer.end_tick()

    def _stop_feeds(self) -> None:
        for wait_s in (0.0, _GOODBYE_S):  # all are told before one is waited for
            for feed in self._feeds:
                feed.stop(wait_s)

    def _counts(self) -> dict[str, float]:
        return {
            "ticks": self.ticks,
            "failed": self.failed_ticks,
            "dropped": self._inbox.dropped_sets,
            "images": sum(self._inbox.received.values()),
            "reconnects": sum(feed.losses for feed in self._feeds),
        }

    def _summary(self, recorder: Recorder | None) -> dict[str, Any]:
        newest = self._newest
        return {
            "schema": "octoview.run/1",
            "counts": self._counts(),
            "deadline_misses": self._monitor.missed,
            "images": dict(self._inbox.received),
            "states": {n: h.state for n, h in newest.health.items()} if newest else {},
            "health": self._health.content,
            "latency_ms": self._timer.summary(),
            "recorded_mib": recorder.state.written_mib if recorder else 0.0,
            "not_recorded_ticks": recorder.state.dropped if recorder else 0,
        }
