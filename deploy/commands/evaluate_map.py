"""`octoview evaluate map`: the fused map against the truth of logs."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.commands.surround_file import SurroundFile
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
    surround: SurroundFile = None,
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
    wrong = f", calibration wrong by {turn:g} degrees" if turn else ""
    console = Console()
    if len(logs) > 1:
        rows = [*zip((log.stem for log in logs), each, strict=True), ("together", total)]
        console.print(_overview(rows, f"maps of {len(logs)} logs{wrong}"))
    title = logs[0].name if len(logs) == 1 else "all logs together"
    console.print(_table(total, f"map of {title}, {total['ticks']} ticks{wrong}"))
    write_json(
        json_file,
        {
            "turn_deg": turn,
            "seed": seed,
            **total,
            "logs": [{"log": log.name, **one} for log, one in zip(logs, each, strict=True)],
        },
    )


def _overview(rows: list[tuple[str, dict[str, Any]]], title: str) -> Table:
    table = Table("log", title=title)
    for heading in ("IoU, seen", "IoU, all", "recall", "error", "duplicates", "id changes"):
        table.add_column(heading, justify="right")
    for name, one in rows:
        ground, vehicles = one["ground"] or {}, one["vehicles"]
        table.add_row(
            name,
            _percent(ground.get("drivable_iou_seen")),
            _percent(ground.get("drivable_iou_all")),
            _percent(vehicles["recall"]),
            _percent(vehicles["median_error_share_of_range"]),
            _percent(vehicles["duplicates"]),
            f"{vehicles['id_switches']} ({vehicles['followed']})",
        )
    return table


def _table(scores: dict[str, Any], title: str) -> Table:
    table = Table("measure", title=title)
    table.add_column("value", justify="right")
    if ground := scores["ground"]:
        table.add_row("drivable IoU, seen cells", _percent(ground["drivable_iou_seen"]))
        table.add_row("drivable IoU, all cells", _percent(ground["drivable_iou_all"]))
        table.add_row("cells seen", _percent(ground["cells_seen"]))
        table.add_section()
    vehicles = scores["vehicles"]
    table.add_row("vehicles, true", str(vehicles["true"]))
    table.add_row("vehicles, reported", str(vehicles["reported"]))
    table.add_row("recall", _percent(vehicles["recall"]))
    for name, part in vehicles["recall_by_range"].items():
        table.add_row(f"recall, {name} ({part['vehicles']})", _percent(part["recall"]))
    error = _percent(vehicles["median_error_share_of_range"])
    table.add_row("median error, share of range", error)
    table.add_row("duplicates", _percent(vehicles["duplicates"]))
    table.add_row("vehicles followed", str(vehicles["followed"]))
    table.add_row("changes of their ids", str(vehicles["id_switches"]))
    if surround := scores["surround"]:
        table.add_section()
        for measure, values in surround.items():
            shown = ", ".join(f"{which} {_percent(value)}" for which, value in values.items())
            table.add_row(measure.replace("_", " "), shown)
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
