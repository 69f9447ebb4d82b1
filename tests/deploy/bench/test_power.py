"""Power from the vendor's tool: stand-ins that print what the real ones print, as processes."""

import time
from pathlib import Path

import pytest

from deploy.bench.power import PowerLog, power_log

ORIN = (
    "11-24-2026 10:00:00 RAM 3170/7620MB (lfb 2x4MB) SWAP 0/3810MB (cached 0MB) "
    "CPU [12%@1510,5%@1510,off,off] EMC_FREQ 3%@2133 GR3D_FREQ 61%@[624] cpu@48.5C soc2@46.3C "
    "gpu@47.1C tj@48.5C VDD_IN 8123mW/7990mW VDD_CPU_GPU_CV 1234mW/1200mW VDD_SOC 1400mW/1400mW"
)
XAVIER = "RAM 2/7 CPU [2%@1190] GR3D_FREQ 0%@114 CPU@35C GPU@34.5C VDD_IN 3120/3120"


def stand_in(folder: Path, name: str, line: str) -> None:
    script = folder / name
    script.write_text(
        f'#!/bin/sh\necho "garbage"\nwhile true; do echo "{line}"; sleep 0.05; done\n'
    )
    script.chmod(0o755)


def test_lines_of_tegrastats() -> None:
    log = PowerLog("tegrastats")
    log.add(ORIN)
    log.add(XAVIER)
    summary = log.summary()
    assert summary is not None and summary["source"] == "tegrastats"
    assert summary["module_power_w"] == {"mean": pytest.approx(5.62), "min": 3.12, "max": 8.123}
    assert summary["gpu_clock_mhz"] == {"mean": 369.0, "min": 114.0, "max": 624.0}
    assert summary["gpu_load_percent"]["max"] == 61
    assert summary["cpu_temperature_c"]["min"] == 35 and summary["gpu_temperature_c"]["max"] == 47.1


@pytest.mark.parametrize(
    ("tool", "line", "measure", "value"),
    [
        ("tegrastats", ORIN, "module_power_w", 8.123),
        ("nvidia-smi", "71.25, 1980, 2619, 34", "gpu_power_w", 71.25),
        ("nvidia-smi", "[N/A], 1980, 2619, 34", "gpu_clock_mhz", 1980.0),
    ],
)
def test_a_tool_that_is_there_is_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, line: str, measure: str, value
) -> None:
    stand_in(tmp_path, tool, line)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with power_log() as log:
        deadline = time.monotonic() + 10
        while log.summary() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    summary = log.summary()
    assert summary is not None and summary["source"] == tool
    assert summary[measure]["mean"] == pytest.approx(value, abs=0.01)
    assert "[N/A]" not in line or "gpu_power_w" not in summary


def test_without_a_tool_nothing_is_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with power_log() as log:
        pass
    assert log.source is None and log.summary() is None
