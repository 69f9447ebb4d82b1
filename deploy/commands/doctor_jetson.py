"""What `octoview doctor` says of a Jetson and of the installed package; nothing elsewhere."""

import sys
from pathlib import Path
from typing import Literal

from calib.json_text import load_json
from calib.yaml_file import YamlError, load_yaml
from deploy.device import jetson
from deploy.device.engines import read_status
from deploy.device.seal import RELEASE, SealError, check_sizes
from deploy.device.slots import Slots

CAMERAS = Path("/etc/octoview/cameras.yaml")
STATE, FACTORY = Path("/var/lib/octoview"), Path("/opt/octoview")
LEAST_FREE_GIB = 2.0
HOT_C = 85.0

State = Literal["ok", "absent", "failed"]
Line = tuple[str, str, State, str]
"""Group, name, state, detail: as doctor's findings."""


def jetson_lines(root: Path = Path("/"), state: Path = STATE) -> list[Line]:
    """Board, JetPack, TensorRT, power, clocks, temperature, cameras; storage and engine where the
    package is installed."""
    return [*_board(root), *_package(state)]


def _board(root: Path) -> list[Line]:
    release = jetson.l4t(root)
    if release is None:
        return []
    group = "jetson"
    jetpack = jetson.JETPACK.get(release)
    known = f"JetPack {jetpack}" if jetpack else "a release that octoview flash does not know"
    lines: list[Line] = [
        (group, "board", "ok", jetson.model(root) or "unknown"),
        (group, "L4T", "ok", f"{release}, {known}"),
    ]
    library = jetson.tensorrt(root)
    remedy = "apt-get install nvidia-jetpack; until then the loop runs on ONNX Runtime"
    lines.append((group, "TensorRT", "ok" if library else "absent", library or remedy))
    mode = jetson.power_mode(root)
    modes = ", ".join(jetson.power_modes(root).values())
    detail = f"{mode} of {modes}" if mode else f"unknown; nvpmodel has {modes or 'no modes'}"
    lines.append((group, "power mode", "ok" if mode else "absent", detail))
    clocks = jetson.clocks(root)
    shown = ", ".join(f"{name} {mhz:.0f} MHz" for name, mhz in clocks.items())
    lines.append((group, "clocks", "ok" if clocks else "absent", shown or "none to be read"))
    celsius = jetson.temperatures(root)
    hottest = max(celsius, key=lambda zone: celsius[zone], default=None)
    if hottest is not None:
        note = ", throttling is near" if celsius[hottest] > HOT_C else ""
        lines.append((group, "temperature", "ok", f"{celsius[hottest]:.0f} °C {hottest}{note}"))
    cameras = jetson.cameras(root)
    found = ", ".join(f"{device} {name}" for device, name in cameras.items())
    none = "no video device; cameras of CSI through Argus have none either"
    lines.append((group, "cameras", "ok" if cameras else "absent", found or none))
    return lines


def _package(state: Path) -> list[Line]:
    slot = Path(sys.prefix)
    if not (slot / RELEASE).is_file():
        return []  # not from a package
    group = "package"
    try:
        check_sizes(slot)
        release = load_json((slot / RELEASE).read_text(encoding="utf-8"))
        detail = f"{release['version']} for {release['target']} in {slot}"
        lines: list[Line] = [(group, "version", "ok", detail)]
        for name, reason in release["kernels_missing"].items():
            lines.append((group, f"{name} kernels", "absent", f"left out when packaged: {reason}"))
    except (SealError, ValueError, KeyError) as error:
        lines = [(group, "version", "failed", str(error))]
    lines += _stand_ins(CAMERAS)
    trial = Slots(state, FACTORY).on_trial()
    if trial:
        lines.append((group, "on trial", "ok", trial.name))
    free = jetson.free_gib(state)
    if free is not None:
        enough = free >= LEAST_FREE_GIB
        detail = f"{free:.1f} GiB free in {state}" + ("" if enough else "; an update needs 2")
        lines.append((group, "storage", "ok" if enough else "absent", detail))
    status = read_status(state / "engines")
    ready = status["state"] == "ready"
    note = status.get("reason") or status.get("engine") or "ONNX Runtime runs nano until then"
    lines.append((group, "engine", "ok" if ready else "absent", f"{status['state']}: {note}"))
    return lines


def _stand_ins(cameras: Path) -> list[Line]:
    """Cameras of the rig for which recorded pictures stand in."""
    try:
        entries = load_yaml(cameras)["cameras"].items()
        recorded = [name for name, entry in entries if "images" in entry or "video" in entry]
    except (OSError, YamlError, LookupError, AttributeError, TypeError) as error:
        return [("package", "cameras.yaml", "failed", f"{cameras}: can't be read ({error})")]
    if not recorded:
        return [("package", "cameras.yaml", "ok", f"{len(entries)} cameras, all live")]
    return [("package", "cameras.yaml", "absent", f"recordings stand in for {', '.join(recorded)}")]
