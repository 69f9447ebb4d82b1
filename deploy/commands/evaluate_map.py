"""`octoview evaluate map`: the fused map against the truth of logs."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.loop.engine import load_engine, shipped_model
from deploy.loop.pipeline import TickResult
from deploy.loop.runtimes import REFERENCE


def evaluate_map(
    logs: Annotated[
        list[Path], typer.Argument(help="Log with truth: sim log --truth, import dgp.")
    ],
    model: Annotated[
        Path | None, typer.Option(help="ONNX file; the shipped nano.onnx by default.")
    ] = None,
    turn: Annotated[
        float, typer.Option(help="Make every camera's calibration wrong by so many degrees.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the signs of --turn.")] = 0,
    surround: Annotated[
        Path | None, typer.Option(help="ONNX file of a learned surround head to score beside it.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Score the map that the loop makes of logs: drivable ground, vehicles in metres. Of several,
    each and all together.

    Example: octoview evaluate map street.mcap town.mcap --turn 0.5 --json map.json
    """
    from deploy.map_scores import score_log  # scipy is slow to start

    engine = load_engine(model or shipped_model(), engine=REFERENCE)
    scores = []
    for log in logs:
        with Ticker(f"scoring {log.name}", None, "tick") as ticker:

            def progress(_: TickResult, ticker: Ticker = ticker) -> None:
                ticker.advance("")

            scores.append(score_log(log, engine, turn, seed, surround, progress))
    each = [one.to_json() for one in scores]
    total = sum(scores[1:], start=scores[0]).to_json()
    columns = list(zip((log.stem for log in logs), each, strict=True))
    if len(logs) > 1:
        columns.append(("together", total))
    Console().print(_table(columns, turn))
    write_json(
        json_file,
        {
            "turn_deg": turn,
            "seed": seed,
            **total,
            "logs": [{"log": log.name, **one} for log, one in zip(logs, each, strict=True)],
        },
    )


def _table(columns: list[tuple[str, dict[str, Any]]], turn: float) -> Table:
    wrong = f", calibration wrong by {turn:g} degrees" if turn else ""
    table = Table("measure", title=f"map{wrong}")
    for name, _ in columns:
        table.add_column(name, justify="right")
    scores = [one for _, one in columns]

    table.add_row("ticks", *(str(one["ticks"]) for one in scores))
    if any(one["ground"] for one in scores):
        for key, name in _GROUND.items():
            table.add_row(name, *(_percent((one["ground"] or {}).get(key)) for one in scores))
        table.add_section()
    vehicles = [one["vehicles"] for one in scores]
    for key, name, show in _VEHICLES:
        table.add_row(name, *(show(one[key]) for one in vehicles))
        if key == "recall":
            for reach in vehicles[0]["recall_by_range"]:
                parts = [one["recall_by_range"][reach] for one in vehicles]
                cells = (f"{_percent(p['recall'])} of {p['vehicles']}" for p in parts)
                table.add_row(f"recall, {reach}", *cells)
    measures = dict.fromkeys(name for one in scores for name in one["surround"] or ())
    for measure in measures:
        found = [(one["surround"] or {}).get(measure, {}) for one in scores]
        for which in dict.fromkeys(name for values in found for name in values):
            name = f"{measure.replace('_', ' ')}, {which}"
            table.add_row(name, *(_percent(values.get(which)) for values in found))
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


_GROUND = {
    "drivable_iou_seen": "drivable IoU, seen cells",
    "drivable_iou_all": "drivable IoU, all cells",
    "cells_seen": "cells seen",
}
_VEHICLES: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("true", "vehicles, true", str),
    ("reported", "vehicles, reported", str),
    ("recall", "recall", _percent),
    ("median_error_share_of_range", "median error, share of range", _percent),
    ("duplicates", "duplicates", _percent),
    ("followed", "vehicles followed", str),
    ("id_switches", "changes of their ids", str),
)
