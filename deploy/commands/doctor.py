"""`octoview doctor`: what this machine has, and whether the loop can run on it."""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import starmap
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
import typer
from rich.console import Console, OverflowMethod
from rich.table import Table

from deploy.commands.doctor_jetson import jetson_lines
from deploy.commands.json_file import JsonFile, write_json
from deploy.errors import EngineError
from deploy.loop.engine import load_engine, shipped_model
from deploy.loop.machine import machine
from deploy.loop.runtimes import CPU_ENGINES, ENGINES, PROVIDERS, REFERENCE, choose, missing
from deploy.native import CUDA_LIBRARY, is_built
from export.errors import ExportError
from export.gpu import find_gpu

SCHEMA = "octoview.doctor/1"
REQUIRED = ("octoview", "numpy", "opencv-python-headless", "onnxruntime", "mcap", "av", "protobuf")
OPTIONAL = ("moderngl", "torch", "onnx", "safetensors", "faster-coco-eval")

State = Literal["ok", "absent", "failed"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `absent`: optional and not there. `failed`: the loop needs it."""

    group: str
    name: str
    state: State
    detail: str


def doctor(
    json_file: JsonFile = None,
) -> None:
    """Show engines, GPU, processor, codecs, simulator, versions and the shipped model.

    Ends with exit code 1 when something is missing that the loop can't run without.

    Example: octoview doctor --json doctor.json
    """
    findings = examine()
    table = Table(show_header=False)
    overflows: tuple[OverflowMethod, ...] = ("ellipsis", "ellipsis", "ellipsis", "fold")
    for overflow in overflows:
        table.add_column(overflow=overflow)
    marks = {"ok": "[green]ok[/]", "absent": "[dim]absent[/]", "failed": "[red]FAILED[/]"}
    group = None
    for finding in findings:
        if finding.group != group:
            table.add_section()
        shown = finding.group if finding.group != group else ""
        group = finding.group
        table.add_row(shown, finding.name, marks[finding.state], finding.detail)
    console = Console()
    console.print(table)
    failed = [finding for finding in findings if finding.state == "failed"]
    content = {
        "schema": SCHEMA,
        "ok": not failed,
        "machine": machine(),
        "findings": [asdict(finding) for finding in findings],
    }
    write_json(json_file, content)
    for finding in failed:
        print(f"{finding.group}, {finding.name}: {finding.detail}")
    if failed:
        raise typer.Exit(1)
    print("the loop can run here")


def examine() -> list[Finding]:
    """Everything that is looked at, in the order in which it is shown."""
    return [
        *_system(),
        *_packages(),
        *_engines(),
        *_kernels(),
        _gpu(),
        *_codecs(),
        _simulator(),
        _model(),
        *starmap(Finding, jetson_lines()),
    ]


def _system() -> list[Finding]:
    computer = machine()
    features = computer["cpu_features"]
    assert isinstance(features, list)
    cores = f"{computer['physical_cores']} cores, {computer['logical_cpus']} logical"
    return [
        Finding("machine", "system", "ok", str(computer["system"])),
        Finding("machine", "processor", "ok", f"{computer['cpu']}, {cores}"),
        Finding("machine", "instructions", "ok", " ".join(features) or "none that matter"),
        Finding("machine", "memory", "ok", f"{computer['memory_gib']} GiB"),
        Finding("python", "python", "ok", f"{platform.python_version()} at {sys.executable}"),
    ]


def _packages() -> list[Finding]:
    findings = []
    for package in (*REQUIRED, *OPTIONAL):
        try:
            findings.append(Finding("python", package, "ok", version(package)))
        except PackageNotFoundError:
            required = package in REQUIRED
            detail = "pip install octoview again" if required else "only for sim, train and export"
            state: State = "failed" if required else "absent"
            findings.append(Finding("python", package, state, detail))
    return findings


def _engines() -> list[Finding]:
    chosen = choose()
    findings = []
    for engine in ENGINES:
        if reason := missing(engine):
            findings.append(Finding("engines", engine, "absent", reason))
            continue
        detail = f"{_version(engine)}, {'CPU' if engine in CPU_ENGINES else 'GPU'}"
        if engine == chosen.name:
            detail += f"; chosen: {chosen.why}"
        findings.append(Finding("engines", engine, "ok", detail))
    return findings


def _version(engine: str) -> str:
    """Of the package that holds it: one module may come in several."""
    module = engine.split("-")[0] if engine in PROVIDERS else engine.replace("-", "_")
    return str(import_module(module).__version__).split("-")[0]


def _kernels() -> list[Finding]:
    if is_built():
        native = Finding("kernels", "native", "ok", "C++; chosen for preprocess and decode")
    else:
        remedy = "install a C++17 compiler, then octoview again"
        detail = f"the reference, which is slower, does preprocess and decode; {remedy}"
        native = Finding("kernels", "native", "absent", detail)
    if CUDA_LIBRARY.is_file():
        cuda = Finding("kernels", "cuda", "ok", f"{CUDA_LIBRARY.name}; not used by the loop yet")
    else:
        remedy = "for C++ programs alone; install the CUDA toolkit, then octoview again"
        cuda = Finding("kernels", "cuda", "absent", remedy)
    return [native, cuda]


def _gpu() -> Finding:
    try:
        gpu = find_gpu()
    except ExportError as error:
        return Finding("gpu", "nvidia", "absent", str(error))
    return Finding("gpu", "nvidia", "ok", f"{gpu.key}; driver {gpu.driver}")


def _codecs() -> list[Finding]:
    picture = np.zeros((64, 64, 3), np.uint8)
    checks: list[tuple[str, Callable[[], bool]]] = [
        ("jpeg", lambda: _round_trip(picture, ".jpg")),
        ("png", lambda: _round_trip(picture, ".png")),
        ("webp", lambda: _round_trip(picture, ".webp")),
        ("h264", lambda: _h264_round_trip(picture)),
    ]
    findings = []
    for name, works in checks:
        try:
            good, detail = works(), "encodes and decodes"
        except (cv2.error, av.FFmpegError, ValueError) as error:
            good, detail = False, str(error).splitlines()[0]
        findings.append(Finding("codecs", name, "ok" if good else "failed", detail))
    return findings


def _round_trip(picture: np.ndarray, suffix: str) -> bool:
    data = cv2.imencode(suffix, picture)[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return decoded is not None and decoded.shape == picture.shape


def _h264_round_trip(picture: np.ndarray) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "test.mp4")
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode(None))
        with av.open(path) as container:
            return sum(1 for _ in container.decode(video=0)) == 1


def _simulator() -> Finding:
    """In a process of its own: a broken graphics driver may bring its process down."""
    program = (
        "import moderngl; context = moderngl.create_context(standalone=True, backend='egl');"
        "print(context.info['GL_RENDERER'])"
    )
    name = "EGL"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("simulator", name, "absent", str(error))
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Finding("simulator", name, "absent", f"{reason}; only `octoview sim` needs it")
    return Finding("simulator", name, "ok", done.stdout.strip())


def _model() -> Finding:
    path = shipped_model()
    try:
        spec = load_engine(path, engine=REFERENCE).spec
    except EngineError as error:
        return Finding("model", path.name, "failed", str(error))
    return Finding("model", path.name, "ok", f"preset {spec.preset}, spec hash {spec.hash[:12]}")
