"""Health of the whole: what the platform tells, deadlines with the load at that moment, a slow
engine."""

import os
from pathlib import Path

import pytest

from deploy.health import probe as probe_module
from deploy.health.probe import Probe
from deploy.health.system import Recording, SystemHealth, SystemMonitor


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of two thermal zones and two processors, one of them throttled; another zone
    refuses to be read."""
    for zone, millidegrees in enumerate(("45000", "71500", "no number")):
        write(tmp_path / f"thermal/thermal_zone{zone}/temp", millidegrees)
    for cpu, khz in enumerate(("1900000", "500000")):
        write(tmp_path / f"cpu/cpu{cpu}/cpufreq/scaling_cur_freq", khz)
        write(tmp_path / f"cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq", "2000000")
    monkeypatch.setattr(probe_module, "_ZONES", tmp_path / "thermal")
    monkeypatch.setattr(probe_module, "_CPUS", tmp_path / "cpu")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def update(
    monitor: SystemMonitor, latency_ms: float = 50.0, engine_ms: float = 20.0
) -> SystemHealth:
    return monitor.update(latency_ms, engine_ms, {}, "", {}, Recording())


def test_the_hottest_zone_and_the_slowest_clock_are_told(platform: Path) -> None:
    monitor = SystemMonitor(100.0, Probe(platform, every_s=0))
    machine = update(monitor)["machine"]
    assert machine.level == "ok" and machine.values["temperature_c"] == 71.5
    assert machine.values["clock_share"] == 0.25 and machine.values["disk_free_gib"] > 0
    write(platform / "thermal/thermal_zone0/temp", "96000")
    machine = update(monitor)["machine"]
    assert machine.level == "warn" and machine.message == "96 degrees C"


def test_a_platform_that_tells_nothing_has_no_such_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "_ZONES", tmp_path)
    monkeypatch.setattr(probe_module, "_CPUS", tmp_path)
    machine = update(SystemMonitor(100.0, Probe()))["machine"]
    assert not {"temperature_c", "clock_share", "disk_free_gib"} & set(machine.values)
    assert machine.values["memory_mib"] > 1 and machine.values["descriptors"] > 2


def test_a_missed_deadline_keeps_the_load_of_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = SystemMonitor(100.0, Probe(every_s=3600))
    assert "last_miss_load_1min" not in update(monitor, latency_ms=99)["deadline"].values
    monkeypatch.setattr(os, "getloadavg", lambda: (7.5, 0.0, 0.0))
    missed = update(monitor, latency_ms=130)["deadline"]
    assert (missed.level, missed.message) == ("warn", "result after 130 ms")
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 0.0, 0.0))
    later = update(monitor, latency_ms=60)["deadline"]
    assert (later.level, later.message) == ("ok", "kept")
    for part in (missed, later):
        assert part.values["missed"] == 1 and part.values["last_miss_latency_ms"] == 130
        assert part.values["last_miss_load_1min"] == 7.5
        assert 0 <= part.values["last_miss_cpu_busy"] <= 1


def test_an_engine_that_is_slow_twice_is_named_and_an_outlier_is_not() -> None:
    monitor = SystemMonitor(100.0, Probe())
    took = [20, 22, 18, 100, 20, 20, 100, 100, 100, 20, 20]
    levels = [update(monitor, engine_ms=ms)["engine"].level for ms in took]
    assert levels == ["ok"] * 7 + ["warn"] * 3 + ["ok"]
    assert "slow: 100 ms, usually 20 ms" in [
        update(monitor, engine_ms=ms)["engine"].message for ms in (100, 100)
    ]
