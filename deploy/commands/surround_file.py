"""`--surround FILE`: a learned surround head beside the map."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.loop.surround import shipped_head


def _path(name: Path | None) -> Path | None:
    return shipped_head() if name == Path("shipped") else name


SurroundFile = Annotated[
    Path | None,
    typer.Option(
        "--surround",
        help="ONNX file of a learned surround head to run beside the map, or the word shipped.",
        callback=_path,
    ),
]
