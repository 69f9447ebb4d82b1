"""`octoview export`: checkpoint to ONNX, behind the parity gate."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.json_file import JsonFile, write_json
from export.errors import ExportError


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Weights (.safetensors) to export.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    json_file: JsonFile = None,
) -> None:
    """Write the network as ONNX, reload it, and compare it with torch; exit 1 if they differ.

    Example: octoview export runs/nano/weights.safetensors --out nano.onnx
    """
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
