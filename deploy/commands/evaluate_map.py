"""`octoview evaluate map`: the fused map against the truth of a log."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.loop.engine import load_engine, shipped_model


def evaluate_map(
    log: Annotated[Path, typer.Argument(help="Log with truth: sim log --truth, import dgp.")],
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
    """Score the map that the loop makes of a log: drivable ground, vehicles in metres.

    Example: octoview evaluate map street.mcap --turn 0.5 --json map.json
    """
    from deploy.map_scores import score_log  # scipy is slow to start, and the loop needs none

    engine = load_engine(model or shipped_model())
    with Ticker(f"scoring {log.name}", None, "tick") as ticker:
        scores = score_log(
            log,
            engine,
            turn_deg=turn,
            seed=seed,
            surround=surround,
            progress=lambda _: ticker.advance(""),
        ).to_json()
    Console().print(_table(scores, log, turn))
    write_json(json_file, {"log": log.name, "turn_deg": turn, "seed": seed, **scores})


def _table(scores: dict[str, Any], log: Path, turn: float) -> Table:
    wrong = f", calibration wrong by {turn:g} degrees" if turn else ""
    table = Table(title=f"map of {log.name}, {scores['ticks']} ticks{wrong}")
    table.add_column("measure")
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
