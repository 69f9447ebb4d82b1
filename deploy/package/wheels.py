"""Wheels of the runtime: locked by hash, unpacked without a network and without running them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.device.release import sha256
from deploy.package.targets import PackageError, Target

# What onnxruntime asks for and only its tools for developers import.
_NEVER_IMPORTED = ("coloredlogs", "humanfriendly", "mpmath", "sympy")
_LOCKED = re.compile(r"([a-z0-9.-]+)==([^\s=]+) --hash=sha256:([0-9a-f]{64})")


def write_lock(target: Target, wheels: Path) -> int:
    """Write the target's lock from a folder of wheels; returns how many. docs/jetson.md has the
    `pip download` that fills the folder.

    Raises PackageError when there are none.
    """
    files = sorted(wheels.glob("*.whl"))
    if not files:
        raise PackageError(f"{wheels}: no wheels; fill it with pip download as docs/jetson.md says")
    lines = [f"# Wheels of {target.name}: octoview package --target {target.name} --write-lock"]
    for file in files:
        name, version = file.name.split("-")[:2]
        name = name.lower().replace("_", "-")
        if name not in _NEVER_IMPORTED:
            lines.append(f"{name}=={version} --hash=sha256:{sha256(file)}")
    target.lock.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines) - 1


def read_lock(lock: Path) -> dict[str, tuple[str, str]]:
    """(version, SHA-256) by name. Raises PackageError for no lock, or a line without a hash."""
    if not lock.is_file():
        raise PackageError(f"{lock}: no lock; make it with --write-lock as docs/jetson.md says")
    entries = {}
    for line in lock.read_text(encoding="utf-8", errors="replace").splitlines():
        if line and not line.startswith("#"):
            found = _LOCKED.fullmatch(line)
            if found is None:
                raise PackageError(
                    f"{lock}: {line[:60]!r} is no wheel with its hash; write it anew"
                )
            entries[found[1]] = (found[2], found[3])
    return entries


def unpack(target: Target, lock: Path, wheels: Path, site: Path) -> None:
    """Unpack the locked wheels for the target's Python and machine into `site`.

    Raises PackageError for a wheel that is missing, or has another hash than the lock.
    """
    if not wheels.is_dir():
        raise PackageError(f"{wheels}: no such folder; give --wheels as docs/jetson.md says")
    read_lock(lock)
    command = [
        *(sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "install"),
        *("--quiet", "--no-index", "--find-links", str(wheels), "--no-deps", "--no-compile"),
        *("--require-hashes", "--requirement", str(lock), "--target", str(site)),
        *("--only-binary", ":all:", "--implementation", "cp", "--python-version", target.python),
    ]
    for tag in target.platforms:
        command += ["--platform", tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        mismatch = next((line for line in lines if "DO NOT MATCH" in line), None)
        reason = f"a wheel differs from {lock}" if mismatch else (lines or ["pip failed"])[-1]
        raise PackageError(f"{wheels}: {reason}; download the locked wheels again")
    shutil.rmtree(site / "bin", ignore_errors=True)  # scripts that name this machine's Python
    for code in list(site.rglob("__pycache__")):  # the device compiles what it runs
        shutil.rmtree(code)
    for record in site.glob("*.dist-info"):
        for name in ("RECORD", "direct_url.json", "REQUESTED"):
            (record / name).unlink(missing_ok=True)  # how it got here, not what it is
