"""A surround head as ONNX, behind a gate: the reloaded file must compute what torch does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from scipy.ndimage import zoom

from calib.rig import Camera, load_rig
from export.export import partial_file
from export.onnx_file import write_graph
from perception.spec import PRESETS
from perception.surround.checkpoint import load_head
from perception.surround.lookup import rig_lookup
from perception.surround.network import SurroundHead
from perception.surround.spec import SurroundSpec

Scene = NDArray[np.float32]
Lookup = NDArray[np.float32]
Infer = Callable[[Scene, Lookup], NDArray[np.float32]]
"""The head's inputs to its output, as SurroundSpec has them."""
Engines = Mapping[str, Callable[[Path], Infer]]

# Largest difference of a logit, and least for a change that must show.
LIMIT, LEAST = 2e-3, 5e-3


@dataclass(frozen=True)
class SurroundParity:
    """`largest`: difference of a logit from torch's. No `failures`: the file may be used."""

    largest: float
    failures: tuple[str, ...]


def write_head(head: SurroundHead, path: Path) -> None:
    """Write the head to `path`, with free numbers of cameras and looks and sizes of the maps."""
    spec = head.spec
    scene, rig = _example(spec, 2)
    lookup = _lookup(rig, spec)
    write_graph(
        head,
        (torch.from_numpy(scene), torch.from_numpy(lookup)),
        spec.inputs,
        (spec.output,),
        spec.metadata,
        path,
    )


def export_head(checkpoint: Path, path: Path, engines: Engines) -> dict[str, SurroundParity]:
    """Write `path` from `checkpoint`, but only if the reloaded file passes in every engine.

    Raises CheckpointError, SpecError, and ExportError for a path that can't be written.
    """
    head = load_head(checkpoint)
    with partial_file(path) as partial:
        write_head(head, partial)
        parities = {name: check_head(head, load(partial)) for name, load in engines.items()}
        if not any(parity.failures for parity in parities.values()):
            partial.replace(path)
    return parities


def onnxruntime_head(path: Path) -> Infer:
    """ONNX Runtime on the CPU, as a plain callable."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in session.get_inputs()]

    def infer(scene: Scene, lookup: Lookup) -> NDArray[np.float32]:
        inputs = dict(zip(names, (scene, lookup), strict=True))
        return np.asarray(session.run(None, inputs)[0], np.float32)

    return infer


def openvino_head(path: Path) -> Infer:
    """OpenVINO on the CPU in float32, as a plain callable."""
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def infer(scene: Scene, lookup: Lookup) -> NDArray[np.float32]:
        return np.array(model([scene, lookup])[0], np.float32)

    return infer


def engines_here() -> Engines:
    """Those of the two that are installed; the first always is."""
    here: dict[str, Callable[[Path], Infer]] = {"onnxruntime": onnxruntime_head}
    if find_spec("openvino"):
        here["openvino"] = openvino_head
    return here


def check_head(head: SurroundHead, infer: Infer) -> SurroundParity:
    """Compare with torch for one, five and eight cameras, with controls: other pictures and
    another calibration change the output, another order of the cameras does not, and pictures
    in the places of others do."""
    failures, largest = [], 0.0
    for cameras in (1, 5, 8):
        scene, rig = _example(head.spec, cameras)
        lookup = _lookup(rig, head.spec)
        with torch.no_grad():
            expected = head.eval()(torch.from_numpy(scene), torch.from_numpy(lookup)).numpy()
        actual = infer(scene, lookup)
        if actual.shape != expected.shape or not np.isfinite(actual).all():
            return SurroundParity(np.inf, (f"{cameras} cameras: {actual.shape} or not finite",))
        largest = max(largest, float(np.abs(actual - expected).max()))
    if largest > LIMIT:
        failures.append(f"logits differ by {largest:.2g} (limit {LIMIT:g})")

    def moved(scene: Scene, lookup: Lookup) -> float:
        return float(np.abs(infer(scene, lookup) - actual).max())

    nudged = lookup + np.array([0.1, 0.1, 0], np.float32)
    for what, change in (
        ("other pictures", moved(-scene, lookup)),
        ("another calibration", moved(scene, nudged)),
        ("swapped pictures", moved(scene[::-1].copy(), lookup)),
    ):
        if change < LEAST:
            failures.append(f"{what} change the output by {change:.2g} only")
    reordered = moved(scene[::-1].copy(), _lookup(rig[::-1], head.spec))
    if reordered > LIMIT:
        failures.append(f"the order of the cameras changes the output by {reordered:.2g}")
    return SurroundParity(largest, tuple(failures))


def _example(spec: SurroundSpec, cameras: int) -> tuple[Scene, tuple[Camera, ...]]:
    """Smooth random logits of the nano preset's size, each camera's different, and the first
    cameras of hw2."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 3, (cameras, len(spec.scene_classes), 12, 16))
    scene = zoom(coarse, (1, 1, 10, 10), order=1).astype(np.float32)
    return scene, load_rig("hw2").cameras[:cameras]


def _lookup(cameras: tuple[Camera, ...], spec: SurroundSpec) -> Lookup:
    return rig_lookup(cameras, PRESETS["nano"], spec).values
