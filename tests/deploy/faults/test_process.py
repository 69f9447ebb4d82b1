"""Faults of the process, on real ones; and their judge sees a promise that was broken."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calib.rig import Rig
from deploy.faults.attempt import Attempt
from deploy.faults.course import INSTANTS, Course
from deploy.faults.process import run_processes
from deploy.faults.repeat import long_enough
from deploy.faults.wall_clock import WallClock
from deploy.log.reader import LogReader
from deploy.log.writer import LogWriter
from export.checksum import seal

# SIGTERM and SIGKILL: tests/deploy/commands/test_run.py; the disk: tests/deploy/sinks.
TRIED = ("clock-ahead", "engine-hung", "model-damaged", "rig-edited", "log-cut")


@pytest.fixture(scope="module")
def course(rig: Rig, log: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Course:
    trio = Rig("trio", tuple(rig[name] for name in ("left_pillar", "right_pillar", "rear")))
    sealed = tmp_path_factory.mktemp("sealed") / "model.onnx"
    sealed.write_bytes(model.read_bytes())
    seal(sealed)
    folder = tmp_path_factory.mktemp("course")
    return Course(folder, trio, sealed, long_enough(LogReader(log), trio, INSTANTS))


@pytest.mark.parametrize("name", TRIED)
def test_the_promises_are_kept(course: Course, name: str):
    ((_, (outcome,)),) = run_processes(course, [name], [1])
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.problems == []


class Ended:
    """What the judge looks at of a run: its undisturbed recording, and how it ended."""

    def __init__(self, course: Course) -> None:
        self.drive = course.recording.parent
        self.summary = self.drive.parent / "summary.json"
        self.errors = ""
        self.process = subprocess.Popen([sys.executable, "-c", ""])
        self.process.wait()


def test_the_judge_sees_what_is_not_as_promised(course: Course, tmp_path: Path):
    run = Ended(course)

    def problems(code: int = 0, **how: bool) -> str:
        attempt = Attempt(course, tmp_path, np.random.default_rng(0))
        (attempt.judge if how else attempt.judge_whole)(run, code, **how)
        return " ".join(attempt.problems)

    assert problems() == ""
    assert "exit code 0" in problems(-signal.SIGKILL)
    assert "not as it must end" in problems(cut=True)
    run.errors = "Traceback (most recent call last)"
    assert "a traceback" in problems()
    run.errors = ""
    content = json.loads(run.summary.read_text())
    content["counts"]["ticks"] += 1
    run.summary = tmp_path / "summary.json"
    run.summary.write_text(json.dumps(content))
    assert "ticks recorded" in problems()
    expected = course._expected
    course._expected = expected[1:] + expected[:1]
    try:
        assert all(f"other bytes of {name}" in problems() for name in course.rig.names)
    finally:
        course._expected = expected


def test_the_judge_sees_a_camera_that_is_called_unwell(course: Course, tmp_path: Path):
    cameras = {
        name: {"state": "ok", "status": "ok", "offset_ns": 0, "note": ""}
        for name in course.rig.names
    }
    cameras["rear"]["state"] = "frozen"
    log = tmp_path / "log.mcap"
    with LogWriter(log) as writer:
        writer.json("/perception/health", "h", {"cameras": cameras}, 10**18)
    driven = course.read(log)
    assert "healthy rear is frozen" in driven.unwell[0]
    assert len(driven.problems) == 3 and "no result of left_pillar" in driven.problems[0]


LOOK = """
import sys, time
for line in sys.stdin:
    print(time.time(), time.time_ns() / 1e9, time.monotonic(), flush=True)
"""


def test_the_wall_clock_of_a_process_is_set_and_no_other_one(tmp_path: Path):
    try:
        clock = WallClock(tmp_path)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    looking = subprocess.Popen(
        [sys.executable, "-c", LOOK],
        env=dict(clock.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    times = []
    for seconds in (0, 100_000, -100_000):
        clock.step(seconds)
        looking.stdin.write("look\n")
        times.append([float(word) for word in looking.stdout.readline().split()])
    looking.communicate()
    (start, start_ns, steady), ahead, back = times
    for wall, moved in ((ahead, 100_000), (back, -100_000)):
        passed = wall[2] - steady
        assert wall[0] - start == pytest.approx(moved + passed, abs=5)
        assert wall[1] - start_ns == pytest.approx(moved + passed, abs=5)
        assert 0 <= passed < 50_000
