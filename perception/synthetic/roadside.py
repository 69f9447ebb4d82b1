"""Roadside: what stands beside the streets, and the backdrop that closes the horizon."""

import numpy as np

from perception.synthetic import scenery, textures, vehicles
from perception.synthetic.classes import BUILDING, FENCE, VEGETATION
from perception.synthetic.mesh import box, placed, quads
from perception.synthetic.site import KERB, Site
from perception.synthetic.street import Street, stations


def build_roadside(site: Site, street: Street) -> None:
    """Plots, street furniture and parked vehicles on both sides."""
    for side in (1, -1):
        _plots(site, street, side)
        _furniture(site, street, side)
        _park(site, street, side)


def _plots(site: Site, street: Street, side: int) -> None:
    """Buildings, gardens, hedges and fences behind the pavement."""
    density = {"city": 1.0, "town": 0.9, "suburb": 0.8, "country": 0.35}[site.theme]
    rng, profile, line = site.rng, street.sides[side], street.line
    back = street.edge(side) + profile.pavement + profile.verge
    front = back + profile.setback
    tall = {"city": (9, 30), "town": (6, 15), "suburb": (4, 8), "country": (4, 7)}[site.theme]
    shops = site.theme in ("city", "town") and profile.setback < 4
    s = street.start + 3
    while s < street.end - 6:
        width = float(
            rng.uniform(7, 14) if site.theme in ("suburb", "country") else rng.uniform(8, 26)
        )
        depth = float(rng.uniform(8, 14))
        middle = s + width / 2
        yaw = float(line.yaw(middle)) + (0 if side > 0 else np.pi)
        if rng.random() < density:
            at = line.at(middle, side * (front + 0.3))
            outward = np.array([-np.sin(yaw), np.cos(yaw)])
            if site.plan.claim_rectangle(at + outward * (depth / 2 + 0.5), (width, depth), yaw):
                mesh = scenery.building(
                    rng, width, depth, float(rng.uniform(*tall)), shops and rng.random() < 0.7
                )
                site.put(mesh, at + outward * 0.4, yaw)
        s += width + (rng.uniform(0, 1.5) if site.theme == "city" else rng.uniform(0, 9))
    if profile.setback > 2.0 or site.theme == "country":
        _boundary(site, street, side, back)
    _green(site, street, side, back)


def _boundary(site: Site, street: Street, side: int, back: float) -> None:
    """A wall, fence, hedge or rail along the plots, or nothing."""
    rng, line = site.rng, street.line
    kind = rng.choice(["none", "wall", "fence", "hedge", "rail"], p=[0.3, 0.17, 0.2, 0.2, 0.13])
    height = rng.uniform(0.7, 1.9)
    d = side * (back + 0.25)
    for a, b in street.runs(margin=1.5):
        for s in stations(a, b - 8, 24.0):
            e = min(s + rng.uniform(14, 22), b)
            if kind == "wall":
                colour, layer = (
                    scenery.wall_colour(rng),
                    int(rng.choice([*textures.BRICK, textures.GRAFFITI])),
                )
                site.static += street.wall(s, e, d, 0, height, colour, FENCE, layer)
                site.static += street.strip(
                    s, e, d, d + side * 0.25, (0.4, 0.4, 0.4), FENCE, 0, height
                )
            elif kind == "fence":
                layer, colour = (
                    (textures.PLANKS, (0.3, 0.2, 0.12))
                    if rng.random() < 0.6
                    else (textures.MESH, (0.35, 0.37, 0.38))
                )
                site.static += street.wall(s, e, d, 0.05, height, colour, FENCE, layer)
            elif kind == "hedge":
                _hedge(site, street, s, e, d, side, height)
            elif kind == "rail":
                site.static += street.wall(s, e, d, 0.45, 0.8, (0.45, 0.46, 0.47), FENCE)
                for p in stations(s, e, 4.0):
                    site.put(
                        box((0, 0, 0.4), (0.1, 0.12, 0.8), (0.4, 0.4, 0.4), FENCE),
                        line.at(p, d + side * 0.1),
                        float(line.yaw(p)),
                    )


def _hedge(
    site: Site, street: Street, s: float, e: float, d: float, side: int, height: float
) -> None:
    green = tuple(np.array([0.08, 0.15, 0.04]) * site.rng.uniform(0.6, 1.6))
    layer = int(site.rng.choice(textures.FOLIAGE))
    thick = side * 0.9
    site.static += street.wall(s, e, d, 0, height, green, VEGETATION, layer)
    site.static += street.wall(s, e, d + thick, 0, height, green, VEGETATION, layer)
    site.static += street.strip(s, e, d, d + thick, green, VEGETATION, layer, height)


def _green(site: Site, street: Street, side: int, back: float) -> None:
    """Trees and bushes on free ground, in depth."""
    rng = site.rng
    plants = site.plants
    amount = {"city": 0.05, "town": 0.09, "suburb": 0.16, "country": 0.28}[
        site.theme
    ] * rng.uniform(0.4, 1.6)
    for _ in range(int(amount * (street.end - street.start))):
        s = rng.uniform(street.start, street.end)
        d = side * (back + rng.gamma(1.6, 9.0) + 0.8)
        at = street.line.at(s, d)
        small = rng.random() < 0.35
        if site.plan.claim_rectangle(at, (1.5, 1.5), 0.0):
            mesh = plants.bushes[rng.integers(4)] if small else plants.trees[rng.integers(7)]
            site.put(mesh, at, rng.uniform(0, 6.28), float(rng.uniform(0.7, 1.5)))


def _furniture(site: Site, street: Street, side: int) -> None:
    """Lamp posts, street trees, signs, bollards along the kerb."""
    rng, profile, line = site.rng, street.sides[side], street.line
    kerb = street.edge(side)
    z = KERB if profile.pavement else 0.0
    inward = np.pi if side > 0 else 0.0
    spacing, phase = rng.uniform(22, 42), rng.uniform(0, 30)
    lamp = (
        scenery.street_light(rng, site.light.night)
        if rng.random() < 0.75
        else scenery.utility_pole(rng)
    )
    for s in stations(street.start + 5 + phase, street.end, spacing):
        if street.clear(s, 1):
            site.put(lamp, line.at(s, side * (kerb + 0.5)), float(line.yaw(s)) + inward, 1.0, z)
    plants = site.plants
    if profile.pavement > 2.2 and rng.random() < 0.45:
        tree, spacing = plants.trees[rng.integers(7)], rng.uniform(7, 16)
        for s in stations(street.start + rng.uniform(4, 14), street.end, spacing):
            if street.clear(s, 3):
                site.put(
                    tree,
                    line.at(s, side * (kerb + 0.8)),
                    rng.uniform(0, 6.28),
                    float(rng.uniform(0.7, 1.1)),
                    z,
                )
    if profile.pavement and rng.random() < 0.2:
        post = scenery.bollard(rng)
        for s in stations(street.start + 4, street.end, rng.uniform(1.5, 3)):
            if street.clear(s, 1):
                site.put(post, line.at(s, side * (kerb + 0.35)), 0.0, 1.0, z)
    for _ in range(rng.poisson(0.03 * (street.end - street.start))):
        s = rng.uniform(street.start + 4, street.end)
        if not street.clear(s, 1):
            continue
        facing = float(line.yaw(s)) + (0.0 if side == site.drive else np.pi)
        pick = rng.random()
        mesh = scenery.sign(rng) if pick < 0.75 else scenery.bin_(rng)
        site.put(mesh, line.at(s, side * (kerb + 0.55)), facing + rng.normal(0, 0.1), 1.0, z)
    if profile.pavement > 2.5 and rng.random() < 0.35:
        s = rng.uniform(street.start + 10, street.end)
        if street.clear(s, 4):
            site.put(
                scenery.shelter(rng),
                line.at(s, side * (kerb + 0.9)),
                float(line.yaw(s)) + (0 if side > 0 else np.pi),
                1.0,
                z,
            )
    if street is site.main and site.theme != "country":
        for a, b in street.gaps:
            if rng.random() < 0.6:
                for s in (a - 0.6, b + 0.6):
                    site.put(
                        scenery.traffic_light(rng),
                        line.at(s, side * (kerb + 0.5)),
                        float(line.yaw(s)),
                        1.0,
                        z,
                    )


def _park(site: Site, street: Street, side: int) -> None:
    """Cars in the parking lane, and some off the road on drives."""
    rng, profile, line = site.rng, street.sides[side], street.line
    s = street.start + 8
    full = rng.uniform(0.25, 0.95)
    while profile.parking and s < street.end - 8:
        if rng.random() < full and street.clear(s, 6.5):
            mesh, size = vehicles.any_vehicle(rng, parked=True)
            if size[0] < 7:
                middle = s + size[0] / 2
                d = side * (street.edge(side) - 0.15 - size[1] / 2 - abs(rng.normal(0, 0.06)))
                turn = 0.0 if (side == site.drive or rng.random() < 0.25) else np.pi
                site.park(
                    mesh,
                    size,
                    line.at(middle, d),
                    float(line.yaw(middle)) + turn + rng.normal(0, 0.025),
                )
                s += size[0]
        else:
            s += rng.uniform(2, 6)
        s += rng.uniform(0.5, 2.5)
    if profile.setback > 5:
        for _ in range(rng.poisson(0.025 * (street.end - street.start))):
            s = rng.uniform(street.start + 8, street.end)
            mesh, size = vehicles.any_vehicle(rng, parked=True)
            if size[0] > 7:
                continue
            d = side * (street.edge(side) + profile.pavement + profile.verge + 3.2)
            yaw = float(line.yaw(s)) + rng.choice([np.pi / 2, -np.pi / 2])
            at = line.at(s, d)
            if site.plan.claim_rectangle(at, (size[0] + 0.5, size[1] + 0.5), yaw):
                site.park(mesh, size, at, yaw)


def build_backdrop(site: Site) -> None:
    """Second rows of blocks, far trees and hills that close the horizon."""
    rng, line = site.rng, site.main.line
    rows = {"city": 60, "town": 40, "suburb": 22, "country": 5}[site.theme]
    high = {"city": (15, 60), "town": (8, 30), "suburb": (5, 14), "country": (4, 8)}[site.theme]
    for _ in range(rows):
        at = line.at(rng.uniform(-20, line.length + 20), rng.choice([-1, 1]) * rng.uniform(35, 100))
        size, yaw = (rng.uniform(10, 30), rng.uniform(10, 24)), rng.uniform(0, 6.28)
        if site.plan.claim_rectangle(at, size, yaw):
            mesh = scenery.building(rng, *size, float(rng.uniform(*high)), False)
            site.put(placed(mesh, (0, -size[1] / 2, 0)), at, yaw)
    centre = line.at(line.length / 2)
    for layer in range(3):  # ragged ridges of wood, hill or skyline, ever farther
        radius = line.length / 2 + 130 + 220 * layer
        count = 72
        angle = np.linspace(0, 2 * np.pi, count + 1)
        town = site.theme == "city" or (site.theme == "town" and rng.random() < 0.5)
        if town:
            height = np.repeat(rng.uniform(6, 45, count // 2 + 1), 2)[: count + 1]
            colour, class_, skin = (
                scenery.wall_colour(rng),
                BUILDING,
                int(rng.choice(textures.FACADE)),
            )
        else:
            height = rng.uniform(5, 12) * (1 + layer) + rng.normal(0, 1.5, count + 1)
            height = np.abs(height + 6 * layer * np.sin(angle * rng.integers(2, 6)))
            colour, class_, skin = (
                tuple(np.array([0.08, 0.14, 0.05]) * rng.uniform(0.7, 1.8)),
                VEGETATION,
                int(rng.choice(textures.FOLIAGE)),
            )
        height[-1] = height[0]
        rim = centre + radius * np.column_stack([np.cos(angle), np.sin(angle)])
        if town:
            low = np.column_stack([rim, np.zeros(count + 1)])
            corners = np.stack(
                [
                    low[:-1],
                    low[1:],
                    low[1:] + height[:-1, None] * [0, 0, 1],
                    low[:-1] + height[:-1, None] * [0, 0, 1],
                ],
                axis=1,
            )
            length = radius * 2 * np.pi / count
            uv = np.array([[[0, 0], [length, 0], [length, h], [0, h]] for h in height[:-1]])
            site.static.append(quads(corners, colour, class_, skin, uv))
        else:
            fine = np.linspace(0, 2 * np.pi, count * 5 + 1)
            tops = np.interp(fine, angle, height) + rng.uniform(-1.2, 1.2, len(fine))
            rim = centre + radius * np.column_stack([np.cos(fine), np.sin(fine)])
            low = np.column_stack([rim, np.zeros(len(fine))])
            up = tops[:, None] * [0, 0, 1]
            corners = np.stack([low[:-1], low[1:], low[1:] + up[1:], low[:-1] + up[:-1]], axis=1)
            u = fine * radius
            uv = np.stack(
                [
                    np.column_stack(p)
                    for p in (
                        (u[:-1], 0 * u[:-1]),
                        (u[1:], 0 * u[:-1]),
                        (u[1:], tops[1:]),
                        (u[:-1], tops[:-1]),
                    )
                ],
                axis=1,
            )
            site.static.append(quads(corners, colour, class_, skin, uv / 3))
