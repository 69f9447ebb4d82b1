"""The flashed device's own report, held to what was packaged."""

import re
import subprocess
from pathlib import Path
from typing import Any

from calib.json_text import load_json
from deploy.flash.matrix import FlashError
from deploy.package.deb import read_control
from deploy.package.targets import TARGETS


def verify(address: str, package: Path) -> tuple[list[str], dict[str, Any]]:
    """(differences, the device's report). `address` is ssh://[user@]host[:port].

    Raises FlashError when the device can't be asked, PackageError for a package that is none.
    """
    control = read_control(package)
    report = ask(address)
    running, jetson = report["running"], report["jetson"]
    if running.get("error"):
        return [f"no version runs: {running['error']}"], report
    expected_l4t = TARGETS[control["Octoview-Target"]].l4t
    differences = [
        f"{name}: packaged {expected}, on the device {found}"
        for name, expected, found in (
            ("version", control["Version"], running["version"]),
            ("target", control["Octoview-Target"], running["target"]),
            ("files", control["Octoview-Manifest"], running["manifest"]),
        )
        if expected != found
    ]
    if expected_l4t and jetson["l4t"] not in expected_l4t:
        differences.append(f"L4T: {jetson['l4t']}, the package is for {', '.join(expected_l4t)}")
    if not report["self_test"].get("passed"):
        differences.append("self-test: not passed; octoview self-test on the device says why")
    if report["trial"]:
        differences.append(f"version {report['trial']['version']} is still on trial; ask again")
    if report["engine"].get("state") == "failed":
        differences.append(f"engine: {report['engine'].get('reason')}")
    return differences, report


def ask(address: str) -> dict[str, Any]:
    """The report of the device. Raises FlashError when there is none."""
    found = re.fullmatch(r"ssh://(?:([a-z][\w.-]*)@)?(\w[\w.-]*)(?::(\d+))?/?", address)
    if not found:
        raise FlashError(f"{address}: is no address such as ssh://user@host")
    user, host, port = found.groups()
    command = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]
    command += ["-p", port] if port else []
    command += ["--", f"{user}@{host}" if user else host, "octoview-device", "report"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except FileNotFoundError as error:
        raise FlashError("no ssh here; apt-get install openssh-client") from error
    except subprocess.TimeoutExpired as error:
        raise FlashError(f"{address}: no answer in 300 s; is it up?") from error
    try:
        content = load_json(done.stdout)
        if content["schema"] != "octoview.device/1":
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        last = (done.stderr.strip().splitlines() or ["no report came back"])[-1]
        raise FlashError(f"{address}: {last}; is octoview installed there?") from error
    return dict(content)
