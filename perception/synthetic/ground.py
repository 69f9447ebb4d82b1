"""Ground: terrain, carriageways, their markings, pavements.

Flat ground is drawn in painter's order and so needs no height of its own; road paint counts as
drivable.
"""

import numpy as np

from perception.synthetic import textures
from perception.synthetic.classes import DRIVABLE, PAVEMENT, TERRAIN
from perception.synthetic.mesh import Colour, quads, surface
from perception.synthetic.site import BEHIND, KERB, Site
from perception.synthetic.street import Street, stations


def pave(site: Site) -> None:
    """Open ground to the horizon, then the carriageways."""
    rng = site.rng
    far, cut = 1500.0, 24
    centre = site.main.line.at(site.main.line.length / 2)
    ticks = np.sign(np.linspace(-1, 1, cut)) * np.abs(np.linspace(-1, 1, cut)) ** 2 * far
    grid = np.stack(
        [
            *np.meshgrid(centre[0] + ticks, centre[1] + ticks, indexing="ij"),
            np.zeros((cut, cut)),
        ],
        2,
    )
    base = surface(grid, site.style.grass_colour, TERRAIN, site.style.grass, grid[..., :2])
    base["normal"] = (0, 0, 1)
    site.ground.append(base)
    for street in site.streets:  # roads first: pavements and plots must not overlap them
        left, right = street.edge(1), street.edge(-1)
        start = street.start - (
            0 if street is site.main else max(site.main.edge(1), site.main.edge(-1))
        )
        for a in stations(start, street.end, 6.0):
            b = min(a + 6.0, street.end)
            corners = street.line.at(
                np.array([max(a, 0), b, b, max(a, 0)]), np.array([left, left, -right, -right])
            )
            site.plan.take(corners)
        colour = site.style.asphalt_colour
        layer = site.style.asphalt
        if street is not site.main and rng.random() < 0.3:
            colour = tuple(np.array(colour) * rng.uniform(0.75, 1.3))
            layer = int(rng.choice(textures.ASPHALT))
        site.paint += street.strip(street.start, street.end, left, -right, colour, DRIVABLE, layer)
    for street in site.streets[1:]:  # flared mouths round off the corners
        left, right = street.edge(1), street.edge(-1)
        for side, edge in ((1, left), (-1, right)):
            angle = np.linspace(0, np.pi / 2, 7)
            radius = 3.0
            rim = np.column_stack(
                [
                    radius - radius * np.sin(angle),
                    side * (edge + radius - radius * np.cos(angle)),
                ]
            )
            fan = np.stack(
                [
                    np.broadcast_to([-0.3, side * (edge - 0.3)], rim[:-1].shape),
                    rim[:-1],
                    rim[1:],
                    rim[1:],
                ],
                axis=1,
            )
            flat = np.concatenate(
                [
                    street.line.at(np.maximum(fan[..., 0], 0), fan[..., 1]),
                    np.zeros((*fan.shape[:2], 1)),
                ],
                axis=2,
            )
            site.paint.append(
                quads(flat, site.style.asphalt_colour, DRIVABLE, site.style.asphalt, flat[..., :2])
            )
        site.plan.take(
            street.line.at(np.array([0, 3, 3, 0]), np.array([left + 3, left, -right, -right - 3]))
        )


def paint_markings(site: Site, street: Street) -> None:
    rng = site.rng
    bare = site.theme == "suburb" and rng.random() < 0.4
    dash, space = rng.uniform(1.5, 4), rng.uniform(2.5, 9)
    half = rng.uniform(0.05, 0.09)
    boundaries = sorted(
        {round(d + k * street.lane_width / 2, 3) for d, _ in street.lanes for k in (-1, 1)}
    )
    directions = {round(d, 3): direction for d, direction in street.lanes}

    def line(a: float, b: float, d: float, colour: Colour, dashed: bool, wide: float = 1.0) -> None:
        spans = (
            [(s, min(s + dash, b)) for s in stations(a, b, dash + space)] if dashed else [(a, b)]
        )
        for s, e in spans:
            site.paint.extend(
                street.strip(
                    s, e, d - half * wide, d + half * wide, colour, DRIVABLE, textures.FLAT
                )
            )

    for a, b in street.runs(margin=1.0):
        if street is not site.main:
            a += 4.0
        for d in boundaries:
            near = sorted(directions, key=lambda lane: abs(lane - d))[:2]
            inner = len(near) == 2 and all(
                abs(abs(lane - d) - street.lane_width / 2) < 0.02 for lane in near
            )
            if bare and inner:
                continue
            if not inner:
                side = 1 if d > 0 else -1
                if street.sides[side].cycle or rng.random() < 0.4:
                    line(a, b, d - side * 0.12, site.style.line_white, False)
            elif directions[near[0]] == directions[near[1]]:
                line(a, b, d, site.style.line_white, True)
            elif rng.random() < 0.35:
                line(a, b, d - 0.13, site.style.line_centre, False)
                line(a, b, d + 0.13, site.style.line_centre, False)
            else:
                line(a, b, d, site.style.line_centre, rng.random() < 0.6)
    zebra = rng.random() < 0.6
    for a, b in street.gaps if street is site.main else [(street.start - 1, street.start + 3.0)]:
        ends = ((a, -1), (b, 1)) if street is site.main else ((b, 1),)
        for s, away in ends:
            for d, direction in street.lanes:  # stop lines for lanes that arrive here
                if direction == -away and rng.random() < 0.85:
                    at = s + away * (4.6 if zebra else 0.4)
                    w = street.lane_width / 2
                    site.paint += street.strip(
                        min(at, at + away * 0.4),
                        max(at, at + away * 0.4),
                        d - w,
                        d + w,
                        site.style.line_white,
                        DRIVABLE,
                    )
                    if rng.random() < 0.5:
                        _arrow(site, street, at + away * 6, d, -away)
            if zebra:
                _zebra(site, street, s + away * 2.0)
    if street is site.main and rng.random() < 0.6:  # crossings between junctions
        s = rng.uniform(BEHIND + 8, BEHIND + 60)
        if street.clear(s, 8):
            _zebra(site, street, s)
    for _ in range(rng.poisson(5)):  # manholes, oil and patches
        s, d = (
            rng.uniform(street.start, street.end),
            rng.uniform(-street.edge(-1), street.edge(1)) * 0.8,
        )
        angle = np.linspace(0, 2 * np.pi, 11)
        ring = street.line.at(s + 0.35 * np.cos(angle), d + 0.35 * np.sin(angle))
        _blot(site, ring, rng.uniform(0.3, 0.8))
    for _ in range(rng.poisson(6)):
        s, d = (
            rng.uniform(street.start, street.end - 8),
            rng.uniform(-street.edge(-1), street.edge(1)) * 0.7,
        )
        tone = tuple(np.array(site.style.asphalt_colour) * rng.uniform(0.55, 1.5))
        site.paint += street.strip(
            s,
            s + rng.uniform(1, 9),
            d,
            d + rng.uniform(0.4, 2.0),
            tone,
            DRIVABLE,
            int(rng.choice(textures.ASPHALT)),
        )


def _blot(site: Site, ring: np.ndarray, tone: float) -> None:
    centre = ring[:-1].mean(0)
    fan = np.stack(
        [np.broadcast_to(centre, ring[:-1].shape), ring[:-1], ring[1:], ring[1:]], axis=1
    )
    flat = np.concatenate([fan, np.zeros((*fan.shape[:2], 1))], axis=2)
    site.paint.append(quads(flat, tuple(np.array(site.style.asphalt_colour) * tone), DRIVABLE))


def _zebra(site: Site, street: Street, s: float) -> None:
    for d in stations(-street.edge(-1) + 0.4, street.edge(1) - 0.4, 1.0):
        site.paint += street.strip(s - 1.5, s + 1.5, d, d + 0.5, site.style.line_white, DRIVABLE)


def _arrow(site: Site, street: Street, s: float, d: float, direction: int) -> None:
    shaft = [(-2, -0.08), (0.6, -0.08), (0.6, 0.08), (-2, 0.08)]
    head = [(0.6, -0.3), (1.8, 0.0), (1.8, 0.0), (0.6, 0.3)]
    corners = np.array([shaft, head])
    flat = street.line.at(s + direction * corners[..., 0], d + corners[..., 1])
    flat = np.concatenate([flat, np.zeros((2, 4, 1))], axis=2)
    site.paint.append(quads(flat, site.style.line_white, DRIVABLE))


def build_kerbs(site: Site, street: Street) -> None:
    """Pavements with kerbs, and paved forecourts behind some."""
    rng = site.rng
    if street is not site.main:
        street.gaps.append((street.start - 1, street.start + 3.0))
    for side in (1, -1):
        profile = street.sides[side]
        runs = list(street.runs())
        if street is site.main:
            runs += [(a, b) for a, b, closed in site.closed if closed == side]
        kerb = side * street.edge(side)
        back = kerb + side * profile.pavement
        for a, b in runs:
            if profile.pavement:
                site.static += street.strip(
                    a, b, kerb, back, site.style.paving_colour, PAVEMENT, site.style.paving, KERB
                )
                grey = (0.4, 0.4, 0.38) if rng.random() < 0.7 else site.style.paving_colour
                site.static += street.wall(a, b, kerb, 0, KERB, grey, PAVEMENT)
                site.static += street.strip(
                    a, b, kerb, kerb + side * 0.15, grey, PAVEMENT, 0, KERB + 0.004
                )
                site.static += street.wall(a, b, back, 0, KERB, grey, PAVEMENT)
            if (
                profile.verge + profile.setback > 0.5
                and site.theme in ("city", "town")
                and rng.random() < 0.5
            ):
                # Paved forecourts reach up to the fronts.
                site.ground += street.strip(
                    a,
                    b,
                    back,
                    back + side * (profile.verge + profile.setback + 1),
                    tuple(np.array(site.style.paving_colour) * 0.9),
                    PAVEMENT,
                    site.style.paving,
                )
            for s in stations(a, b, 6.0):
                e = min(s + 6.0, b)
                site.plan.take(
                    street.line.at(np.array([s, e, e, s]), np.array([kerb, kerb, back, back]))
                )
