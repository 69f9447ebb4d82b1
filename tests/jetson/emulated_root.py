"""An arm64 Debian in a folder, its programs run by qemu-user."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
INCLUDED = "python3,python3.11,openssl,adduser,libstdc++6"
MOUNTED = ("proc", "sys", "dev")
"""ONNX Runtime asks /sys for the processors, and aborts without an answer."""

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
# Magic and mask of a 64-bit Arm program, as Debian's qemu-user-static registers them.
_AARCH64 = (
    r":qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"
    r"\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"
    "/usr/bin/qemu-aarch64-static:OCF"
)


class EmulatedRoot:
    """Context manager; makes the root if it is not there, and mounts what programs need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> "EmulatedRoot":
        if not (_BINFMT / "status").exists():
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)], check=True)
        if not (_BINFMT / "qemu-aarch64").exists():
            (_BINFMT / "register").write_text(_AARCH64)
        if not (self.folder / "usr/bin/python3").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            command = [
                *("debootstrap", "--arch=arm64", "--variant=minbase", f"--include={INCLUDED}"),
                *(SUITE, str(self.folder), MIRROR),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for name in MOUNTED:
            subprocess.run(["mount", "--bind", f"/{name}", str(self.folder / name)], check=True)
        # No service is started by an installation.
        policy = self.folder / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        return self

    def __exit__(self, *error: object) -> None:
        for name in MOUNTED:
            subprocess.run(["umount", "-l", str(self.folder / name)], check=False)

    def run(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a program in the root; `code` is what it must end with, None for any."""
        done = subprocess.run(self._command(words), capture_output=True, text=True, env=_ENV)
        if code is not None and done.returncode != code:
            raise RuntimeError(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def run_and_kill(self, *words: str, after_s: float) -> bool:
        """Run a program and kill -9 all that runs in the root; whether it was still running.

        All of it: apt gives dpkg a session of its own. Stopped first, so that nothing goes on for
        a moment without what it talks to.
        """
        process = subprocess.Popen(
            self._command(words), env=_ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(after_s)
        running = process.poll() is None
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for one in self._processes():
                with suppress(ProcessLookupError):
                    os.kill(one, number)
        process.wait()
        while self._processes():
            time.sleep(0.05)
        return running

    def _processes(self) -> list[int]:
        """Everything whose root directory is this one."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (entry / "root").readlink() == self.folder:
                    found.append(int(entry.name))
        return found

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return ["chroot", str(self.folder), *words]


_ENV = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
