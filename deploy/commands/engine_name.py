"""`--engine NAME`: which runtime runs the network."""

from typing import Annotated

import typer

from deploy.loop.runtimes import AUTO, ENGINES, choose


def _check(name: str) -> str:
    """Say at once that it is unknown or can't run here."""
    choose(name)
    return name


EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help=f"{', '.join((AUTO, *ENGINES))}; auto is the first of them that can run here.",
        callback=_check,
    ),
]
