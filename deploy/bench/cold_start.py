"""Cold start: a fresh process from its start to the end of its first tick, and its memory."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from deploy.errors import EngineError

_LIMIT_S = 300


def cold_start(model: Path, engine: str, images: Mapping[str, bytes]) -> dict[str, float]:
    """Seconds to the end of the first tick of the hw2 rig, and the peak of resident memory in MB.

    images: a JPEG by camera. Raises EngineError when the process fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, data in images.items():
            (Path(folder) / f"{name}.jpg").write_bytes(data)
        command = [sys.executable, "-m", __name__, str(model.resolve()), engine, folder]
        start = time.monotonic()
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_LIMIT_S, check=True
            )
        except subprocess.SubprocessError as error:
            raise EngineError(f"{model}: a fresh process can't run a tick ({error})") from error
    result = json.loads(done.stdout)
    # One clock for all processes of a Linux machine.
    return {
        "seconds": round(result["first_tick_at"] - start, 3),
        "peak_memory_mb": result["peak_memory_mb"],
    }


def main(model: str, engine: str, folder: str) -> None:
    """The fresh process: one tick, then a line of JSON."""
    from calib.rig import load_rig
    from deploy.log.reader import EncodedImage
    from deploy.loop.engine import load_engine
    from deploy.loop.frames import EncodedSet
    from deploy.loop.pipeline import Pipeline

    rig = load_rig("hw2")
    pipeline = Pipeline(rig, load_engine(model, engine=engine))
    images = {
        name: EncodedImage(name, 0, (Path(folder) / f"{name}.jpg").read_bytes(), "jpeg")
        for name in rig.names
    }
    pipeline.tick(EncodedSet(0, 0, images, frozenset()))
    now = time.monotonic()
    print(json.dumps({"first_tick_at": now, "peak_memory_mb": _peak_memory_mb()}))


def _peak_memory_mb() -> float:
    """From /proc: getrusage would give the parent's peak, which survives fork and exec."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise OSError("/proc/self/status has no VmHWM")


if __name__ == "__main__":
    main(*sys.argv[1:])
