"""One self-contained HTML page of sections, readable by day, by night and on a phone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from calib.text_file import write_text
from perception.errors import PerceptionError
from perception.report.style import STYLE


@dataclass(frozen=True)
class Section:
    """A part of a page. `html` is trusted; `note` is plain text under the title."""

    title: str
    html: str
    note: str = ""


def write(
    path: Path,
    title: str,
    sections: Iterable[Section],
    *,
    subtitle: str = "",
    refresh_s: int | None = None,
) -> None:
    """Write the page in one go, over an older one; missing folders are made.

    With `refresh_s` a browser loads it anew after so many seconds. Raises PerceptionError when
    the file can't be written.
    """
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}">\n' if refresh_s else ""
    html = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{refresh}<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>\n<main>\n"
        + "".join(map(_section, sections))
        + "</main>\n</html>\n"
    )
    try:
        write_text(path, html)
    except OSError as error:
        raise PerceptionError(
            f"{path}: can't be written ({error.strerror}); name another file"
        ) from error


def tiles(values: Sequence[tuple[str, str, str]]) -> str:
    """Large figures side by side: (name, figure, what it is of) each."""
    cells = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}</dd><small>{escape(note)}</small></div>"
        for name, figure, note in values
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def table(headings: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """A table; the first column holds names, numbers 0..1 get a bar, NaN is a dash."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def fraction(value: float) -> str:
    """A fraction of 1 to three places; a dash for NaN."""
    return f"{value:.3f}" if value == value else "-"


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    if isinstance(value, int):
        return f"<td>{value:,}</td>"
    share = 0.0 if value != value else min(max(value, 0.0), 1.0)
    return f'<td class="bar" style="--v:{100 * share:.1f}%">{fraction(value)}</td>'


def _section(section: Section) -> str:
    note = f'<p class="note">{escape(section.note)}</p>' if section.note else ""
    return f"<section><h2>{escape(section.title)}</h2>{note}{section.html}</section>\n"
