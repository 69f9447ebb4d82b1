"""The power mode that the loop wants, set by name: numbers differ between modules."""

import subprocess
from pathlib import Path

from deploy.device import jetson
from deploy.errors import DeployError

PREFERRED = ("MAXN_SUPER", "MAXN")
"""First of these that the module has. NVIDIA: no power cap, throttled by temperature alone."""

CHOICE = Path("/etc/octoview/power-mode")
"""One word: a mode's name, `preferred`, or `keep` to leave what is set."""


def set_power_mode(choice: str, root: Path = Path("/")) -> str:
    """Set the mode with nvpmodel; returns its name, or what was left as it is and why.

    Raises DeployError for a mode that this module does not have, and when nvpmodel refuses.
    """
    modes = {name: number for number, name in jetson.power_modes(root).items()}
    if choice == "keep" or not modes:
        return "kept" if modes else "kept: no nvpmodel here"
    names = PREFERRED if choice == "preferred" else (choice,)
    name = next((name for name in names if name in modes), None)
    if name is None:
        raise DeployError(
            f"{CHOICE}: {choice}: no such power mode here; choose keep, {', '.join(modes)}"
        )
    if name == jetson.power_mode(root):
        return f"{name}, as it was"
    # nvpmodel asks before it reboots, which some changes need; without an answer it does not.
    done = subprocess.run(
        ["nvpmodel", "-m", str(modes[name])],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode:
        raise DeployError(f"nvpmodel -m {modes[name]}: {(done.stdout + done.stderr).strip()}")
    return name
