"""Power cuts: kill -9 at random points of an update, and after every single durable step.

Whatever the point, the device starts a complete version, can be updated afterwards, and no byte
of a recording is gone.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.device import durable
from deploy.device.seal import check_all
from deploy.device.slots import Slots
from deploy.device.update import update
from tests.deploy.device.conftest import Device

ROOT = Path(__file__).resolve().parents[3]
SEEDS = int(os.environ.get("OCTOVIEW_POWER_CUTS", "8"))


class PowerCutError(Exception):
    """The power is gone."""


def life(slots: Slots, packages: Path) -> None:
    """An update, two starts of it, a health check, a second update that fails, and back."""
    update(slots, packages / "octoview_1.1_arm64.deb")
    for _ in range(2):
        slots.choose()
    slots.keep()
    update(slots, packages / "octoview_0.9_arm64.deb", allow_downgrade=True)
    for _ in range(5):
        slots.choose()
    slots.go_back()


def test_after_a_cut_at_any_durable_step_a_version_starts(
    device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = durable.rename
    left = [-1]  # steps until the cut; none comes when it is below zero

    def rename(source: Path, target: Path) -> None:
        if left[0] == 0:
            raise PowerCutError
        left[0] -= 1
        real(source, target)

    monkeypatch.setattr(durable, "rename", rename)
    for step in range(100):
        slots = Slots(tmp_path / f"state{step}", device.slots.factory)
        (slots.state / "health").mkdir(parents=True)
        slots.begin_trial(slots.factory / "1.0")
        left[0] = step
        try:
            life(slots, device.packages)
        except PowerCutError:
            left[0] = -1  # power is back
            check_all(slots.choose())
            continue
        break
    assert 8 < step < 100  # it was cut at each of the steps, and ended well after the last


def test_kill_at_a_random_point_leaves_a_version_that_starts(device: Device) -> None:
    recording = device.slots.state / "log/drive.mcap"
    recording.parent.mkdir()
    recording.write_bytes(os.urandom(4096))
    before = recording.read_bytes()
    package = device.packages / "octoview_1.1_arm64.deb"
    words = [
        *(sys.executable, "-m", "deploy.device", "--state", str(device.slots.state)),
        *("--factory", str(device.slots.factory), "--run", str(device.slots.state / "run")),
    ]
    started = time.monotonic()
    subprocess.run([*words, "update", str(package)], cwd=ROOT, check=True, capture_output=True)
    whole = time.monotonic() - started
    ends = set()
    for seed in range(SEEDS):
        device.slots.refuse("start over")
        process = subprocess.Popen(
            [*words, "update", str(package)], cwd=ROOT, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(random.Random(seed).uniform(0.2, 1.1) * whole)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        subprocess.run([*words, "choose"], cwd=ROOT, check=True)
        running = (device.slots.state / "run/slot").readlink()
        check_all(running)
        said = subprocess.run([running / "bin/octoview", "run"], capture_output=True, text=True)
        assert said.stdout == f"{running.name} run\n"
        ends.add(running.name)
    assert recording.read_bytes() == before
    assert ends <= {"1.0", "1.1"}
    subprocess.run([*words, "update", str(package)], cwd=ROOT, check=False, capture_output=True)
    device.slots.keep()
    assert device.slots.current().name == "1.1"
