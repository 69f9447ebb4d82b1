"""`octoview bench`: how long a tick of the loop takes on this machine."""

from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.bench.compare import changes, differences, read_result
from deploy.bench.page import ENGINE_COLUMNS, engine_cells, write_bench_page
from deploy.bench.tick import DEADLINE_HZ, WARM_UP, measure
from deploy.commands.json_file import JsonFile, write_json
from deploy.commands.progress import Ticker
from deploy.commands.report_file import ReportFile
from deploy.commands.roofline import roofline
from deploy.loop.engine import shipped_model
from deploy.loop.runtimes import AUTO, ENGINES
from deploy.sinks.report import latency_table

app = typer.Typer()


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    ticks: Annotated[int, typer.Option(min=1, help="Ticks to measure, after the warm-up.")] = 100,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="ONNX or engine file; may be repeated, all is measured of the first. The shipped "
            "nano.onnx by default."
        ),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join((AUTO, *ENGINES))}; may be repeated, all is measured in the first. "
            "auto is the first that can run here, and in the table of engines all that can."
        ),
    ] = None,
    peer: Annotated[
        list[Path] | None,
        typer.Option(help="Another ONNX model, run in turn with ours; may be repeated."),
    ] = None,
    json_file: JsonFile = None,
    report: ReportFile = None,
) -> None:
    """Time the loop on the hw2 rig with random images, from JPEG to the fused map, no sinks.

    Example: octoview bench --ticks 200 --json bench.json --report bench.html
    """
    if context.invoked_subcommand:
        return
    with Ticker("measuring", WARM_UP + ticks, "tick") as ticker:
        content = measure(
            model or [shipped_model()], ticks, engine or [AUTO], peer or [], ticker.advance
        )
    console = Console()
    console.print(latency_table(content["latency_ms"]))
    calls = Table(title="Engine call by bucket, ms", title_justify="left")
    for heading in ("bucket", "images", "p50", "p90", "p99", "max"):
        calls.add_column(heading, justify="left" if heading == "bucket" else "right")
    for bucket, values in content["engine_ms"].items():
        cells = (f"{values[column]:.1f}" for column in ("p50", "p90", "p99", "max"))
        calls.add_row(bucket, str(values["images"]), *cells)
    console.print(calls)
    computer, deadline = content["machine"], content["deadline"]
    console.print(
        f"{content['ticks_per_second']:.1f} ticks/s, {content['frames_per_second']:.1f} frames/s; "
        f"{deadline['missed']} of {content['ticks']} ticks missed the {deadline['ms']} ms of "
        f"{DEADLINE_HZ:g} Hz",
        highlight=False,
    )
    console.print(
        f"{content['model']['engine']}, {content['model']['threads']} threads on "
        f"{computer['cpu']}, load before {content['load_before']}, after "
        f"{computer['load_1min']}",
        highlight=False,
    )
    console.print(f"engine: {content['model']['engine_chosen']}", highlight=False, soft_wrap=True)
    console.print(_engines(content["engines"]))
    for line in content["engines_left_out"]:
        console.print(line, highlight=False, soft_wrap=True)
    if content["power"]:
        console.print(_power(content["power"]))
    sentences = _sentences(content)
    for line in sentences:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_growth(content["growth"]))
    write_json(json_file, content)
    if report:
        write_bench_page(report, content, sentences)
        print(f"wrote {report}")


def _engines(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Tick and one image by engine and precision, in turn", title_justify="left")
    for heading in ENGINE_COLUMNS:
        text = heading in ENGINE_COLUMNS[:3]
        table.add_column(heading, justify="left" if text else "right")
    for row in rows:
        table.add_row(*engine_cells(row, spread=False))
    return table


def _power(content: dict[str, Any]) -> Table:
    table = Table(title=f"During the ticks, {content['source']}", title_justify="left")
    for heading in ("measure", "mean", "min", "max"):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    for name, values in content.items():
        if name != "source":
            cells = (f"{values[column]:g}" for column in ("mean", "min", "max"))
            table.add_row(name.replace("_", " "), *cells)
    return table


def _growth(content: dict[str, Any]) -> Table:
    table = Table(title="Engine call by cameras and by size of one, ms", title_justify="left")
    for heading in ("cameras", "p50", "each", "size", "p50", "per megapixel"):
        table.add_column(heading, justify="right")
    for by_count, by_size in zip_longest(content["cameras"], content["pixels"]):
        count, ms = by_count["cameras"], by_count["seconds"]["p50"] * 1e3
        cells = [str(count), f"{ms:.1f}", f"{ms / count:.1f}"]
        if by_size:
            (width, height), ms = by_size["size"], by_size["seconds"]["p50"] * 1e3
            cells += [f"{width}x{height}", f"{ms:.1f}", f"{ms / (width * height / 1e6):.1f}"]
        table.add_row(*cells)
    return table


def _sentences(content: dict[str, Any]) -> list[str]:
    """The ratios of one run; in brackets the middle half of the rounds."""

    def of(values: dict[str, float], scale: float = 1, places: int = 2) -> str:
        low, middle, high = (f"{scale * values[k]:.{places}f}" for k in ("p25", "p50", "p75"))
        return f"{middle} ({low} to {high})"

    one, start = content["single_image"], content["cold_start"]
    lines = [f"tick over engine alone: {of(content['tick_over_engine'])}"]
    if content["native_over_reference"]:
        lines.append(
            f"native preprocess is {of(content['native_over_reference'])} times as fast as "
            "the reference"
        )
    lines.append(
        f"first tick {start['seconds']:.2f} s after the start of a process, which took "
        f"{start['peak_memory_mb']:.0f} MB at most"
    )
    width, height = one["size"]
    lines.append(f"one image of {width}x{height}: {of(one['seconds'], 1e3)} ms")
    if "gmac" in one["floor"]:
        share = of(one["floor"]["share_of_peak"], 100, 0)
        peak = one["floor"]["peak_gmac_per_second"]
        lines.append(
            f"engine runs at {share} % of the machine's float32 matrix peak, {peak:.0f} GMAC/s"
        )
        floor = one["floor"]
        lines.append(
            f"floor: {floor['gmac']:.2f} GMAC take {1e3 * floor['arithmetic_seconds']:.1f} ms at "
            f"that peak, {floor['megabytes']:.0f} MB {1e3 * floor['memory_seconds']:.1f} ms at "
            f"the {floor['copy_gb_per_second']:.1f} GB/s of a copy"
        )
    else:
        lines.append(f"no floor: {one['floor']['absent']}")
    for peer in one["peers"]:
        width, height = peer["size"]
        lines.append(
            f"{peer['file']} at {width}x{height}: "
            f"{of(peer['seconds_per_megapixel'], places=3)} s per megapixel, ours "
            f"{of(one['seconds_per_megapixel'], places=3)}, faster by "
            f"{of(peer['ours_is_faster_by'])}"
        )
    return lines


app.command()(roofline)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Result of octoview bench --json.")],
    b: Annotated[Path, typer.Argument(help="Another result.")],
) -> None:
    """Ratios of two results, the noise beside them; exit code 1 when they can't be compared.

    Example: octoview bench compare before.json after.json
    """
    first, second = read_result(a), read_result(b)
    reasons = differences(first, second)
    if reasons:
        print(f"not comparable: {'; '.join(reasons)}")
        raise typer.Exit(1)
    table = Table(title="p50 (p25 to p75), ms", title_justify="left")
    for heading in ("stage", a.name, b.name, "B / A", ""):
        table.add_column(heading)
    for change in changes(first, second):
        cells = (f"{q.p50:.2f} ({q.p25:.2f} to {q.p75:.2f})" for q in (change.a, change.b))
        verdict = "within the noise" if change.within_noise else ""
        table.add_row(change.stage, *cells, f"{change.ratio:.3f}", verdict)
    Console().print(table)
    for name, side in (("A", first.model), ("B", second.model)):
        print(f"{name}: {side.file}, {side.precision}, {side.engine}, {side.threads} threads")
