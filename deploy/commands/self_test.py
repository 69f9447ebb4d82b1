"""`octoview self-test`: does this installation say what its reference says?"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.engine_name import EngineName
from deploy.commands.json_file import JsonFile, write_json
from deploy.loop.engine import AUTO, shipped_model
from deploy.self_test import self_test as run
from deploy.self_test import write_reference

BUNDLED = Path(sys.prefix) / "self-test"
"""Where a package for a device keeps clip and reference: beside its private Python."""


def self_test(
    clip: Annotated[Path, typer.Option(help="Log to replay.")] = BUNDLED / "clip.mcap",
    reference: Annotated[Path, typer.Option(help="What a good run says of it.")] = BUNDLED
    / "reference.mcap",
    model: Annotated[
        Path | None, typer.Option(help="Model file; the shipped nano.onnx by default.")
    ] = None,
    engine: EngineName = AUTO,
    make: Annotated[
        bool, typer.Option("--write-reference", help="Make the reference instead.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Replay a stored clip and compare it with a stored reference; exit 1 if they differ.

    With --json also latency, clocks and temperatures, before and after.

    Example: octoview self-test --json self-test.json
    """
    network = model or shipped_model()
    if make:
        write_reference(clip, network, reference, engine)
        print(f"wrote {reference}")
        return
    result = run(clip, reference, network, engine)
    write_json(json_file, result)
    for field in result["beyond"][:10]:
        print(f"{field['topic']} {field['name']}: {field['first']}")
    tick = result["latency_ms"]["tick"]["p50"]
    print(f"{result['ticks']} ticks, {tick:.0f} ms each (p50), {result['engine']}")
    if not result["passed"]:
        alone = result["messages_without_partner"]
        print(
            f"self-test failed: {len(result['beyond'])} fields beyond their tolerance, {alone} "
            f"messages without a partner, of {result['messages']} compared"
        )
        raise typer.Exit(1)
    print(f"self-test passed: {result['messages']} messages agree with the reference")
