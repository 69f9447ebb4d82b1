"""The systemd units of package and overlay, read by systemd itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.flash.overlay import UNIT, overlay
from deploy.package import tree

UNITS = sorted((Path(tree.__file__).parent / "files/systemd").iterdir())
SERVICE = next(unit for unit in UNITS if unit.name == "octoview.service").read_text()


@pytest.fixture
def analyze(tmp_path: Path) -> Path:
    """A root in which every program that the units name exists, so that each complaint counts."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze here")
    root = tmp_path / "root"
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    system = Path("/lib/systemd/system")
    for name in ("multi-user.target", "sysinit.target", "timers.target", "network-online.target"):
        if (system / name).is_file():
            shutil.copy(system / name, units)
    for program in (
        "usr/bin/octoview-device", "usr/bin/udevadm", "usr/bin/systemctl", "usr/bin/dpkg",
        "usr/bin/apt-get", "usr/bin/rm", "run/octoview-device/slot/bin/octoview",
    ):  # fmt: skip
        path = root / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return root


def verify(root: Path, name: str) -> str:
    """Complaints of systemd about one unit in `root`."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={root}", name],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    about = [line for line in lines if name in line or done.returncode]
    return "\n".join(about)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_no_complaint(analyze: Path, unit: Path) -> None:
    for one in UNITS:
        shutil.copy(one, analyze / "etc/systemd/system")
    assert verify(analyze, unit.name) == ""


def test_the_first_installation_is_a_unit_too(analyze: Path, tmp_path: Path) -> None:
    key = tmp_path / "id.pub"
    key.write_text("ssh-ed25519 AAAA anna\n")
    files = overlay(tmp_path / "octoview.deb", [tmp_path / "libnvinfer10.deb"], "anna", key)
    (unit,) = [file for file in files if file.path.endswith(f"system/{UNIT}")]
    assert unit.text is not None
    (analyze / "etc/systemd/system" / UNIT).write_text(unit.text)
    assert verify(analyze, UNIT) == ""
    assert "/octoview.deb /var/lib/octoview-install/libnvinfer10.deb" in unit.text


def test_a_wrong_unit_is_complained_about(analyze: Path) -> None:
    wrong = SERVICE.replace("WatchdogSec=10", "WatchdogSec=often")
    (analyze / "etc/systemd/system/octoview.service").write_text(wrong)
    assert "Failed to parse sec value, ignoring: often" in verify(analyze, "octoview.service")


def test_the_loop_writes_only_its_own_folders_and_is_not_root() -> None:
    lines = SERVICE.splitlines()
    assert "User=octoview" in lines
    assert "ProtectSystem=strict" in lines
    assert not [line for line in lines if line.startswith("ReadWritePaths")]
    (state,) = [line for line in lines if line.startswith("StateDirectory=")]
    # Not octoview itself: what decides which version runs belongs to root.
    assert state == "StateDirectory=octoview/log octoview/health"
