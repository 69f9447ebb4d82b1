"""Where a process and its children listen, as the kernel tells (proc(5), /proc/net/tcp)."""

import ipaddress
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTENS = "0A"


def listening(pid: int) -> set[str]:
    """ADDRESS:PORT of every TCP socket that listens, and of every bound UDP socket."""
    owned = set()
    for one in family(pid):
        with suppress(OSError):
            for link in (Path("/proc") / str(one) / "fd").iterdir():
                with suppress(OSError):
                    owned.add(str(link.readlink()))
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in (Path("/proc") / str(pid) / "net" / table).read_text().splitlines()[1:]:
            words = line.split()
            waits = words[3] == _LISTENS or table.startswith("udp")
            if waits and f"socket:[{words[9]}]" in owned:
                address, port = words[1].split(":")
                found.add(f"{_address(address)}:{int(port, 16)}")
    return found


def family(pid: int) -> Iterator[int]:
    """The process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def seen_listening(process: subprocess.Popen, seconds: float) -> set[str]:
    """Everything that it listens on while it runs, for at most so long."""
    found: set[str] = set()
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError):  # it ended in between
            found |= listening(process.pid)
        time.sleep(0.02)
    return found


def _address(text: str) -> str:
    """Words of 32 bits, each in the machine's order."""
    packed = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    address = ipaddress.ip_address(packed)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
