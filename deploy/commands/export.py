"""`octoview export`: checkpoint to ONNX behind the parity gate, and ONNX to engine files."""

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.json_file import JsonFile, write_json
from export.errors import ExportError


class EngineName(str, Enum):
    ONNX = "onnx"
    TENSORRT_RTX = "tensorrt-rtx"


class PrecisionName(str, Enum):
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def export(
    checkpoint: Annotated[
        Path, typer.Argument(help="Weights (.safetensors), or for an engine an .onnx file too.")
    ],
    out: Annotated[Path, typer.Option(help="File to write.")],
    engine: Annotated[EngineName, typer.Option(help="What the file is for.")] = EngineName.ONNX,
    precision: Annotated[
        PrecisionName, typer.Option(help="Of an engine; int8 needs a quantised .onnx file.")
    ] = PrecisionName.FP32,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(help='GPUs of a tensorrt-rtx engine, such as 8.9 or "8.9 12.0".'),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Write the network as ONNX, reload it, and compare it with torch; exit 1 if they differ.

    With --engine, build its plans from that ONNX file. No GPU is needed.

    Example: octoview export runs/nano/weights.safetensors --out nano.onnx

    Example: octoview export nano.onnx --engine tensorrt-rtx --compute-capability "8.9 12.0"
    --precision fp16 --out nano.engine
    """
    capabilities = " ".join(compute_capability or ()).replace(",", " ").split()
    if engine is EngineName.ONNX:
        if capabilities or precision is not PrecisionName.FP32:
            raise ExportError(
                "--precision and --compute-capability are of an engine; add --engine tensorrt-rtx"
            )
        _export_onnx(checkpoint, out, json_file)
    elif checkpoint.suffix == ".safetensors":
        with TemporaryDirectory() as folder:
            model = Path(folder) / f"{checkpoint.stem}.onnx"
            _export_onnx(checkpoint, model, None)
            _export_engine(model, out, engine, precision, capabilities, json_file)
    else:
        _export_engine(checkpoint, out, engine, precision, capabilities, json_file)


def _export_onnx(checkpoint: Path, out: Path, json_file: Path | None) -> None:
    try:
        from export.export import export_onnx
    except ImportError as error:
        raise ExportError(
            f"export needs the module '{error.name}'; install octoview[train]"
        ) from error

    parity = export_onnx(checkpoint, out)
    table = Table("measure", "ONNX Runtime against torch, FP32", title=f"Parity of {out}")
    table.add_row("images", str(parity.images))
    table.add_row("scene logits, largest error", f"{parity.scene_largest_error:.2g}")
    table.add_row("scene logits, mean error", f"{parity.scene_mean_error:.2g}")
    table.add_row("scene classes equal", f"{parity.scene_agreement:.6f}")
    table.add_row("objects matched", f"{parity.objects_matched} of {parity.objects}")
    Console().print(table)
    write_json(json_file, asdict(parity))
    for failure in parity.failures:
        print(f"parity: {failure}")
    if parity.failures:
        print(f"{out} was not written")
        raise typer.Exit(1)
    print(f"wrote {out}")


def _export_engine(
    model: Path,
    out: Path,
    engine: EngineName,
    precision: PrecisionName,
    capabilities: list[str],
    json_file: Path | None,
) -> None:
    try:
        from export.tensorrt import ahead_of_time, build_engine, load_runtime
    except ImportError as error:
        raise ExportError(
            f"export needs the module '{error.name}'; install octoview[train]"
        ) from error

    if not capabilities:
        raise ExportError(
            f"--engine {engine.value} needs --compute-capability, such as 8.9 for an RTX 4090"
        )
    target = ahead_of_time(load_runtime(engine.value), precision.value, capabilities)
    key = build_engine(model, out, target)
    write_json(json_file, asdict(key))
    print(f"wrote {out}: {key.runtime} {key.version}, {key.precision}, {key.gpu}")
