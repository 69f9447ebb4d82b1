"""Power, clocks and temperature while something runs, from the vendor's own tool where it is.

On a Jetson `tegrastats` reports every half second, with an NVIDIA card `nvidia-smi` does, which
reads NVML. Elsewhere there is nothing, and nothing is made up.
"""

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

_COMMANDS = {
    "tegrastats": ["--interval", "500"],
    "nvidia-smi": [
        "--query-gpu=power.draw,clocks.sm,clocks.mem,temperature.gpu",
        "--format=csv,noheader,nounits",
        "--loop-ms=500",
    ],
}
_SMI_NAMES = ("gpu_power_w", "gpu_clock_mhz", "memory_clock_mhz", "gpu_temperature_c")
_TEGRA = {
    # `VDD_IN 4996mW/4996mW`: now and on average; the module's whole input.
    "module_power_w": (re.compile(r"\bVDD_IN (\d+)(?:mW)?/"), 1e-3),
    # `GR3D_FREQ 61%@[1300]`, on older ones `GR3D_FREQ 61%@1300`; idle has no clock.
    "gpu_load_percent": (re.compile(r"\bGR3D_FREQ (\d+)%"), 1.0),
    "gpu_clock_mhz": (re.compile(r"\bGR3D_FREQ \d+%@\[?(\d+)"), 1.0),
    "cpu_temperature_c": (re.compile(r"\bcpu@(-?[\d.]+)C", re.IGNORECASE), 1.0),
    "gpu_temperature_c": (re.compile(r"\bgpu@(-?[\d.]+)C", re.IGNORECASE), 1.0),
}


class PowerLog:
    """What the tool said, line by line. `source` is its name, None where there is none."""

    def __init__(self, source: str | None) -> None:
        self.source = source
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, line: str) -> None:
        """One line of the tool; what can't be read is left out."""
        read = _tegrastats(line) if self.source == "tegrastats" else _nvidia_smi(line)
        for name, value in read.items():
            self._values[name].append(value)

    def summary(self) -> dict[str, object] | None:
        """Mean, least and most of each measure; None without a tool or without a sample."""
        if not self._values:
            return None
        measures = {
            name: {
                "mean": round(sum(values) / len(values), 2),
                "min": min(values),
                "max": max(values),
            }
            for name, values in self._values.items()
        }
        return {"source": self.source, **measures}


@contextmanager
def power_log() -> Iterator[PowerLog]:
    """Listens to the tool until the block ends."""
    source = next((name for name in _COMMANDS if shutil.which(name)), None)
    log = PowerLog(source)
    if source is None:
        yield log
        return
    tool = subprocess.Popen(
        [source, *_COMMANDS[source]],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    )
    assert tool.stdout is not None
    lines = tool.stdout

    def listen() -> None:
        for line in lines:
            log.add(line)

    listener = Thread(target=listen, name="power", daemon=True)
    listener.start()
    try:
        yield log
    finally:
        tool.terminate()
        tool.wait()
        listener.join()


def _tegrastats(line: str) -> dict[str, float]:
    found = {name: (pattern.search(line), scale) for name, (pattern, scale) in _TEGRA.items()}
    return {name: float(m[1]) * scale for name, (m, scale) in found.items() if m}


def _nvidia_smi(line: str) -> dict[str, float]:
    """One GPU a line; measures that it lacks are `[N/A]`."""
    values = {}
    for name, text in zip(_SMI_NAMES, line.split(","), strict=False):
        try:
            values[name] = float(text)
        except ValueError:
            continue
    return values
