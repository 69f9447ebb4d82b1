"""Layout: theme, main street, side streets and the ego vehicle's way through them."""

import numpy as np

from perception.synthetic import textures
from perception.synthetic.light import random_light
from perception.synthetic.site import AHEAD, BEHIND, Site, Style
from perception.synthetic.street import Line, Plan, Side, Street


def lay_out(rng: np.random.Generator, duration_s: float) -> Site:
    """An empty site: everything random that the later builders agree on."""
    light = random_light(rng)
    theme = str(rng.choice(["city", "town", "suburb", "country"], p=[0.34, 0.32, 0.22, 0.12]))
    stopped = rng.random() < 0.22 and theme != "country"
    speeds = {"city": (3, 12), "town": (5, 14), "suburb": (5, 14), "country": (12, 25)}
    ego_speed = 0.0 if stopped else float(rng.uniform(*speeds[theme]))
    surge = float(rng.uniform(0, 0.25))
    line = _line(rng, theme, BEHIND + ego_speed * 1.3 * duration_s + AHEAD)
    drive = -1 if rng.random() < 0.7 else 1
    style = _style(rng)
    one_way = theme in ("city", "town") and rng.random() < 0.15
    forward = int(rng.choice([1, 2, 3], p=[0.68, 0.25, 0.07]))
    backward = 0 if one_way else max(1, forward - int(rng.random() < 0.3))
    lanes, width = _lanes(rng, drive, forward, backward)
    main = Street(line, 0.0, line.length, lanes, width, _sides(rng, theme))
    own = [d for d, direction in lanes if direction > 0]
    site = Site(
        rng=rng,
        duration_s=duration_s,
        light=light,
        theme=theme,
        drive=drive,
        style=style,
        ego_speed=ego_speed,
        surge=surge,
        ego_offset=float(rng.choice(own)) + float(rng.normal(0, 0.12)),
        streets=[main],
        closed=[],
        plan=Plan(line.xy.min(0) - 110, line.xy.max(0) + 110),
    )
    expected = {"city": 2.6, "town": 2.0, "suburb": 1.4, "country": 0.4}[theme]
    taken: list[float] = []
    for _ in range(rng.poisson(expected) + int(stopped)):
        s = float(rng.uniform(30, line.length - 40))
        if stopped and not taken:
            s = BEHIND + float(rng.uniform(12, 40))
        if all(abs(s - other) > 70 for other in taken):
            taken.append(s)
            _crossing(site, s)
    return site


def _line(rng: np.random.Generator, theme: str, length: float) -> Line:
    """A gently winding line that turns by less than a right angle and a half."""
    count = int(np.ceil(length / Line.STEP)) + 2
    bend = rng.normal(0, 0.004 if theme in ("city", "town") else 0.006)
    knots = rng.normal(0, 0.0035, count // 60 + 3) + bend
    if rng.random() < 0.3:
        knots[:] = 0
    curvature = np.interp(np.arange(count) / 60, np.arange(len(knots)), knots)
    heading = np.concatenate([[0], np.cumsum(curvature)])[:-1]
    curvature *= min(1.0, 1.3 / max(float(np.ptp(heading)), 1e-6))
    return Line((0.0, 0.0), 0.0, curvature)


def _style(rng: np.random.Generator) -> Style:
    asphalt = int(rng.choice(textures.ASPHALT))
    shade = rng.uniform(0.07, 0.3)
    asphalt_colour = np.clip(shade * rng.uniform(0.92, 1.08, 3), 0, 1).tolist()
    white = (rng.uniform(0.45, 0.95) * np.array([1, 1, rng.uniform(0.85, 1)])).tolist()
    centre = (0.7, 0.5, 0.08) if rng.random() < 0.3 else white
    paving = int(rng.choice(textures.PAVING))
    paving_colour = (rng.uniform(0.2, 0.55) * rng.uniform(0.9, 1.1, 3)).tolist()
    grass = int(rng.choice(textures.GRASS))
    dry = rng.random()
    lush, straw = np.array([0.13, 0.22, 0.05]), np.array([0.32, 0.27, 0.14])
    grass_colour = ((lush * (1 - dry) + straw * dry) * rng.uniform(0.6, 1.3)).tolist()
    return Style(asphalt, asphalt_colour, white, centre, paving, paving_colour, grass, grass_colour)


def _lanes(
    rng: np.random.Generator, drive: int, forward: int, backward: int
) -> tuple[list[tuple[float, int]], float]:
    width = float(rng.uniform(2.9, 3.7))
    side = drive
    lanes = [(side * (i + 0.5) * width, 1) for i in range(forward)]
    lanes += [(-side * (i + 0.5) * width, -1) for i in range(backward)]
    if not backward:
        lanes = [(d - side * forward * width / 2, direction) for d, direction in lanes]
    return lanes, width


def _sides(rng: np.random.Generator, theme: str, minor: bool = False) -> dict[int, Side]:
    sides = {}
    for side in (-1, 1):
        if theme == "country" and not minor:
            sides[side] = Side(
                0.0,
                float(rng.uniform(0.4, 2.0)),
                2.0 if rng.random() < 0.3 else 0.0,
                float(rng.uniform(2, 6)),
                float(rng.uniform(8, 30)),
            )
            continue
        urban = theme in ("city", "town")
        sides[side] = Side(
            parking=float(rng.uniform(2.0, 2.4))
            if rng.random() < (0.6 if urban else 0.45)
            else 0.0,
            cycle=float(rng.uniform(1.2, 1.8)) if rng.random() < 0.4 else 0.0,
            pavement=float(rng.uniform(1.8, 6.0) if urban else rng.uniform(1.2, 2.5)),
            verge=0.0 if urban and rng.random() < 0.7 else float(rng.uniform(0.8, 3)),
            setback=0.0 if theme == "city" else float(rng.uniform(0, 8)),
        )
    return sides


def _crossing(site: Site, s: float) -> None:
    """A side street across the main one (or only to one side) at station `s`."""
    rng = site.rng
    lanes, width = _lanes(rng, site.drive, int(rng.choice([1, 2], p=[0.8, 0.2])), 1)
    half = max(abs(d) for d, _ in lanes) + width / 2
    sides = _sides(rng, site.theme, minor=True)
    reach = half + max(side.cycle + side.parking for side in sides.values())
    arms = (1, -1) if rng.random() < 0.6 else (int(rng.choice([1, -1])),)
    site.main.gaps.append((s - reach - 3.0, s + reach + 3.0))
    for arm in arms:
        start = site.main.line.at(s, arm * site.main.edge(arm))
        heading = float(site.main.line.yaw(s)) + arm * np.pi / 2
        line = Line((float(start[0]), float(start[1])), heading, np.full(125, rng.normal(0, 0.002)))
        site.streets.append(Street(line, 0.0, 120.0, lanes, width, sides))
    if len(arms) == 1:  # the closed side keeps its kerb
        site.closed.append((s - reach - 3.0, s + reach + 3.0, -arms[0]))
