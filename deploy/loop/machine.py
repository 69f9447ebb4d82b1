"""What this machine is: processor, cores, load. Read from Linux, nothing is changed."""

import os
import platform
from pathlib import Path

# Instruction sets that decide how fast the loop's kernels run.
FEATURES = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "amx_int8"),  # x86
    *("asimd", "asimddp", "fphp", "i8mm", "sve"),  # Arm
)


def usable_cpus() -> list[int]:
    """Logical processors that this process may use."""
    return sorted(os.sched_getaffinity(0))


def physical_cores() -> int:
    """Physical cores among the usable processors: two threads of one core share its arithmetic
    units, so a second compute thread there only costs."""
    siblings = set()
    for cpu in usable_cpus():
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            siblings.add(path.read_text())
        except OSError:
            siblings.add(str(cpu))
    return len(siblings)


def machine() -> dict[str, object]:
    """Description for reports: processor, cores, memory, load, system."""
    info = _colon_file("/proc/cpuinfo")
    flags = set(info.get("flags", info.get("Features", "")).split())
    memory_kib = int(_colon_file("/proc/meminfo").get("MemTotal", "0 kB").split()[0])
    return {
        "cpu": info.get("model name", platform.machine()),
        "cpu_features": [feature for feature in FEATURES if feature in flags],
        "logical_cpus": len(usable_cpus()),
        "physical_cores": physical_cores(),
        "memory_gib": round(memory_kib / 2**20, 1),
        "load_1min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _colon_file(path: str) -> dict[str, str]:
    """First value of each `name : value` line."""
    values: dict[str, str] = {}
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return values
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            values.setdefault(name.strip(), value.strip())
    return values
