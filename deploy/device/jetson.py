"""What a Jetson says of itself, read from its files. Nothing is changed, nothing needs root."""

import re
import shutil
from pathlib import Path

# JetPack by the L4T release it came with, from the release notes of Jetson Linux.
JETPACK = {
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "38.2": "7.0",
    "38.2.1": "7.0",
    "38.4": "7.1",
    "39.2": "7.2",
    "39.2.1": "7.2.1",
}


def l4t(root: Path = Path("/")) -> str | None:
    """The L4T release, such as 36.4.4; None where there is none.

    Its file's first line reads `# R36 (release), REVISION: 4.4, GCID: …, BOARD: …`.
    """
    text = _read(root / "etc/nv_tegra_release")
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text or "")
    if not found:
        return None
    revision = found[2].removesuffix(".0")
    return f"{found[1]}.{revision}"


def model(root: Path = Path("/")) -> str | None:
    """The board, such as `NVIDIA Jetson AGX Orin Developer Kit`."""
    text = _read(root / "proc/device-tree/model")
    return text.rstrip("\0\n") if text else None


def tensorrt(root: Path = Path("/")) -> str | None:
    """The library of TensorRT that JetPack installed, such as libnvinfer.so.10.3.0."""
    folder = root / "usr/lib/aarch64-linux-gnu"
    names = sorted(path.name for path in folder.glob("libnvinfer.so.*.*"))
    return names[-1] if names else None


def power_mode(root: Path = Path("/")) -> str | None:
    """Name of the power mode, such as MAXN, from nvpmodel's own status and configuration."""
    status = re.search(r"pmode:(\d+)", _read(root / "var/lib/nvpmodel/status") or "")
    modes = power_modes(root)
    return modes.get(int(status[1])) if status else None


def power_modes(root: Path = Path("/")) -> dict[int, str]:
    """Power modes of this module by number, from /etc/nvpmodel.conf."""
    text = _read(root / "etc/nvpmodel.conf") or ""
    return {int(i): name for i, name in re.findall(r"POWER_MODEL ID=(\d+) NAME=(\S+)", text)}


def temperatures(root: Path = Path("/")) -> dict[str, float]:
    """Degrees Celsius by thermal zone; a zone that is switched off is left out."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        name, value = _read(zone / "type"), _read(zone / "temp")
        if name and value and re.fullmatch(r"-?\d+\s*", value):
            found[name.strip()] = int(value) / 1000
    return found


def clocks(root: Path = Path("/")) -> dict[str, float]:
    """Current clocks in MHz: processor cores and the devices with a frequency governor (GPU)."""
    found = {}
    for cpu in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*")):
        if value := _number(cpu / "cpufreq/scaling_cur_freq"):
            found[cpu.name] = value / 1e3
    for device in sorted((root / "sys/class/devfreq").glob("*")):
        if value := _number(device / "cur_freq"):
            found[device.name] = value / 1e6
    return found


def cameras(root: Path = Path("/")) -> dict[str, str]:
    """Name of each video device by its file, such as /dev/video0."""
    found = {}
    for device in sorted((root / "sys/class/video4linux").glob("video*")):
        found[f"/dev/{device.name}"] = (_read(device / "name") or "").strip()
    return found


def free_gib(folder: Path) -> float | None:
    """Free space where `folder` lies, or None where it does not exist."""
    return shutil.disk_usage(folder).free / 2**30 if folder.is_dir() else None


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text and text.strip().isdigit() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
