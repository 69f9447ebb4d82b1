"""`octoview bench roofline`: what a Jetson Orin could do at best, estimated."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from calib.rig import load_rig
from deploy.bench.roofline import DEVICES, estimate
from deploy.commands.json_file import JsonFile, write_json
from deploy.loop.artefact import precision_of
from deploy.loop.engine import load_engine
from deploy.loop.runtimes import REFERENCE


def roofline(
    models: Annotated[list[Path], typer.Argument(help="ONNX files of octoview export.")],
    json_file: JsonFile = None,
) -> None:
    """Estimate, from operations and bytes and NVIDIA's published peaks, the least time of a tick
    of the hw2 rig on Jetson Orin computers. Nothing is measured.

    Example: octoview bench roofline nano.onnx nano.int8.onnx
    """
    from perception.cost import cost_of_onnx

    images = Counter(camera.bucket for camera in load_rig("hw2"))
    table = Table(title="Estimated floor of a tick, engine alone, ms", title_justify="left")
    for heading in ("model", "precision", "device", "arithmetic", "memory", "floor", "frames/s"):
        text = heading in ("model", "precision", "device")
        table.add_column(heading, justify="left" if text else "right")
    rows = []
    for model in models:
        engine = load_engine(model, engine=REFERENCE)
        cost = cost_of_onnx(model, engine.spec)
        stored = precision_of(engine.metadata)
        for precision in ("fp32", "fp16") if stored == "fp32" else (stored,):
            for device in DEVICES:
                found = estimate(cost, images, device, precision)
                frames = images.total() / found.floor
                times = (found.arithmetic, found.memory, found.floor)
                table.add_row(
                    model.name,
                    precision,
                    device.name,
                    *(f"{1e3 * seconds:.2f}" for seconds in times),
                    f"{frames:.0f}",
                )
                rows.append(
                    {
                        "model": model.name,
                        "precision": precision,
                        "device": device.name,
                        "source": device.source,
                        "arithmetic_seconds": found.arithmetic,
                        "memory_seconds": found.memory,
                        "floor_seconds": found.floor,
                    }
                )
    Console().print(table)
    print("an estimate: at the published dense peaks, which no real engine reaches")
    for device in DEVICES:
        print(f"{device.name}: {device.source}")
    write_json(json_file, {"schema": "octoview.roofline/1", "estimates": rows})
