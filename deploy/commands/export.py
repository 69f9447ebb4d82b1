"""`octoview export`: checkpoint to ONNX behind the parity gate, and ONNX to engine files."""

import re
from collections.abc import Callable
from dataclasses import asdict
from enum import Enum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.json_file import JsonFile, write_json
from deploy.loop.engine import load_engine
from deploy.loop.runtimes import ENGINES, missing
from export.errors import ExportError
from export.gpu import find_gpu
from export.tensorrt_file import SUFFIX
from export.tensorrt_runtime import MODULES, load_runtime
from export.tensorrt_target import (
    MOST_CAMERAS,
    Precision,
    Target,
    ahead_of_time,
    this_machine,
)
from perception.data.dataset import open_dataset

if TYPE_CHECKING:
    from export.export import Engines, Int8Export
    from export.parity import Infer, Parity


_CAPABILITY = re.compile(r"\d+\.\d+")


class EngineName(str, Enum):
    ONNX = "onnx"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


class PrecisionName(str, Enum):
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def export(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="CHECKPOINT",
            help="Weights (.safetensors), or for an engine an .onnx file too.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write.")],
    engine: Annotated[EngineName, typer.Option(help="What the file is for.")] = EngineName.ONNX,
    precision: Annotated[
        PrecisionName, typer.Option(help="An ONNX file takes fp32 or int8.")
    ] = PrecisionName.FP32,
    images: Annotated[
        Path | None,
        typer.Option(help="Log or folder of images: parity on them, and the ranges of int8."),
    ] = None,
    evaluate: Annotated[
        list[str] | None,
        typer.Option(help="NAME:PATH of a dataset on which int8 may lose little; repeatable."),
    ] = None,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(
            help="GPUs of a tensorrt-rtx engine, such as 8.9 12.0; the one here by default."
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Write the network as ONNX, reload it, and compare it with torch in every engine of this
    machine; exit 1, with nothing written, if they differ.

    With --engine, build its plans from that ONNX file, and compare them with ONNX Runtime where
    they can run. tensorrt builds for the GPU of this machine, tensorrt-rtx needs none.

    Example: octoview export runs/nano/weights.safetensors --out nano.onnx

    Example: octoview export runs/nano/weights.safetensors --precision int8 --images drive.mcap
    --evaluate camvid:CamVid/val --out nano.int8.onnx

    Example: octoview export nano.onnx --engine tensorrt-rtx --compute-capability 8.9 12.0
    --precision fp16 --out nano.engine
    """
    capabilities = " ".join(compute_capability or ()).replace(",", " ").split()
    checkpoint = _checkpoint(words, capabilities)
    if engine is EngineName.ONNX:
        if capabilities or precision is PrecisionName.FP16:
            raise ExportError(
                "--precision fp16 and --compute-capability are of an engine; add "
                "--engine tensorrt-rtx"
            )
        if precision is PrecisionName.INT8:
            _export_int8(checkpoint, out, images, evaluate or [], json_file)
        else:
            _export_onnx(checkpoint, out, images, json_file)
    elif checkpoint.suffix == ".safetensors":
        with TemporaryDirectory() as folder:
            model = Path(folder) / f"{checkpoint.stem}.onnx"
            _export_onnx(checkpoint, model, images, None)
            _export_engine(model, out, engine, precision, images, capabilities, json_file)
    else:
        _export_engine(checkpoint, out, engine, precision, images, capabilities, json_file)


def _checkpoint(words: list[str], capabilities: list[str]) -> Path:
    """The one file among `words`; numbers that follow a --compute-capability are more of them."""
    if capabilities:
        capabilities += [word for word in words if _CAPABILITY.fullmatch(word)]
        words = [word for word in words if not _CAPABILITY.fullmatch(word)]
    if len(words) != 1:
        raise ExportError(f"give one checkpoint, not {len(words)} ({' '.join(words)})")
    return Path(words[0])


def _export_onnx(checkpoint: Path, out: Path, images: Path | None, json_file: Path | None) -> None:
    try:
        from deploy.commands.road_images import road_images
        from export.export import export_onnx
        from perception.checkpoint import load_network
    except ImportError as error:
        raise ExportError(
            f"export needs the module '{error.name}'; install octoview[train]"
        ) from error

    batches = road_images(images, load_network(checkpoint)[1]) if images else None
    parities = export_onnx(checkpoint, out, batches, _engines())
    Console().print(_parity_table(parities, f"{out}, FP32, against torch"))
    write_json(json_file, {name: asdict(parity) for name, parity in parities.items()})
    _finish(out, [f"{n}: {f}" for n, parity in parities.items() for f in parity.failures])


def _export_int8(
    checkpoint: Path, out: Path, images: Path | None, evaluate: list[str], json_file: Path | None
) -> None:
    if checkpoint.suffix != ".safetensors":
        raise ExportError(f"{checkpoint}: --precision int8 starts from weights (.safetensors)")
    if images is None or not evaluate:
        raise ExportError(
            "--precision int8 needs --images (a log or a folder, for the ranges) and --evaluate "
            "(annotated images, such as camvid:CamVid/val)"
        )
    try:
        from deploy.commands.road_images import road_images
        from export.export import export_int8
        from perception.checkpoint import load_network
    except ImportError as error:
        raise ExportError(
            f"export needs the module '{error.name}'; install octoview[train]"
        ) from error

    datasets = [open_dataset(text) for text in evaluate]
    batches = road_images(images, load_network(checkpoint)[1])
    with Console(stderr=True).status("INT8") as status:
        result = export_int8(checkpoint, out, batches, datasets, _engines(), status.update)
    console = Console()
    console.print(_choice_table(result))
    console.print(_parity_table(result.parities, f"{out}, INT8, against torch in FP32"))
    console.print(_accuracy_table(result))
    write_json(json_file, asdict(result))
    _finish(out, result.failures)


def _engines() -> "Engines":
    """Every engine of this machine that computes an ONNX file in its own types; TensorRT's are
    built apart."""

    def load(name: str, path: Path) -> "Infer":
        return load_engine(path, engine=name).infer

    here = [name for name in ENGINES if name not in MODULES and missing(name) is None]
    return {name: partial(load, name) for name in here}


def _finish(out: Path, failures: list[str]) -> None:
    for failure in failures:
        print(f"parity: {failure}")
    if failures:
        print(f"{out} was not written")
        raise typer.Exit(1)
    print(f"wrote {out}")


def _parity_table(parities: "dict[str, Parity]", title: str) -> Table:
    table = Table("measure", *parities, title=f"Parity of {title}", title_justify="left")
    found = list(parities.values())

    def row(name: str, value: "Callable[[Parity], str]") -> None:
        table.add_row(name, *map(value, found))

    row("images", lambda p: str(p.images))
    for output in found[0].errors:
        table.add_row(
            f"{output}, largest error", *(f"{p.errors[output].largest:.2g}" for p in found)
        )
        table.add_row(f"{output}, mean error", *(f"{p.errors[output].mean:.2g}" for p in found))
    row("scene classes equal", lambda p: f"{p.scene_agreement:.5f}")
    row("IoU of the masks", lambda p: f"{p.mask_iou:.5f}")
    row("objects matched", lambda p: f"{p.objects_matched} of {p.objects}")
    return table


def _choice_table(result: "Int8Export") -> Table:
    """What was tried: likeness to FP32 on images that gave no ranges."""
    table = Table("tried", "likeness to FP32", title="Ranges and layers", title_justify="left")
    chosen = result.quantised
    for method, score in chosen.scores.items():
        mark = " (taken)" if method == chosen.method else ""
        table.add_row(f"ranges by {method}{mark}", f"{score:.4f}")
    table.add_section()
    for group, gain in sorted(chosen.gains.items(), key=lambda item: -item[1])[:5]:
        mark = " (taken)" if group in chosen.in_float else ""
        table.add_row(f"{group} in float{mark}", f"{gain:+.4f}")
    return table


def _accuracy_table(result: "Int8Export") -> Table:
    table = Table("scores", "images", title="What INT8 changes", title_justify="left")
    for heading in ("FP32", "INT8", "change"):
        table.add_column(heading, justify="right")
    for change in result.changes:
        for name in ("mean_iou", "map50"):
            before, after = getattr(change, name)
            if before == before:  # NaN where the dataset has no such labels
                numbers = (f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}")
                table.add_row(f"{change.dataset}, {name}", str(change.images), *numbers)
    return table


def _export_engine(
    model: Path,
    out: Path,
    engine: EngineName,
    precision: PrecisionName,
    images: Path | None,
    capabilities: list[str],
    json_file: Path | None,
) -> None:
    try:
        from export.tensorrt import build_engine
    except ImportError as error:
        raise ExportError(
            f"export needs the module '{error.name}'; install octoview[train]"
        ) from error

    if out.suffix != SUFFIX:
        raise ExportError(f"{out}: is no name of an engine file; end it with {SUFFIX}")
    target = _target(engine, precision.value, capabilities)
    if not out.parent.is_dir():
        raise ExportError(f"{out.parent}: no such folder; make it or choose another --out")
    with TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
        made = Path(folder) / out.name
        key = build_engine(model, made, target)
        failures = []
        if reason := missing(engine.value):
            print(f"parity: not measured, since the engine can't run here: {reason}")
        elif key.differences(key.needed_on(key.runtime, key.version, find_gpu())):
            print(f"parity: not measured, since the engine is for {key.gpu}")
        else:
            failures = _engine_parity(model, made, precision.value, images)
        if not failures:
            made.replace(out)
    write_json(json_file, asdict(key))
    if not failures:
        print(f"{key.runtime} {key.version}, {key.precision}, {key.gpu}")
    _finish(out, failures)


def _target(engine: EngineName, precision: Precision, capabilities: list[str]) -> Target:
    if capabilities:
        return ahead_of_time(load_runtime(engine.value), precision, capabilities)
    try:
        gpu = find_gpu()
    except ExportError as error:
        remedy = (
            "run it on the machine that it is for, or take --engine tensorrt-rtx"
            if engine is EngineName.TENSORRT
            else "name GPUs with --compute-capability, such as 8.9 for an RTX 4090"
        )
        reason = str(error).split("; ")[0]
        raise ExportError(
            f"--engine {engine.value} builds for the GPU of this machine: {reason}; {remedy}"
        ) from error
    return this_machine(load_runtime(engine.value), precision, gpu)


def _engine_parity(model: Path, made: Path, precision: Precision, images: Path | None) -> list[str]:
    """What is wrong with the engine beside ONNX Runtime on the CPU."""
    from deploy.commands.road_images import road_images
    from export.export import onnxruntime_infer, texture_batches
    from export.parity import FP16, FP32, INT8, check_against

    engine = load_engine(made)
    batches = road_images(images, engine.spec) if images else texture_batches(engine.spec)
    parity = check_against(
        onnxruntime_infer(model),
        engine.infer,
        len(engine.spec.scene_classes),
        [batch[:MOST_CAMERAS] for batch in batches],
        {"fp32": FP32, "fp16": FP16, "int8": INT8}[precision],
    )
    Console().print(_parity_table({engine.name: parity}, f"{made.name}, against ONNX Runtime"))
    return list(parity.failures)
