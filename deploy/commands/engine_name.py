"""`--engine NAME`: which runtime runs the network."""

from typing import Annotated

import typer

from deploy.loop.engine import AUTO, ENGINES, choose


def _check(name: str) -> str:
    """Say at once that it is unknown or not installed, and say which one `auto` is."""
    chosen, why = choose(name)
    if name == AUTO:
        print(f"engine {chosen}: {why}")
    return chosen


EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help=f"{', '.join((AUTO, *ENGINES))}; auto is the first of them here.",
        callback=_check,
    ),
]
