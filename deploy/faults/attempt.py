"""Attempt: one real `octoview run` that something happens to, and whether it kept its promises."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from deploy.errors import DeployError
from deploy.faults.course import Course, Driven
from deploy.faults.running import COMMAND, Running
from deploy.log.reader import LogReader

# Without images there is a tick every half second; a machine may be busy, but not for ever.
_LONGEST_S = 60.0
AFTER = 4  # ticks that must come after whatever has happened


class CannotTryError(DeployError):
    """This machine lacks what the fault needs."""


@dataclass
class Attempt:
    """What is driven, an empty folder, dice, and what was not as promised; `over`: ticks until
    all cameras were well again, where that is asked."""

    course: Course
    folder: Path
    random: np.random.Generator
    problems: list[str] = field(default_factory=list)
    over: int | None = None

    def start(
        self, module: Sequence[str] = COMMAND, environment: Mapping[str, str] | None = None
    ) -> Running:
        """The process, from its first tick on."""
        return Running(self.course.lay_out(self.folder), module, environment)

    def some_ticks(self) -> int:
        """A random moment."""
        return int(self.random.integers(4, 12))

    def judge(self, run: Running, code: int = 0, *, cut: bool = False, unwell: int = 0) -> Driven:
        """Hold a run that has ended to the promises: its exit `code`, what it wrote on stderr, all
        bytes in its recordings, the last of which is `cut` or whole. In at most `unwell` ticks a
        camera may be called so."""
        if run.process.returncode != code:
            self.problems.append(f"exit code {run.process.returncode}: {run.errors[-300:]}")
        if "Traceback" in run.errors:
            self.problems.append(f"a traceback: {run.errors[-300:]}")
        logs = sorted(run.drive.glob("*.mcap"))
        driven = Driven()
        for log in logs:
            part = self.course.read(log)
            driven.stamps_ns += part.stamps_ns
            driven.engine_failed += part.engine_failed
            driven.unwell += part.unwell
            driven.problems += part.problems
        self.problems += driven.problems
        if len(driven.unwell) > unwell:
            self.problems += driven.unwell
        if not logs or LogReader(logs[-1]).truncated != cut:
            self.problems.append(f"the last of {len(logs)} recordings is not as it must end")
        stamps = driven.stamps_ns
        longest_ns = max((later - earlier for earlier, later in pairwise(stamps)), default=0)
        if longest_ns > _LONGEST_S * 1e9:
            self.problems.append(f"{longest_ns / 1e9:.1f} s between two ticks")
        return driven

    def judge_whole(self, run: Running, code: int = 0, unwell: int = 0) -> Driven:
        """As `judge`; and every tick is recorded, or counted as not."""
        driven = self.judge(run, code, unwell=unwell)
        summary = json.loads(run.summary.read_text())
        ticks, lost = int(summary["counts"]["ticks"]), summary["not_recorded_ticks"]
        if len(driven.stamps_ns) + lost != ticks or summary["counts"]["failed"]:
            self.problems.append(
                f"{len(driven.stamps_ns)} of {ticks} ticks recorded, {lost} said not to be, "
                f"{summary['counts']['failed']} failed"
            )
        return driven


Strike = Callable[[Attempt], None]
"""Makes it happen, and judges."""
