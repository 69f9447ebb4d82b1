"""TensorRT engines, built on the device in the background after the first boot.

A build is keyed by what decides it: the model's bytes, TensorRT's library, the L4T release and the
precision. An engine of another key is built again. The status file says what goes on; the engine
appears under its name in one step, so a power cut costs nothing but time.
"""

import hashlib
import json
import subprocess
import time
from pathlib import Path

from deploy.device import durable, jetson
from deploy.device.release import sha256
from deploy.errors import DeployError

PRECISION = "fp16"
MODEL = "nano"
MISTRUSTED = 5
"""Failures in a row after which the engine is suspected: its driver may have changed. More than a
version on trial has starts, so that the version before it is first tried with the engine."""
STATUS = "status.json"


class EngineBuildError(DeployError):
    """The engine can't be built here."""


def build(slot: Path, folder: Path, root: Path = Path("/")) -> bool:
    """Build the engine of `slot`'s model into `folder`/nano.engine unless it is there.

    Returns whether a new one was built. Raises EngineBuildError without TensorRT, and when the
    build fails; the status file says so too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model, engine = slot / "models" / f"{MODEL}.onnx", folder / f"{MODEL}.engine"
    library = jetson.tensorrt(root)
    if library is None:
        _fail(folder, "no TensorRT here; apt-get install nvidia-jetpack-runtime, or run on "
                      "ONNX Runtime as now")  # fmt: skip
    if ready(slot, folder, root):
        return False
    key = _key(model, library or "", root)
    started = time.time()
    _write(folder, {"state": "building", "key": key, "model": model.name, "started": started})
    fresh = folder / f".{MODEL}.engine"
    fresh.unlink(missing_ok=True)  # of a build that a power cut ended
    command = [
        *(str(slot / "bin/octoview"), "export", str(model), "--engine", "tensorrt"),
        *("--precision", PRECISION, "--out", str(fresh)),
    ]
    # Its output goes to the journal: that is the progress.
    done = subprocess.run(command, check=False)
    if done.returncode or not fresh.is_file():
        _fail(folder, f"octoview export ended with {done.returncode}; see the journal of "
                      "octoview-engines.service", key)  # fmt: skip
    durable.sync(fresh)  # its bytes must be on the disk before its name is
    seconds, digest = round(time.time() - started, 1), sha256(fresh)
    _write(folder, {"state": "ready", "key": key, "engine": str(engine), "sha256": digest,
                    "seconds": seconds})  # fmt: skip
    # Last: its name is what starts the loop again (octoview-engine-ready.path).
    durable.rename(fresh, engine)
    return True


def options(slot: Path, folder: Path, failures: int = 0, root: Path = Path("/")) -> str:
    """Of `octoview run`: the engine if it is ready, else ONNX Runtime by name. The loop's own
    choice would be TensorRT, which builds what is not there while the cameras wait.

    failures: starts in a row that ended badly; from MISTRUSTED on the engine is left out.
    """
    engine = ready(slot, folder, root)
    if engine and failures < MISTRUSTED:
        return f"--model {engine}"
    if engine:
        print(f"{failures} failures in a row: ONNX Runtime takes the place of {engine}")
    return "--engine onnxruntime"


def ready(slot: Path, folder: Path, root: Path = Path("/")) -> Path | None:
    """The engine of `slot`'s model, if it is whole and nothing that decides it has changed."""
    model, engine = slot / "models" / f"{MODEL}.onnx", folder / f"{MODEL}.engine"
    library, status = jetson.tensorrt(root), read_status(folder)
    if not (library and model.is_file() and engine.is_file() and status["state"] == "ready"):
        return None
    expected = {"key": _key(model, library, root), "sha256": sha256(engine)}
    return engine if expected.items() <= status.items() else None


def read_status(folder: Path) -> dict[str, object]:
    """The status file; `state` is absent, building, ready or failed."""
    try:
        content = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {"state": "absent"}
    return {"state": "absent", **content} if isinstance(content, dict) else {"state": "absent"}


def _key(model: Path, library: str, root: Path) -> str:
    what = (sha256(model), library, jetson.l4t(root), jetson.model(root), PRECISION)
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def _fail(folder: Path, reason: str, key: str | None = None) -> None:
    _write(folder, {"state": "failed", "key": key, "reason": reason})
    raise EngineBuildError(reason)


def _write(folder: Path, status: dict[str, object]) -> None:
    durable.write_text(folder / STATUS, json.dumps(status, indent=2) + "\n")
