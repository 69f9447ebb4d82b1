"""Low-poly vehicles.

Each maker returns a mesh standing on z = 0 about the centre of its footprint, facing +x, and
its size (length, width, height) in metres.
"""

from itertools import pairwise

import numpy as np

from perception.synthetic import textures
from perception.synthetic.classes import VEHICLE
from perception.synthetic.mesh import box, disc, frustum, joined, quads, surface, tube

Made = tuple[np.ndarray, tuple[float, float, float]]

_GLASS = (0.02, 0.025, 0.03, 0.85)
_TYRE = (0.015, 0.015, 0.017)
_DARK = (0.03, 0.03, 0.033, 0.2)


def paint(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A car's colour: mostly white, grey, black, sometimes anything."""
    if rng.random() < 0.62:
        grey = float(rng.choice([0.02, 0.05, 0.12, 0.3, 0.5, 0.75, 0.8]) * rng.uniform(0.8, 1.15))
        r, g, b = np.clip(grey * rng.uniform(0.93, 1.07, 3), 0, 1)
    else:
        r, g, b = rng.uniform(0.01, 1.0, 3) ** 2 * 0.75
        if rng.random() < 0.3:
            r, g, b = 0.45, 0.03, 0.03
    return float(r), float(g), float(b), float(rng.uniform(0.3, 0.6))


def _wheel(x: float, y: float, radius: float, hub: float) -> np.ndarray:
    inner, outer = y - np.sign(y) * 0.2, y
    return joined(
        [
            tube((x, inner, radius), (x, outer, radius), (radius, radius), _TYRE, VEHICLE, 12),
            disc(
                (x, outer + np.sign(y) * 0.005, radius),
                radius * 0.62,
                (hub, hub, hub, 0.3),
                VEHICLE,
            ),
        ]
    )


def _shell(
    sections: list[tuple[float, float, float, float]],
    width: float,
    colour: tuple[float, float, float, float],
) -> np.ndarray:
    """Lower body lofted through `sections` (x, bottom, top, width fraction)."""
    rings = []
    for x, low, high, fraction in sections:
        half = width / 2 * fraction
        mid = low + 0.55 * (high - low)
        ring = [
            (half * 0.9, low),
            (half, low + 0.12),
            (half, mid),
            (half * 0.95, high - 0.03),
            (half * 0.8, high),
            (-half * 0.8, high),
            (-half * 0.95, high - 0.03),
            (-half, mid),
            (-half, low + 0.12),
            (-half * 0.9, low),
        ]
        rings.append([(x, y, z) for y, z in ring])
    grid = np.array(rings)
    caps = [np.stack([ring, np.broadcast_to(ring.mean(0), ring.shape)]) for ring in grid[[0, -1]]]
    # Flat shading of each facet keeps the creases of pressed steel.
    facets = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2)
    return joined([quads(facets, colour, VEHICLE), surface(np.stack(caps), colour, VEHICLE)])


def _panes(
    base: tuple[float, float, float],
    top: tuple[float, float, float],
    width: float,
    z0: float,
    z1: float,
    taper: float,
    split: float,
) -> np.ndarray:
    """Windows of a cabin: `base` and `top` are (rear x, front x, inset) at heights z0, z1."""
    rb, fb, _ = base
    rt, ft, _ = top
    wb, wt = width / 2, width / 2 * taper
    out = []

    def at(u: float, v: float, side: float, lift: float) -> tuple[float, float, float]:
        x = (1 - v) * (rb + u * (fb - rb)) + v * (rt + u * (ft - rt))
        return x, side * ((1 - v) * wb + v * wt + lift), z0 + v * (z1 - z0)

    for side in (-1.0, 1.0):
        for a, b in ((0.05, split - 0.02), (split + 0.02, 0.93)):
            out.append(
                [
                    at(a, 0.1, side, 0.012),
                    at(b, 0.1, side, 0.012),
                    at(b, 0.86, side, 0.012),
                    at(a, 0.86, side, 0.012),
                ]
            )
    for u, push in ((0.0, -0.012), (1.0, 0.012)):
        corners = []
        for v, s in ((0.08, -0.9), (0.08, 0.9), (0.9, 0.9), (0.9, -0.9)):
            x, y, z = at(u, v, abs(s) * np.sign(s), 0.0)
            corners.append((x + push, y * 0.9, z))
        out.append(corners)
    return quads(np.array(out), _GLASS, VEHICLE)


def _lights(length: float, width: float, z: float, plate: bool, lit: bool) -> np.ndarray:
    front, rear, half = length / 2 + 0.012, -length / 2 - 0.012, width / 2
    head = (0.95, 0.93, 0.85) if lit else (0.7, 0.7, 0.72, 0.6)
    tail = (0.75, 0.02, 0.02)
    layer = textures.LAMP if lit else textures.FLAT
    parts = []
    for side in (-1, 1):
        y0, y1 = side * half * 0.55, side * half * 0.88
        for x, colour, dz in ((front, head, 0.0), (rear, tail, 0.08)):
            face = [
                [x, y0, z + dz - 0.07],
                [x, y1, z + dz - 0.07],
                [x, y1, z + dz + 0.08],
                [x, y0, z + dz + 0.08],
            ]
            parts.append(quads(np.array(face), colour, VEHICLE, layer))
    if plate:
        for x in (front, rear):
            face = [
                [x, -0.26, z - 0.22],
                [x, 0.26, z - 0.22],
                [x, 0.26, z - 0.1],
                [x, -0.26, z - 0.1],
            ]
            parts.append(quads(np.array(face), (0.75, 0.72, 0.45), VEHICLE))
        grille = [
            [front - 0.005, -half * 0.5, z - 0.08],
            [front - 0.005, half * 0.5, z - 0.08],
            [front - 0.005, half * 0.5, z + 0.05],
            [front - 0.005, -half * 0.5, z + 0.05],
        ]
        parts.append(quads(np.array(grille), _DARK, VEHICLE))
    return joined(parts)


def car(rng: np.random.Generator, lit: bool = False) -> Made:
    """Hatchback, saloon, estate, off-roader or pickup."""
    kind = rng.choice(
        ["hatch", "saloon", "estate", "suv", "pickup"], p=[0.28, 0.27, 0.14, 0.24, 0.07]
    )
    length = {"hatch": 4.0, "saloon": 4.6, "estate": 4.7, "suv": 4.6, "pickup": 5.2}[kind]
    length *= rng.uniform(0.92, 1.06)
    width = rng.uniform(1.68, 1.88) + (0.06 if kind in ("suv", "pickup") else 0)
    height = rng.uniform(1.4, 1.5) + {"suv": 0.25, "pickup": 0.32}.get(str(kind), 0)
    floor = 0.2 + (0.1 if kind in ("suv", "pickup") else 0)
    belt = floor + (height - floor) * 0.58
    hood = belt - rng.uniform(0.03, 0.14)
    boot = {"saloon": belt - 0.03, "pickup": belt - 0.05}.get(str(kind), belt)
    x = lambda u: (u - 0.5) * length  # noqa: E731
    nose = {"hatch": 0.76, "saloon": 0.73, "estate": 0.75, "suv": 0.76, "pickup": 0.75}[kind]
    tail = {"hatch": 0.02, "saloon": 0.17, "estate": 0.015, "suv": 0.02, "pickup": 0.40}[kind]
    front_top = nose - rng.uniform(0.12, 0.17)
    rear_top = (
        tail + {"hatch": 0.1, "saloon": 0.14, "estate": 0.05, "suv": 0.06, "pickup": 0.02}[kind]
    )
    colour = paint(rng)
    body = _shell(
        [
            (x(0.0), floor + 0.12, boot - 0.22, 0.86),
            (x(0.012), floor + 0.02, boot - 0.1, 0.93),
            (x(0.05), floor, boot, 0.98),
            (x(max(tail, 0.06)), floor, max(boot, belt - 0.02), 1.0),
            (x(nose), floor, belt, 1.0),
            (x(nose + 0.03), floor, hood + 0.02, 1.0),
            (x(0.94), floor, hood - 0.1, 0.97),
            (x(0.985), floor + 0.03, hood - 0.2, 0.9),
            (x(1.0), floor + 0.14, hood - 0.32, 0.8),
        ],
        width,
        colour,
    )
    taper = rng.uniform(0.72, 0.82)
    cabin_width = width * 0.93
    base, top = (x(tail), x(nose), 0.0), (x(rear_top), x(front_top), 0.0)
    low, high = belt - 0.04, height
    cabin = frustum(
        ((base[0] + base[1]) / 2, 0, (low + high) / 2),
        (base[1] - base[0], cabin_width, high - low),
        (top[1] - top[0], cabin_width * taper),
        colour,
        VEHICLE,
        shift=(top[0] + top[1]) / 2 - (base[0] + base[1]) / 2,
    )
    radius = 0.31 if kind not in ("suv", "pickup") else 0.37
    hub = rng.uniform(0.05, 0.6)
    wheels = [
        _wheel(u * length, side * (width / 2 + 0.005), radius, hub)
        for u in (-0.31, 0.315)
        for side in (-1, 1)
    ]
    skirt = box((0, 0, floor + 0.06), (length * 0.9, width * 1.004, 0.12), _DARK, VEHICLE)
    bumpers = [
        box(
            (side * (length / 2 - 0.08), 0, floor + 0.2),
            (0.2, width * 0.86, 0.16),
            _DARK if rng.random() < 0.5 else colour,
            VEHICLE,
        )
        for side in (-1, 1)
    ]
    mirrors = [
        box(
            (x(nose - 0.06), side * (width / 2 + 0.07), belt + 0.05),
            (0.12, 0.16, 0.13),
            colour,
            VEHICLE,
        )
        for side in (-1, 1)
    ]
    parts = [
        body,
        cabin,
        _panes(base, top, cabin_width, low, high, taper, 0.52),
        *wheels,
        skirt,
        *bumpers,
        *mirrors,
        _lights(length, width, hood - 0.17, True, lit),
    ]
    return joined(parts), (float(length), float(width), float(height))


def _long_body(
    length: float,
    width: float,
    floor: float,
    height: float,
    colour: tuple[float, ...],
    x: float = 0.0,
) -> np.ndarray:
    return frustum(
        (x, 0, (floor + height) / 2),
        (length, width, height - floor),
        (length * 0.985, width * 0.96),
        colour,
        VEHICLE,
    )


def _strip(x0: float, x1: float, y: float, z0: float, z1: float, panes: int) -> np.ndarray:
    """Row of `panes` windows on a side wall."""
    edges = np.linspace(x0, x1, panes + 1)
    gap = 0.04
    faces = [
        [[a + gap, y, z0], [b - gap, y, z0], [b - gap, y, z1], [a + gap, y, z1]]
        for a, b in pairwise(edges)
    ]
    return quads(np.array(faces), _GLASS, VEHICLE)


def _end_pane(x: float, half: float, z0: float, z1: float) -> np.ndarray:
    return quads(
        np.array([[x, -half, z0], [x, half, z0], [x, half, z1], [x, -half, z1]]), _GLASS, VEHICLE
    )


def van(rng: np.random.Generator, lit: bool = False) -> Made:
    length, width, height = rng.uniform(4.6, 6.0), rng.uniform(1.9, 2.05), rng.uniform(1.9, 2.6)
    white = rng.random() < 0.55
    shade = rng.uniform(0.55, 0.8)
    colour = (shade, shade, shade, 0.35) if white else paint(rng)
    cargo = length * 0.72
    front = -length / 2 + cargo
    body = _long_body(cargo, width, 0.3, height, colour, -length / 2 + cargo / 2)
    nose_length = length - cargo
    nose = frustum(
        (front + nose_length / 2, 0, 0.3 + (height * 0.52 - 0.3) / 2),
        (nose_length, width * 0.97, height * 0.52 - 0.3),
        (nose_length * 0.9, width * 0.93),
        colour,
        VEHICLE,
        shift=-nose_length * 0.04,
    )
    screen_base = front + nose_length * 0.62
    cab = frustum(
        ((front + screen_base) / 2 - 0.1, 0, height * 0.75),
        (screen_base - front + 0.2, width * 0.93, height * 0.48),
        (0.3, width * 0.85),
        colour,
        VEHICLE,
        shift=-(screen_base - front) / 2 + 0.05,
    )
    z0, z1 = height * 0.54, height * 0.93
    screen = quads(
        np.array(
            [
                [screen_base + 0.02, -width * 0.42, z0],
                [screen_base + 0.02, width * 0.42, z0],
                [front + 0.17, width * 0.38, z1],
                [front + 0.17, -width * 0.38, z1],
            ]
        ),
        _GLASS,
        VEHICLE,
    )
    parts = [body, nose, cab, screen]
    for side in (-1, 1):
        y = side * (width / 2 + 0.012)
        parts.append(_strip(front - length * 0.2, front - 0.05, y, height * 0.55, height * 0.85, 1))
        if not white and rng.random() < 0.6:
            parts.append(
                _strip(-length / 2 + 0.2, front - length * 0.22, y, height * 0.56, height * 0.85, 2)
            )
        parts += [_wheel(u * length, side * (width / 2 + 0.005), 0.34, 0.35) for u in (-0.3, 0.32)]
        parts.append(
            box(
                (front + 0.3, side * (width / 2 + 0.1), height * 0.58),
                (0.1, 0.18, 0.28),
                _DARK,
                VEHICLE,
            )
        )
    parts.append(_end_pane(-length / 2 - 0.015, width * 0.36, height * 0.58, height * 0.85))
    parts.append(box((0, 0, 0.36), (length, width * 1.005, 0.14), _DARK, VEHICLE))
    parts.append(_lights(length, width, 0.72, True, lit))
    return joined(parts), (float(length), float(width), float(height))


def bus(rng: np.random.Generator, lit: bool = False) -> Made:
    length, width, height = rng.uniform(9, 12.5), 2.5, rng.uniform(2.9, 3.3)
    colour = paint(rng)
    if rng.random() < 0.6:
        colour = (
            *rng.choice([(0.6, 0.04, 0.04), (0.6, 0.45, 0.05), (0.1, 0.25, 0.5), (0.7, 0.7, 0.7)]),
            0.35,
        )
    parts = [_long_body(length, width, 0.3, height, colour)]
    for side in (-1, 1):
        y = side * (width / 2 + 0.012)
        parts.append(
            _strip(-length / 2 + 0.4, length / 2 - 1.6, y, 1.25, height - 0.5, int(length / 1.5))
        )
        parts.append(_strip(length / 2 - 1.5, length / 2 - 0.3, y, 0.5, height - 0.5, 1))
        parts += [_wheel(u * length, side * (width / 2 + 0.005), 0.48, 0.3) for u in (-0.27, 0.3)]
        parts.append(box((length / 2 + 0.15, side * 1.3, 2.2), (0.2, 0.25, 0.45), _DARK, VEHICLE))
    parts.append(_end_pane(length / 2 + 0.015, width * 0.46, 0.95, height - 0.45))
    parts.append(_end_pane(-length / 2 - 0.015, width * 0.4, 1.7, height - 0.5))
    sign = [
        [length / 2 + 0.02, -0.8, height - 0.4],
        [length / 2 + 0.02, 0.8, height - 0.4],
        [length / 2 + 0.02, 0.8, height - 0.12],
        [length / 2 + 0.02, -0.8, height - 0.12],
    ]
    parts.append(quads(np.array(sign), (0.25, 0.12, 0.0), VEHICLE, textures.LAMP))
    parts.append(_lights(length, width, 0.75, True, lit))
    return joined(parts), (float(length), width, float(height))


def truck(rng: np.random.Generator, lit: bool = False) -> Made:
    """Box lorry, or tractor with a long trailer."""
    long = rng.random() < 0.35
    length = rng.uniform(12, 15.5) if long else rng.uniform(6.2, 9)
    width, height = rng.uniform(2.3, 2.55), rng.uniform(2.9, 3.9)
    cab_length, cab_height = 2.0, min(height, rng.uniform(2.5, 3.1))
    colour, shade = paint(rng), rng.uniform(0.35, 0.8)
    load = (shade, shade, shade, 0.2) if rng.random() < 0.6 else paint(rng)
    front = length / 2
    parts = [
        _long_body(length - cab_length - 0.35, width, 0.95, height, load, -(cab_length + 0.35) / 2),
        frustum(
            (front - cab_length / 2, 0, 0.4 + (cab_height - 0.4) / 2),
            (cab_length, width * 0.97, cab_height - 0.4),
            (cab_length * 0.82, width * 0.92),
            colour,
            VEHICLE,
            shift=-cab_length * 0.07,
        ),
        box((-0.3, 0, 0.8), (length - 1.2, width * 0.5, 0.3), _DARK, VEHICLE),
        _end_pane(front - 0.03, width * 0.43, cab_height * 0.55, cab_height * 0.86),
        box((front - 0.1, 0, 0.55), (0.25, width * 0.96, 0.3), _DARK, VEHICLE),
        box((-front + 0.1, 0, 0.55), (0.1, width * 0.9, 0.14), _DARK, VEHICLE),
    ]
    stations = (-0.42, -0.34, 0.38) if long else (-0.3, 0.36)
    for side in (-1, 1):
        parts.append(
            _strip(
                front - cab_length * 0.75,
                front - 0.35,
                side * (width / 2 - 0.01),
                cab_height * 0.55,
                cab_height * 0.84,
                1,
            )
        )
        parts += [_wheel(u * length, side * width / 2, 0.48, 0.3) for u in stations]
        parts.append(
            box(
                (front - 0.2, side * (width / 2 + 0.14), cab_height * 0.62),
                (0.1, 0.2, 0.5),
                _DARK,
                VEHICLE,
            )
        )
    parts.append(_lights(length, width, 0.85, True, lit))
    return joined(parts), (float(length), float(width), float(height))


def any_vehicle(rng: np.random.Generator, lit: bool = False, parked: bool = False) -> Made:
    pick = rng.random()
    if pick < (0.86 if parked else 0.74):
        return car(rng, lit)
    if pick < (0.97 if parked else 0.87):
        return van(rng, lit)
    return truck(rng, lit) if rng.random() < 0.55 else bus(rng, lit)
