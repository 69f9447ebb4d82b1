"""A version as small as one can be, and the package that carries it."""

import json
import subprocess
from pathlib import Path

from deploy.device.release import sign
from deploy.device.seal import seal

TARGET = "jetson-orin-jp6"
# Says its version, and fails its self-test where the version is told to.
_PROGRAM = """#!/bin/sh
case "$1" in
    self-test) echo "a library warns" >&2; echo "self-test of {version}: {verdict}"; exit {code} ;;
    *) echo "{version} $*" ;;
esac
"""


def make_version(
    folder: Path, version: str, keys: tuple[Path, ...] = (), good: bool = True, files: int = 3
) -> Path:
    """A sealed version below `folder`; `files` pads it."""
    slot = folder / version
    (slot / "bin").mkdir(parents=True)
    program = slot / "bin/octoview"
    verdict = "passed" if good else "failed: objects differ"
    program.write_text(_PROGRAM.format(version=version, verdict=verdict, code=0 if good else 1))
    program.chmod(0o755)
    (slot / "bin/link").symlink_to("octoview")
    for number in range(files):
        (slot / f"file{number}").write_text(f"{version} {number}\n" * 100)
    for key in keys:
        (slot / "keys").mkdir(exist_ok=True)
        (slot / "keys" / key.name).write_bytes(key.read_bytes())
    content = {"version": version, "target": TARGET}
    (slot / "release.json").write_text(json.dumps(content))
    seal(slot)
    return slot


def make_package(
    folder: Path,
    version: str,
    key: Path,
    keys: tuple[Path, ...] = (),
    good: bool = True,
    files: int = 3,
    target: str = TARGET,
) -> Path:
    """A signed .deb of such a version, by dpkg-deb and openssl themselves."""
    root = folder / f"root-{version}"
    make_version(root / "opt/octoview", version, keys, good, files)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(
        f"Package: octoview\nVersion: {version}\nArchitecture: arm64\nInstalled-Size: {1 << 20}\n"
        "Maintainer: Nobody <nobody@localhost>\nDescription: fake\n"
    )
    package = folder / f"octoview_{version}_arm64.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(root), str(package)]
    subprocess.run(command, check=True, capture_output=True)
    sign(package, version, target, key)
    return package


def make_key(folder: Path, name: str) -> tuple[Path, Path]:
    """(private, public) Ed25519 key by openssl."""
    private, public = folder / f"{name}.key", folder / f"{name}.pem"
    for command in (
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)],
        ["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return private, public
