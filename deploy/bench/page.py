"""A result of `octoview bench` as one HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perception.report import page
from perception.report.plot import Frame

_PERCENTILES = ("p50", "p90", "p99", "max")
ENGINE_COLUMNS = ("model", "precision", "engine", "tick, ms", "frames/s", "missed", "one image, ms")


def write_bench_page(path: Path, content: dict[str, Any], sentences: Sequence[str]) -> None:
    """Write the page of `content`, the JSON of `deploy.bench.tick.measure`.

    sentences: the ratios in words. Raises PerceptionError when the file can't be written.
    """
    model, computer, deadline = content["model"], content["machine"], content["deadline"]
    tick, start = content["latency_ms"]["tick"], content["cold_start"]
    tiles = [
        ("tick, p50", f"{tick['p50']:.0f} ms", "eight cameras, JPEG to map"),
        ("tick, p99", f"{tick['p99']:.0f} ms", f"{content['ticks']} ticks"),
        ("images a second", f"{content['frames_per_second']:.1f}", "all cameras together"),
        (f"missed at {deadline['hz']:g} Hz", str(deadline["missed"]), f"of {content['ticks']}"),
        ("first tick after", f"{start['seconds']:.2f} s", "of a fresh process"),
        ("memory", f"{start['peak_memory_mb']:.0f} MB", "of that process at most"),
    ]
    grown, engines = content["growth"], content["engines"]
    counts = [(one["cameras"], one["seconds"]) for one in grown["cameras"]]
    sizes = [(one["size"][0] * one["size"][1] / 1e6, one["seconds"]) for one in grown["pixels"]]
    plots = _line("Engine call by cameras, ms", "cameras", counts) + _line(
        "Engine call by size of one image, ms", "megapixels", sizes
    )
    machine_rows = [(name.replace("_", " "), _shown(value)) for name, value in computer.items()]
    sections = [
        page.Section("Summary", page.tiles(tiles)),
        page.Section(
            "By stage, milliseconds a tick",
            page.table(
                ("stage", *_PERCENTILES),
                [
                    (stage.replace("_", " "), *(f"{values[p]:.2f}" for p in _PERCENTILES))
                    for stage, values in content["latency_ms"].items()
                ],
            ),
        ),
        page.Section(
            "By engine and precision",
            page.table(ENGINE_COLUMNS, [engine_cells(row, spread=True) for row in engines]),
            f"All in turn, {engines[0]['rounds']} rounds: the middle round, and in brackets the "
            f"middle half. {' '.join(content['engines_left_out'])}",
        ),
        page.Section(
            "Growth",
            f'<div class="columns">{plots}</div>',
            "The middle of the rounds; the band is their middle half. A straight line through "
            "nothing is a cost that each camera or pixel pays alike.",
        ),
        page.Section(
            "Ratios",
            page.table(("of one run",), [(line,) for line in sentences]),
            "In brackets the middle half of the rounds, in which everything took its turn.",
        ),
        *_power(content["power"]),
        page.Section(
            "Model and machine",
            page.table(
                ("", ""),
                [
                    *((name.replace("_", " "), _shown(value)) for name, value in model.items()),
                    *machine_rows,
                    ("load before", str(content["load_before"])),
                ],
            ),
        ),
    ]
    subtitle = (
        f"{model['file']} in {model['engine']}, {model['threads']} threads, {computer['cpu']}"
    )
    page.write(path, "How long a tick takes", sections, subtitle=subtitle)


def _power(content: dict[str, Any] | None) -> list[page.Section]:
    """None where nothing told it."""
    if content is None:
        return []
    rows = [
        (name.replace("_", " "), *(f"{values[column]:g}" for column in ("mean", "min", "max")))
        for name, values in content.items()
        if name != "source"
    ]
    table = page.table(("measure", "mean", "min", "max"), rows)
    return [page.Section("Power and clocks", table, f"During the ticks, from {content['source']}.")]


def engine_cells(row: dict[str, Any], spread: bool) -> tuple[str, ...]:
    """A row of ENGINE_COLUMNS for one of `engines`; `spread` adds the middle half."""

    def milliseconds(values: dict[str, float]) -> str:
        low, middle, high = (f"{1e3 * values[q]:.1f}" for q in ("p25", "p50", "p75"))
        return f"{middle} ({low} to {high})" if spread else middle

    return (
        row["file"],
        row["precision"],
        row["engine"],
        milliseconds(row["tick_seconds"]),
        f"{row['frames_per_second']:.1f}",
        f"{row['missed']} of {row['rounds']}",
        milliseconds(row["image_seconds"]),
    )


def _line(title: str, x_label: str, values: Sequence[tuple[float, dict[str, float]]]) -> str:
    """Milliseconds over `values`, from nothing: proportional growth shows as a straight line."""
    xs = [x for x, _ in values]
    low, middle, high = ([1e3 * one[q] for _, one in values] for q in ("p25", "p50", "p75"))
    frame = Frame(360, 240, (0, xs[-1] * 1.05), (0, max(high) * 1.08))
    outline = frame.points([*xs, *reversed(xs)], [*low, *reversed(high)])
    dots = "".join(
        f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="3" fill="var(--accent)">'
        f"<title>{x:g} {x_label}: {y:.1f} ms</title></circle>"
        for x, y in zip(xs, middle, strict=True)
        for cx, cy in (frame.at(x, y),)
    )
    content = (
        f'<polygon class="band" points="{outline}"/>'
        f'<polyline class="line" points="{frame.points(xs, middle)}"/>{dots}'
    )
    return frame.svg(title, x_label, content)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
