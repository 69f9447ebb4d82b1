"""`--engine NAME`: which runtime runs the network."""

from typing import Annotated

import typer

from deploy.loop.engine import AUTO, ENGINES, choose


def _check(name: str) -> str:
    """Say at once that it is unknown or not installed."""
    return choose(name)[0]


EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help=f"{', '.join((AUTO, *ENGINES))}; auto is the first of them here.",
        callback=_check,
    ),
]
