"""Timelines that share one axis: states of cameras, milliseconds, objects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import TYPE_CHECKING

from calib.rig import Rig
from deploy.sinks.palette import OBJECTS, STATE, Rgb

if TYPE_CHECKING:
    from deploy.sinks.replay_page import Tick

_WIDTH = 1000.0  # of a lane, in its own units; it is stretched over the page
_HEIGHT = 100.0


def lanes(ticks: Sequence[Tick], rig: Rig) -> str:
    """All lanes, with a legend of states above and seconds below."""
    zero, length = ticks[0].stamp_ns, max(1, ticks[-1].stamp_ns - ticks[0].stamp_ns)
    places = [_WIDTH * (tick.stamp_ns - zero) / length for tick in ticks]
    states = dict.fromkeys(state for tick in ticks for state in tick.states.values())
    legend = "".join(
        f'<li><i style="background:{_css(colour)}"></i>{state}</li>'
        for state, colour in STATE.items()
        if state in states
    )
    parts = [
        f'<div class="lane"><span title="{name}">{name}</span>{_states(ticks, places, name)}</div>'
        for name in rig.names  # letters, digits, _ and -
    ]
    parts += [_latency(ticks, places), _objects(ticks, places)]
    seconds = length / 1e9
    axis = "".join(f"<span>{seconds * share:.1f} s</span>" for share in (0, 0.25, 0.5, 0.75, 1))
    return (
        f'<ul class="legend">{legend}</ul><div class="lanes">{"".join(parts)}'
        f'<div class="axis">{axis}</div><i class="cursor"></i></div>'
    )


def _states(ticks: Sequence[Tick], places: Sequence[float], camera: str) -> str:
    """Equal states in a row are one rectangle."""
    rectangles = ""
    ends = [*places[1:], _WIDTH]
    runs = groupby(range(len(ticks)), key=lambda i: ticks[i].states[camera])
    for state, run in runs:
        members = list(run)
        x, end = places[members[0]], ends[members[-1]]
        width = max(end - x, 1.5)
        colour = _css(STATE[state])
        rectangles += (
            f'<rect x="{min(x, _WIDTH - width):.1f}" y="0" width="{width:.1f}" '
            f'height="{_HEIGHT:g}" fill="{colour}"><title>{camera}: {state}</title></rect>'
        )
    return _svg(rectangles)


def _latency(ticks: Sequence[Tick], places: Sequence[float]) -> str:
    values = [tick.total_ms for tick in ticks]
    stamps = [tick.stamp_ns for tick in ticks]
    period = median(b - a for a, b in pairwise(stamps)) / 1e6 if len(ticks) > 1 else 0.0
    top = 1.08 * max(values)
    line = _points(places, values, top)
    content = f'<polygon class="area" points="0,{_HEIGHT:g} {line} {_WIDTH:g},{_HEIGHT:g}"/>'
    content += f'<polyline class="total" points="{line}"/>'
    note = f"of the {period:.0f} from tick to tick"
    if 0 < period < top:
        y = _HEIGHT * (1 - period / top)
        content += f'<path class="deadline" d="M0 {y:.1f}H{_WIDTH:g}"/>'
        note = f"dashed: {period:.0f} from tick to tick"
    label = f"<b>tick, ms</b><br>up to {max(values):.0f}<br>{note}"
    return f'<div class="lane tall"><span>{label}</span>{_svg(content)}</div>'


def _objects(ticks: Sequence[Tick], places: Sequence[float]) -> str:
    counts = {
        name: [sum(one[0] == kind for one in tick.objects) for tick in ticks]
        for kind, name in enumerate(OBJECTS)
    }
    most = max((max(values) for values in counts.values()), default=0)
    top = 1.08 * most or 1.0
    content = "".join(
        f'<polyline stroke="{_css(OBJECTS[name])}" points="{_points(places, values, top)}"/>'
        for name, values in counts.items()
    )
    label = f"<b>objects</b><br>up to {most}<br>" + ", ".join(OBJECTS)
    return f'<div class="lane tall"><span>{label}</span>{_svg(content)}</div>'


def _points(places: Sequence[float], values: Sequence[float], top: float) -> str:
    return " ".join(
        f"{x:.1f},{_HEIGHT * (1 - value / top):.1f}"
        for x, value in zip(places, values, strict=True)
    )


def _svg(content: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none">{content}</svg>'


def _css(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
