"""Loss curves of a training run, from its curve.csv."""

import math
from pathlib import Path

from perception.errors import PerceptionError
from perception.report import page, plot
from perception.report.page import Section

_BLOCKS = 120
_ROWS_A_BLOCK = 24
_REFRESH_S = 20


def write_curves(curve_csv: Path, html: Path) -> None:
    """Write a page of curves that loads itself anew while the run goes on.

    Cheap enough to be called at every save: of a long file some thousand rows are read. Raises
    PerceptionError for a file that can't be read or written.
    """
    section = curves_section(curve_csv)
    page.write(html, f"Training {curve_csv.parent.name}", [section], refresh_s=_REFRESH_S)


def curves_section(curve_csv: Path) -> Section:
    """A plot for each column beside the first, which is `step`.

    Lines are means of blocks of rows, bands their extremes. A half-written last row is left out.
    Raises PerceptionError for a file that can't be read.
    """
    try:
        header, *lines = curve_csv.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise PerceptionError(
            f"{curve_csv}: is no curve that can be read ({error}); give a run's curve.csv"
        ) from error
    columns = header.split(",")
    blocks = _blocks(lines, len(columns))
    if not blocks:
        return Section("Curves", "<p>No step yet.</p>")
    steps = [block[-1][0] for block in blocks]
    plots = []
    for column, name in enumerate(columns[1:], start=1):
        values = [
            [row[column] for row in block if math.isfinite(row[column])] or [math.nan]
            for block in blocks
        ]
        shown = [n for n, of_block in enumerate(values) if math.isfinite(of_block[0])]
        if not shown:
            continue
        plots.append(
            plot.curve(
                f"{name} {sum(values[shown[-1]]) / len(values[shown[-1]]):.4g}",
                [steps[n] for n in shown],
                [sum(values[n]) / len(values[n]) for n in shown],
                ([min(values[n]) for n in shown], [max(values[n]) for n in shown]),
            )
        )
    note = f"Step {steps[-1]:g}. Beside each name its latest value; bands are lowest and highest."
    return Section("Curves", f'<div class="columns">{"".join(plots)}</div>', note)


def _blocks(lines: list[str], columns: int) -> list[list[list[float]]]:
    """At most _BLOCKS runs of rows, of each at most _ROWS_A_BLOCK evenly spaced ones; empty cells
    are NaN."""
    size = max(1, -(-len(lines) // _BLOCKS))
    stride = max(1, size // _ROWS_A_BLOCK)
    blocks = []
    for start in range(0, len(lines), size):
        cells = (line.split(",") for line in lines[start : start + size : stride])
        rows = [[_number(cell) for cell in row] for row in cells if len(row) == columns]
        rows = [row for row in rows if math.isfinite(row[0])]
        if rows:
            blocks.append(rows)
    return blocks


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
