"""Running: the command as a process, watched from outside as systemd and Prometheus do."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from deploy.errors import DeployError

COMMAND = ("deploy.cli",)
# What Prometheus is told of a part of the system, and its values.
LEVEL = "octoview_{}_level"
OK, ERROR = 0, 2
# Anything that takes longer has hung, on however busy a machine.
PATIENCE_S = 240.0
_WATCHDOG_S = 1.0
_NUMBER = re.compile(r"^(octoview_\w+) (\S+)$", re.MULTILINE)


class StuckError(DeployError):
    """The process ended, or did nothing, when something was expected of it."""


class Running:
    """Context manager: `octoview run FILE` that records into the folder `drive` beside FILE, from
    its first tick on. `module`: what runs as the command. Leaving the block kills what still runs.

    Raises StuckError, from every method that waits.
    """

    def __init__(
        self,
        file: Path,
        module: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = file.parent
        self.drive = self.folder / "drive"
        self.summary = self.folder / "summary.json"
        self._port = _free_port()
        options = {
            "--model": self.folder / "model.onnx",
            "--record": self.drive,
            "--json": self.summary,
            "--metrics": self._port,
        }
        words = ["run", str(file), *(str(word) for pair in options.items() for word in pair)]
        self._command = [sys.executable, "-m", *module, *words]
        notify = self.folder / "notify"
        self._environment = {
            **os.environ,
            **(environment or {}),
            "NOTIFY_SOCKET": str(notify),
            "WATCHDOG_USEC": str(round(_WATCHDOG_S * 1e6)),
        }
        self._signs = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._signs.bind(str(notify))
        self._errors = self.folder / "errors.txt"

    def __enter__(self) -> "Running":
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=errors
            )
        try:
            self.sign("READY=1")
        except StuckError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._signs.close()

    @property
    def errors(self) -> str:
        """What it wrote on stderr."""
        return self._errors.read_text(errors="replace")

    def sign(self, wanted: str) -> None:
        """Wait until systemd would be told `wanted`."""
        give_up_s = time.monotonic() + PATIENCE_S
        self._signs.settimeout(0.5)
        while True:
            try:
                if self._signs.recv(200).decode() == wanted:
                    return
            except TimeoutError:
                self._check(give_up_s, wanted)

    def until(self, reached: Callable[[Mapping[str, float]], bool], what: str) -> None:
        """Wait until the numbers that Prometheus would be told are so."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not reached(self._metrics()):
            self._check(give_up_s, what)
            time.sleep(0.1)

    def ticks(self, count: int) -> None:
        """Wait until so many more ticks are done."""
        first = self._metrics().get("octoview_frame_sets_ticks", 0)
        self.until(
            lambda now: now.get("octoview_frame_sets_ticks", 0) >= first + count, f"{count} ticks"
        )

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise StuckError(f"{number.name} does not end it") from error

    def _check(self, give_up_s: float, what: str) -> None:
        if self.process.poll() is not None:
            raise StuckError(f"ended with {self.process.returncode} before {what}: {self.errors}")
        if time.monotonic() > give_up_s:
            raise StuckError(f"{what}: not within {PATIENCE_S:g} s")

    def _metrics(self) -> Mapping[str, float]:
        address = f"http://127.0.0.1:{self._port}/metrics"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return {name: float(value) for name, value in _NUMBER.findall(text)}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
