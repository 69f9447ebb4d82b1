"""A signed package becomes a version on trial, or nothing has changed."""

import json
import os
import pwd
import subprocess
from pathlib import Path

from deploy.device import jetson
from deploy.device.release import ReleaseError, is_newer, verify
from deploy.device.seal import RELEASE, SealError, check_all
from deploy.device.slots import Slots

SELF_TEST_S = 900
"""Longest time that a self-test may take; on the slowest Orin it is well under a minute."""

SERVICE_USER = "octoview"

ROOM = 1.5
"""Times the package's installed size that an update needs: the version, its byte code, its log."""

SELF_TEST_ENGINE = "onnxruntime"
"""What the reference was made with. TensorRT is not asked: it would build an engine first, and
`octoview export` compares each engine with ONNX Runtime when it builds it."""


def update(slots: Slots, package: Path, allow_downgrade: bool = False) -> Path:
    """Verify, unpack and self-test `package`, and put it on trial from the next start on.

    Raises ReleaseError for a package that may not be installed, SealError for one that is not
    what its manifest says, SlotError while another update runs or its self-test fails.
    """
    with slots.locked():
        current = slots.current()
        keys = sorted((current / "keys").glob("*.pem"))
        release = verify(package, keys)
        running = read_release(current)
        if release.target != running["target"]:
            raise ReleaseError(
                f"{package}: is for {release.target}, this device is {running['target']}; "
                "get the package for it"
            )
        if not is_newer(release.version, running["version"]) and not allow_downgrade:
            raise ReleaseError(
                f"{package}: version {release.version} is not newer than {running['version']}, "
                "which runs; --allow-downgrade installs it all the same"
            )
        _check_room(slots, package)
        slot = _unpack(slots, package, release.version)
        compile_code(slot)
        self_test(slots, slot)
        slots.begin_trial(slot)
        return slot


def self_test(slots: Slots, slot: Path) -> None:
    """Run the version's own self-test; its figures go to STATE/self-test.json.

    Raises SealError when it fails. A version that failed can't be started by mistake: it is
    neither current nor on trial.
    """
    result = slots.state / "health/self-test.json"
    command = [
        *(str(slot / "bin/octoview"), "self-test", "--engine", SELF_TEST_ENGINE),
        *("--json", str(result)),
    ]
    user = _service_user()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SELF_TEST_S, user=user
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SealError(f"{slot.name}: self-test did not run: {error}") from error
    if done.returncode:
        # The verdict is its last word on stdout; libraries warn on stderr whenever they like.
        last = (done.stderr + done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise SealError(f"{slot.name}: self-test failed: {last[0]}; the version before runs on")


def compile_code(slot: Path) -> None:
    """Byte code for a quick start; only root can write it, so no other user can slip code in."""
    python = slot / "bin/python3"
    if python.exists():
        command = [str(python), "-I", "-m", "compileall", "-q", str(slot / "lib")]
        # A file that no Python of this version can read is a library's test: no harm.
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def read_release(slot: Path) -> dict[str, str]:
    """release.json of a version: `version`, `target` and what else was packaged.

    Raises SealError without one.
    """
    try:
        content = json.loads((slot / RELEASE).read_text(encoding="utf-8"))
        return {"version": content["version"], "target": content["target"], **content}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SealError(f"{slot / RELEASE}: can't be read; install the version again") from error


def _check_room(slots: Slots, package: Path) -> None:
    command = ["dpkg-deb", "--field", str(package), "Installed-Size"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    size_kib = int(done.stdout) if done.stdout.strip().isdigit() else 0
    needed = ROOM * size_kib / 2**20
    free = jetson.free_gib(slots.folder) or 0.0
    if free < needed:
        raise ReleaseError(
            f"{package}: needs {needed:.1f} GiB in {slots.folder}, {free:.1f} are free; remove old "
            f"logs from {slots.state / 'log'}"
        )


def _unpack(slots: Slots, package: Path, version: str) -> Path:
    """The version inside a package, complete, among the slots."""
    incoming = slots.fresh_incoming()
    done = subprocess.run(
        ["dpkg-deb", "--extract", str(package), str(incoming)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ReleaseError(f"{package}: dpkg-deb can't unpack it: {done.stderr.strip()}")
    folder = incoming / "opt/octoview" / version
    check_all(folder)
    found = read_release(folder)["version"]
    if found != version:
        raise ReleaseError(f"{package}: signed as {version}, its content says {found}")
    return slots.admit(folder)


def _service_user() -> str | None:
    """Whom root runs the self-test as, where the package has made its user."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVICE_USER).pw_name
    except KeyError:
        return None
