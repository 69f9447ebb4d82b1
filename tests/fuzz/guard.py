"""What no parser may do, whatever it is given: hang, fill the memory, open a socket, unpickle, or
start a process."""

import re
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SECONDS = 20
"""Of processor time; beyond it a parser counts as hung. All of them take milliseconds."""
MEGABYTES = 700
"""Resident memory that one input may add."""
_ROOM = 4 << 30
"""Address space that it may add before it gets a MemoryError: the machine is not ours alone."""

_FORBIDDEN = ("socket.", "pickle.", "subprocess.Popen", "os.system", "os.exec", "os.fork")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_watched = threading.Event()


class Broken(BaseException):  # no `except Exception` of a parser may hide it
    """A parser did what it may not."""


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _watched.is_set() and event.startswith(_FORBIDDEN):
        raise Broken(f"{event}{arguments[:2]!r}")


sys.addaudithook(_audit)


@contextmanager
def guarded(seconds: int = SECONDS, megabytes: int = MEGABYTES) -> Iterator[None]:
    """Raises Broken when the block hangs, takes memory, or does what is forbidden."""

    def hung(number: int, frame: FrameType | None) -> None:
        raise Broken(f"no end after {seconds} s")

    before = signal.signal(signal.SIGPROF, hung)
    _CLEAR.write_text("5")  # begin the peak of resident memory anew (proc(5))
    start = _kilobytes("VmRSS")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_kilobytes("VmSize") * 1024 + _ROOM, limits[1]))
    _watched.set()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _watched.clear()
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGPROF, before)
    taken = (_kilobytes("VmHWM") - start) // 1024
    if taken > megabytes:
        raise Broken(f"took {taken} MB")


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+)", _STATUS.read_text(), re.MULTILINE)
    assert found
    return int(found[1])
