"""A Linux_for_Tegra made of scripts that write down how they were called, and a fake lsusb."""

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.flash import bsp as bsp_checks
from deploy.package.deb import make_deb
from tests.deploy.command_line import Octoview, command_line

EPOCH = 1_700_000_000
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbcdefghijklmnop anna@host\n"

_RECORDER = """#!/bin/sh
# {name}
for word in "$@"; do printf '%s\\n' "$word" >> "{calls}"; done
printf '{name}\\n' >> "{calls}"
{then}
"""


@dataclass
class Bench:
    """What lies on the table: a tree, its archive, a package, a key, a USB port."""

    folder: Path
    tree: Path
    archive: Path
    package: Path
    key: Path
    calls: Path
    usb: Path

    def arguments(self, **changes: object) -> list[str]:
        """Options of a good order, some of them changed; None leaves one out."""
        options: dict[str, object] = {
            "board": "orin-nano",
            "l4t": "36.4.4",
            "bsp": self.tree,
            "archive": self.archive,
            "sha256": hashlib.sha256(self.archive.read_bytes()).hexdigest(),
            "package": self.package,
            "user": "anna",
            "ssh-key": self.key,
            "hostname": "car7",
            **{name.replace("_", "-"): value for name, value in changes.items()},
        }
        words = ["--accept-nvidia-license"]
        for name, value in options.items():
            if value is not None:
                words += [f"--{name}", str(value)]
        return words

    def called(self) -> list[str]:
        """Every word that NVIDIA's scripts were called with, each call ended by its name."""
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def files(self) -> set[str]:
        """Everything in the tree."""
        return {str(p.relative_to(self.tree)) for p in self.tree.rglob("*")}


def make_package(folder: Path, target: str) -> Path:
    root = folder / f"root-{target}"
    (root / "opt").mkdir(parents=True)
    control = {
        "Package": "octoview",
        "Version": "0.2.0",
        "Architecture": "arm64",
        "Maintainer": "Nobody <nobody@localhost>",
        "Octoview-Target": target,
        "Octoview-Manifest": "c0ffee",
        "Description": "fake",
    }
    package = folder / f"octoview-{target}.deb"
    make_deb(root, control, package, EPOCH)
    return package


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    tree, calls, usb = tmp_path / "Linux_for_Tegra", tmp_path / "calls", tmp_path / "usb"
    make_user = f'echo "anna:x:1000:1000::/home/anna:/bin/bash" >> "{tree}/rootfs/etc/passwd"; '
    make_user += f'echo "anna:secret-hash:19000::::::" >> "{tree}/rootfs/etc/shadow"'
    scripts = {
        "tools/kernel_flash/l4t_initrd_flash.sh": "",
        "l4t_initrd_flash.sh": "",
        "tools/l4t_create_default_user.sh": make_user,
        "jetson-orin-nano-devkit-super.conf": "",
        "jetson-agx-orin-devkit.conf": "",
        "jetson-agx-thor-devkit.conf": "",
    }
    archive = tmp_path / "Jetson_Linux_R36.4.4_aarch64.tbz2"
    with tarfile.open(archive, "w:bz2") as tar:
        for name, then in scripts.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_RECORDER.format(name=name, calls=calls, then=then))
            path.chmod(0o755)
            entry = tarfile.TarInfo(f"Linux_for_Tegra/{name}")
            entry.size = path.stat().st_size
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    rootfs = tree / "rootfs/etc"
    rootfs.mkdir(parents=True)
    (rootfs / "nv_tegra_release").write_text("# R36 (release), REVISION: 4.4, GCID: 1, BOARD: x\n")
    (rootfs / "passwd").write_text("root:x:0:0::/root:/bin/bash\n")
    (rootfs / "shadow").write_text("root:*:19000::::::\n")

    programs = tmp_path / "programs"
    programs.mkdir()
    lsusb = programs / "lsusb"
    lsusb.write_text(f'#!/bin/sh\n[ "$1 $2" = "-d 0955:" ] && cat "{usb}"\n')
    lsusb.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    usb.write_text("Bus 001 Device 004: ID 0955:7523 NVIDIA Corp. APX\n")
    monkeypatch.setattr(bsp_checks, "FREE_GIB", 0)

    key = tmp_path / "id.pub"
    key.write_text(KEY)
    package = make_package(tmp_path, "jetson-orin-jp6")
    return Bench(tmp_path, tree, archive, package, key, calls, usb)


@pytest.fixture
def octoview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Octoview:
    return command_line(monkeypatch, capsys)


def put_ssh(bench: Bench, answer: dict[str, object] | str, code: int = 0) -> Path:
    """A fake ssh on PATH that answers; the file returned holds its arguments, one a line."""
    seen, reply = bench.folder / "ssh-seen", bench.folder / "ssh-reply"
    reply.write_text(answer if isinstance(answer, str) else json.dumps(answer))
    ssh = bench.folder / "programs/ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{seen}"\ncat "{reply}"\nexit {code}\n')
    ssh.chmod(0o755)
    return seen
