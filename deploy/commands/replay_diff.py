"""`octoview replay diff`: does a run say what the stored reference says?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.commands.json_file import JsonFile, write_json
from deploy.errors import DeployError
from deploy.log.diff import TIMING, FieldDifference, LogDifference, compare_logs
from deploy.log.reader import LogReader

_SHORT = 10


def replay_diff(
    reference: Annotated[Path, typer.Argument(help="Log of a run that is known to be good.")],
    log: Annotated[Path, typer.Argument(help="Log of the run to judge.")],
    tolerance: Annotated[
        list[str] | None,
        typer.Option(help="PATTERN=NUMBER, what fields `TOPIC FIELD` may differ by; repeatable."),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="PATTERN of fields not to compare; repeatable.")
    ] = None,
    long: Annotated[bool, typer.Option("--long", help="Every field, not the worst ten.")] = False,
    json_file: JsonFile = None,
) -> None:
    """Compare a log with a stored reference, message by message; exit 1 if they differ.

    Messages of one topic and time are compared field by field. Wall times are left out.

    Example: octoview replay diff good/perception.mcap out/perception.mcap --long

    Example: octoview replay diff x86.mcap jetson.mcap --tolerance "/perception/objects
    *.position.*=0.05" --tolerance "/perception/drivable *=0.01" --ignore "*/annotations *"
    """
    tolerances = dict(_tolerance(text) for text in tolerance or ())
    ignored = tuple(ignore or ())
    readers = LogReader(reference), LogReader(log)
    found = compare_logs(*readers, tolerances, ignored)
    console = Console()
    shown = list(found.fields.values()) if long else found.beyond[:_SHORT]
    if shown:
        console.print(_table(shown))
    for name, counts in (
        (reference.name, found.only_reference),
        (log.name, found.only_log),
    ):
        for topic, count in counts.items():
            print(f"only in {name}: {count} messages of {topic}")
    for reader in readers:
        if reader.truncated:
            print(f"{reader.path} is cut off; it was read up to the cut")
    print(f"ignored: {', '.join((TIMING, *ignored))}")
    write_json(json_file, {"equal": found.equal, **_as_json(found)})
    messages = sum(found.matched.values())
    if found.equal:
        print(f"equal within tolerance: {messages} messages of {len(found.matched)} topics")
        return
    beyond = sum(f.beyond for f in found.beyond)
    print(
        f"different: {beyond} values in {len(found.beyond)} fields, "
        f"{sum(found.only_reference.values()) + sum(found.only_log.values())} messages without "
        f"a partner, of {messages} compared"
    )
    raise typer.Exit(1)


def _tolerance(text: str) -> tuple[str, float]:
    pattern, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not (equals and value >= 0):
        raise DeployError(
            f"--tolerance {text}: is not PATTERN=NUMBER, such as "
            '"/perception/objects *.position.*=0.05"'
        )
    return pattern, value


def _table(fields: list[FieldDifference]) -> Table:
    table = Table(title="Fields that differ", title_justify="left", show_lines=True)
    table.add_column("field, and its first difference", overflow="fold")
    for heading in ("beyond", "largest", "allowed"):
        table.add_column(heading, justify="right")
    for one in fields:
        first = f"\n  {one.first}" if one.first else ""
        table.add_row(
            escape(f"{one.topic} {one.name}{first}"),  # a list's brackets are no markup
            f"{one.beyond} of {one.compared}",
            f"{one.largest:.3g}",
            f"{one.tolerance:g}",
        )
    return table


def _as_json(found: LogDifference) -> dict[str, object]:
    return {
        "matched": found.matched,
        "only_reference": found.only_reference,
        "only_log": found.only_log,
        # JSON has no infinity: the largest difference of what is no number is null.
        "fields": [
            {**asdict(one), "largest": one.largest if one.largest < float("inf") else None}
            for one in found.fields.values()
        ],
    }
