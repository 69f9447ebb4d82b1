"""Plots as inline SVG; colours come from the page's style."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from perception.scores import Reliability

_LEFT, _TOP, _RIGHT, _BOTTOM = 44.0, 26.0, 10.0, 34.0
_SHOWN_SHARE = 0.97
_COUNTS = 0.16
"""Height of the counts under a reliability plot, as a share of the plot."""


@dataclass(frozen=True)
class Frame:
    """A plot's area: data coordinates to pixels of the picture, y upwards."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    y_axis: tuple[float, float] | None = None  # the part of y that has numbers, if not all

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        inner_width, inner_height = self.width - _LEFT - _RIGHT, self.height - _TOP - _BOTTOM
        return _LEFT + across * inner_width, self.height - _BOTTOM - up * inner_height

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        places = (self.at(x, y) for x, y in zip(xs, ys, strict=True))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)

    def rectangle(self, x: tuple[float, float], y: tuple[float, float], style: str) -> str:
        (left, bottom), (right, top) = self.at(x[0], min(y)), self.at(x[1], max(y))
        return (
            f'<rect class="{style}" x="{left + 0.5:.1f}" y="{top:.1f}" '
            f'width="{right - left - 1:.1f}" height="{bottom - top:.1f}"/>'
        )

    def svg(self, title: str, x_label: str, content: str) -> str:
        """The whole picture: axes with their numbers under `content`."""
        lines = []
        for value in ticks(*(self.y_axis or self.y)):
            (x0, y), (x1, _) = self.at(self.x[0], value), self.at(self.x[1], value)
            lines.append(f'<path class="grid" d="M{x0:.1f} {y:.1f}H{x1:.1f}"/>')
            lines.append(
                f'<text x="{x0 - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        for value in ticks(*self.x):
            x, y = self.at(value, self.y[0])
            lines.append(
                f'<text x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle">{_short(value)}</text>'
            )
        middle = (_LEFT + self.width - _RIGHT) / 2
        lines.append(f'<text class="title" x="{_LEFT:g}" y="14">{escape(title)}</text>')
        lines.append(
            f'<text x="{middle:.1f}" y="{self.height - 4:g}" text-anchor="middle">'
            f"{escape(x_label)}</text>"
        )
        return (
            f'<svg class="plot" viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(title)}">{"".join(lines)}{content}</svg>'
        )


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers from `low` to `high`."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def reliability(result: Reliability, title: str, x_label: str) -> str:
    """Accuracy of each bin, its gap to the confidence, and below how many predictions it holds."""
    frame = Frame(360, 330, (0, 1), (-_COUNTS, 1), y_axis=(0, 1))
    parts = []
    most = max((b.count for b in result.bins), default=0)
    for b in result.bins:
        if b.count:
            spread = f"{b.count:,} of confidence {b.confidence:.3f}: {b.accuracy:.3f} right"
            gap = "over" if b.confidence > b.accuracy else "under"
            # Logarithmic: a bin of a thousandth would not be seen on a linear scale.
            count = (_COUNTS - 0.03) * math.log1p(b.count) / math.log1p(most)
            parts.append(
                f"<g><title>{spread}</title>"
                + frame.rectangle((b.low, b.high), (0, b.accuracy), "bars")
                + frame.rectangle((b.low, b.high), (b.accuracy, b.confidence), gap)
                + frame.rectangle((b.low, b.high), (-_COUNTS, count - _COUNTS), "count")
                + "</g>"
            )
    (x0, y0), (x1, y1) = frame.at(0, 0), frame.at(1, 1)
    parts.append(f'<path class="ideal" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>')
    return frame.svg(title, x_label, "".join(parts))


def curve(
    title: str,
    xs: Sequence[float],
    ys: Sequence[float],
    band: tuple[Sequence[float], Sequence[float]],
) -> str:
    """A line of means over `xs` with the band (lowest, highest) that they were taken from.

    The axis leaves out the highest of the means and outliers of the band, or the first steps
    would make all of the rest look flat.
    """
    low, high = min(ys), sorted(ys)[int(_SHOWN_SHARE * (len(ys) - 1))]
    margin = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
    frame = Frame(360, 220, (xs[0], max(xs[-1], xs[0] + 1)), (low - margin, high + margin))

    def within(values: Sequence[float]) -> list[float]:
        return [min(max(value, frame.y[0]), frame.y[1]) for value in values]

    lowest, highest = band
    outline = frame.points([*xs, *reversed(xs)], [*within(lowest), *reversed(within(highest))])
    content = (
        f'<polygon class="band" points="{outline}"/>'
        f'<polyline class="line" points="{frame.points(xs, within(ys))}"/>'
    )
    return frame.svg(title, "step", content)


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"
