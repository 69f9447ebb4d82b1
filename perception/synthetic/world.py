"""World: one random street and its traffic, a pure function of seed and time.

`World(seed)` lays out roads, buildings, plants and street furniture once; `world.at(t)` says
where the ego vehicle and every object is at `t` seconds and gives the meshes of what moves.
The map frame is x, y, z metres with z up and the road at z = 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perception.synthetic import actors, scenery, textures
from perception.synthetic.light import Light, random_light
from perception.synthetic.mesh import FIRST_INSTANCE, VERTEX, joined, placed, quads, surface, tagged
from perception.synthetic.scenery import (
    BUILDING,
    DRIVABLE,
    FENCE,
    PAVEMENT,
    POLE,
    TERRAIN,
    VEGETATION,
)
from perception.synthetic.street import Line, Plan, Side, Street, rectangle
from perception.taxonomy import OBJECT_CLASSES

KERB = 0.12
BEHIND, AHEAD = 110.0, 230.0
"""Metres of street behind the ego vehicle's first and ahead of its last position."""

Pose = tuple[float, float, float]  # x, y, yaw in the map frame


@dataclass(frozen=True)
class ActorState:
    """One object at one instant, in the map frame."""

    instance: int
    kind: str  # object class
    x: float
    y: float
    z: float  # of the ground under it
    yaw: float
    size: tuple[float, float, float]  # length, width, height
    mesh: np.ndarray | None  # None when it belongs to the static mesh


@dataclass(frozen=True)
class WorldState:
    world_from_ego: np.ndarray  # (4, 4)
    actors: list[ActorState]


class _Actor:
    """An object and its path; `pose(t)` is None while it is off the map."""

    def __init__(
        self,
        kind: str,
        size: tuple[float, float, float],
        pose: Callable[[float], Pose | None],
        mesh: Callable[[float], np.ndarray],
        z: float = 0.0,
    ) -> None:
        self.kind, self.size, self.pose, self.mesh, self.z = kind, size, pose, mesh, z


class World:
    """A street with everything on it.

    seed: any integer, or a sequence of them. duration_s: how long `at` may be asked for.
    Attributes: `ground` (meshes of flat ground in painter's order, class per triangle),
    `static` (list of meshes), `light`, `name` of the theme.
    """

    def __init__(self, seed: int | tuple[int, ...], duration_s: float = 6.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed, self.duration_s = seed, duration_s
        self.light: Light = random_light(self.rng)
        self.ground: list[np.ndarray] = []
        self.static: list[np.ndarray] = []
        self._paint: list[np.ndarray] = []
        self._actors: list[_Actor] = []
        self._parked: list[ActorState] = []
        self._lay_out()
        self._paint_base()
        for street in self.streets:
            self._build(street)
        self._backdrop()
        self._traffic()
        self.ground += self._paint

    def at(self, t: float) -> WorldState:
        """State at `t` seconds, 0 <= t <= duration_s."""
        s = self._ego_station(t)
        x, y = self.main.line.at(s, self.ego_offset)
        yaw = float(self.main.line.yaw(s))
        c, n = np.cos(yaw), np.sin(yaw)
        pose = np.array([[c, -n, 0, x], [n, c, 0, y], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        here = np.array([x, y])
        states = list(self._parked)
        for index, actor in enumerate(self._actors):
            where = actor.pose(t)
            if where is None:
                continue
            reach = 200 if actor.kind == "vehicle" else 120
            if np.hypot(*(np.array(where[:2]) - here)) > reach:
                continue
            instance = FIRST_INSTANCE + len(self._parked) + index
            mesh = tagged(placed(actor.mesh(t), (*where[:2], actor.z), where[2]), instance)
            states.append(
                ActorState(
                    instance, actor.kind, where[0], where[1], actor.z, where[2], actor.size, mesh
                )
            )
        return WorldState(pose, states)

    def class_of_id(self) -> np.ndarray:
        """Scene class of every id that a mesh may carry."""
        classes = np.zeros(FIRST_INSTANCE + len(self._parked) + len(self._actors), np.uint8)
        classes[:FIRST_INSTANCE] = np.arange(FIRST_INSTANCE)
        kinds = [state.kind for state in self._parked] + [actor.kind for actor in self._actors]
        lookup = {
            "vehicle": actors.VEHICLE,
            "pedestrian": actors.PEDESTRIAN,
            "cyclist": actors.CYCLIST,
        }
        assert set(lookup) == set(OBJECT_CLASSES)
        classes[FIRST_INSTANCE:] = [lookup[kind] for kind in kinds]
        return classes

    # Layout -----------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        rng = self.rng
        self.theme = str(
            rng.choice(["city", "town", "suburb", "country"], p=[0.34, 0.32, 0.22, 0.12])
        )
        stopped = rng.random() < 0.22 and self.theme != "country"
        speed = {"city": (3, 12), "town": (5, 14), "suburb": (5, 14), "country": (12, 25)}[
            self.theme
        ]
        self.ego_speed = 0.0 if stopped else float(rng.uniform(*speed))
        self.surge = float(rng.uniform(0, 0.25))
        length = BEHIND + self.ego_speed * 1.3 * self.duration_s + AHEAD
        count = int(np.ceil(length / Line.STEP)) + 2
        bend = rng.normal(0, 0.004 if self.theme in ("city", "town") else 0.006)
        knots = rng.normal(0, 0.0035, count // 60 + 3) + bend
        if rng.random() < 0.3:
            knots[:] = 0
        curvature = np.interp(np.arange(count) / 60, np.arange(len(knots)), knots)
        heading = np.concatenate([[0], np.cumsum(curvature)])[:-1]
        curvature *= min(1.0, 1.3 / max(np.ptp(heading), 1e-6))
        line = Line((0.0, 0.0), 0.0, curvature)
        self.drive = -1 if rng.random() < 0.7 else 1  # side of the road that traffic keeps to
        self.asphalt = int(rng.choice(textures.ASPHALT))
        shade = rng.uniform(0.07, 0.3)
        self.asphalt_colour = tuple(np.clip(shade * rng.uniform(0.92, 1.08, 3), 0, 1))
        self.line_white = tuple(rng.uniform(0.45, 0.95) * np.array([1, 1, rng.uniform(0.85, 1)]))
        self.line_centre = (0.7, 0.5, 0.08) if rng.random() < 0.3 else self.line_white
        self.paving = int(rng.choice(textures.PAVING))
        self.paving_colour = tuple(rng.uniform(0.2, 0.55) * rng.uniform(0.9, 1.1, 3))
        self.grass = int(rng.choice(textures.GRASS))
        dry = rng.random()
        self.grass_colour = tuple(
            (np.array([0.13, 0.22, 0.05]) * (1 - dry) + np.array([0.32, 0.27, 0.14]) * dry)
            * rng.uniform(0.6, 1.3)
        )
        one_way = self.theme in ("city", "town") and rng.random() < 0.15
        forward = int(rng.choice([1, 2, 3], p=[0.68, 0.25, 0.07]))
        self.main = Street(
            line,
            0.0,
            line.length,
            *self._lanes(forward, 0 if one_way else max(1, forward - int(rng.random() < 0.3))),
            self._sides(),
        )
        own = [d for d, direction in self.main.lanes if direction > 0]
        self.ego_offset = float(rng.choice(own)) + rng.normal(0, 0.12)
        self.streets = [self.main]
        low, high = line.xy.min(0) - 110, line.xy.max(0) + 110
        self.plan = Plan(low, high)
        expected = {"city": 2.6, "town": 2.0, "suburb": 1.4, "country": 0.4}[self.theme]
        taken: list[float] = []
        for _ in range(rng.poisson(expected) + int(stopped)):
            s = float(rng.uniform(30, line.length - 40))
            if stopped and not taken:
                s = BEHIND + float(rng.uniform(12, 40))
            if all(abs(s - other) > 70 for other in taken):
                taken.append(s)
                self._crossing(s)

    def _lanes(self, forward: int, backward: int) -> tuple[list[tuple[float, int]], float]:
        width = float(self.rng.uniform(2.9, 3.7))
        side = self.drive
        lanes = [(side * (i + 0.5) * width, 1) for i in range(forward)]
        lanes += [(-side * (i + 0.5) * width, -1) for i in range(backward)]
        if not backward:
            lanes = [(d - side * forward * width / 2, direction) for d, direction in lanes]
        return lanes, width

    def _sides(self, minor: bool = False) -> dict[int, Side]:
        rng = self.rng
        sides = {}
        for side in (-1, 1):
            if self.theme == "country" and not minor:
                sides[side] = Side(
                    0.0,
                    float(rng.uniform(0.4, 2.0)),
                    2.0 if rng.random() < 0.3 else 0.0,
                    float(rng.uniform(2, 6)),
                    float(rng.uniform(8, 30)),
                )
                continue
            urban = self.theme in ("city", "town")
            sides[side] = Side(
                parking=float(rng.uniform(2.0, 2.4))
                if rng.random() < (0.6 if urban else 0.45)
                else 0.0,
                cycle=float(rng.uniform(1.2, 1.8)) if rng.random() < 0.4 else 0.0,
                pavement=float(rng.uniform(1.8, 6.0) if urban else rng.uniform(1.2, 2.5)),
                verge=0.0 if urban and rng.random() < 0.7 else float(rng.uniform(0.8, 3)),
                setback=0.0 if self.theme == "city" else float(rng.uniform(0, 8)),
            )
        return sides

    def _crossing(self, s: float) -> None:
        """A side street across the main one (or only to one side) at station `s`."""
        rng = self.rng
        lanes, width = self._lanes(int(rng.choice([1, 2], p=[0.8, 0.2])), 1)
        half = max(abs(d) for d, _ in lanes) + width / 2
        sides = self._sides(minor=True)
        reach = half + max(side.cycle + side.parking for side in sides.values())
        arms = (1, -1) if rng.random() < 0.6 else (int(rng.choice([1, -1])),)
        self.main.gaps.append((s - reach - 3.0, s + reach + 3.0))
        for arm in arms:
            start = self.main.line.at(s, arm * self.main.edge(arm))
            heading = float(self.main.line.yaw(s)) + arm * np.pi / 2
            line = Line(
                (float(start[0]), float(start[1])), heading, np.full(125, rng.normal(0, 0.002))
            )
            self.streets.append(Street(line, 0.0, 120.0, lanes, width, sides))
        if len(arms) == 1:  # the closed side keeps its kerb: fill its gap again
            self._closed = [
                *getattr(self, "_closed", []),
                (s - reach - 3.0, s + reach + 3.0, -arms[0]),
            ]

    # Ground ------------------------------------------------------------------------------------

    def _paint_base(self) -> None:
        rng = self.rng
        far, cut = 1500.0, 24
        centre = self.main.line.at(self.main.line.length / 2)
        ticks = np.sign(np.linspace(-1, 1, cut)) * np.abs(np.linspace(-1, 1, cut)) ** 2 * far
        grid = np.stack(
            [
                *np.meshgrid(centre[0] + ticks, centre[1] + ticks, indexing="ij"),
                np.zeros((cut, cut)),
            ],
            2,
        )
        base = surface(grid, self.grass_colour, TERRAIN, self.grass, grid[..., :2])
        base["normal"] = (0, 0, 1)
        self.ground.append(base)
        for street in self.streets:  # roads first: pavements and plots must not overlap them
            left, right = street.edge(1), street.edge(-1)
            start = street.start - (0 if street is self.main else street_overlap(self.main))
            for a in np.arange(start, street.end, 6.0):
                b = min(a + 6.0, street.end)
                corners = street.line.at(
                    np.array([max(a, 0), b, b, max(a, 0)]), np.array([left, left, -right, -right])
                )
                self.plan.take(corners)
            colour = self.asphalt_colour
            layer = self.asphalt
            if street is not self.main and rng.random() < 0.3:
                colour = tuple(np.array(colour) * rng.uniform(0.75, 1.3))
                layer = int(rng.choice(textures.ASPHALT))
            self._paint += street.strip(
                street.start, street.end, left, -right, colour, DRIVABLE, layer
            )
        for street in self.streets[1:]:  # flared mouths round off the corners
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
                points = (
                    np.concatenate(
                        [[[-0.2, side * (edge - 0.2)]], [[-0.2, side * (edge + radius)]], rim[::-1]]
                    )
                    if False
                    else rim
                )
                fan = np.stack(
                    [
                        np.broadcast_to([-0.3, side * (edge - 0.3)], points[:-1].shape),
                        points[:-1],
                        points[1:],
                        points[1:],
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
                self._paint.append(
                    quads(flat, self.asphalt_colour, DRIVABLE, self.asphalt, flat[..., :2])
                )
            self.plan.take(
                street.line.at(
                    np.array([0, 3, 3, 0]), np.array([left + 3, left, -right, -right - 3])
                )
            )

    def _build(self, street: Street) -> None:
        rng = self.rng
        self._markings(street)
        if street is not self.main:
            start = 3.0
            street.gaps.append((street.start - 1, street.start + start))
        density = {"city": 1.0, "town": 0.9, "suburb": 0.8, "country": 0.35}[self.theme]
        for side in (1, -1):
            profile = street.sides[side]
            runs = list(street.runs())
            if street is self.main:
                runs += [(a, b) for a, b, closed in getattr(self, "_closed", []) if closed == side]
            kerb = side * street.edge(side)
            back = kerb + side * profile.pavement
            for a, b in runs:
                if profile.pavement:
                    self.static += street.strip(
                        a, b, kerb, back, self.paving_colour, PAVEMENT, self.paving, KERB
                    )
                    grey = (0.4, 0.4, 0.38) if rng.random() < 0.7 else self.paving_colour
                    self.static += street.wall(a, b, kerb, 0, KERB, grey, PAVEMENT)
                    self.static += street.strip(
                        a, b, kerb, kerb + side * 0.15, grey, PAVEMENT, 0, KERB + 0.004
                    )
                    self.static += street.wall(a, b, back, 0, KERB, grey, PAVEMENT)
                if (
                    profile.verge + profile.setback > 0.5
                    and self.theme in ("city", "town")
                    and rng.random() < 0.5
                ):
                    # Paved forecourts reach up to the fronts.
                    self.ground += street.strip(
                        a,
                        b,
                        back,
                        back + side * (profile.verge + profile.setback + 1),
                        tuple(np.array(self.paving_colour) * 0.9),
                        PAVEMENT,
                        self.paving,
                    )
                for s in np.arange(a, b, 6.0):
                    e = min(s + 6.0, b)
                    self.plan.take(
                        street.line.at(np.array([s, e, e, s]), np.array([kerb, kerb, back, back]))
                    )
        for side in (1, -1):
            self._plots(street, side, density)
            self._furniture(street, side)
            self._park(street, side)

    def _markings(self, street: Street) -> None:
        rng = self.rng
        bare = self.theme == "suburb" and rng.random() < 0.4
        dash, space = rng.uniform(1.5, 4), rng.uniform(2.5, 9)
        half = rng.uniform(0.05, 0.09)
        boundaries = sorted(
            {round(d + k * street.lane_width / 2, 3) for d, _ in street.lanes for k in (-1, 1)}
        )
        directions = {round(d, 3): direction for d, direction in street.lanes}

        def line(
            a: float, b: float, d: float, colour: tuple, dashed: bool, wide: float = 1.0
        ) -> None:
            spans = (
                [(s, min(s + dash, b)) for s in np.arange(a, b, dash + space)]
                if dashed
                else [(a, b)]
            )
            for s, e in spans:
                self._paint.extend(
                    street.strip(
                        s, e, d - half * wide, d + half * wide, colour, DRIVABLE, textures.FLAT
                    )
                )

        for a, b in street.runs(margin=1.0):
            if street is not self.main:
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
                        line(a, b, d - side * 0.12, self.line_white, False)
                elif directions[near[0]] == directions[near[1]]:
                    line(a, b, d, self.line_white, True)
                elif rng.random() < 0.35:
                    line(a, b, d - 0.13, self.line_centre, False)
                    line(a, b, d + 0.13, self.line_centre, False)
                else:
                    line(a, b, d, self.line_centre, rng.random() < 0.6)
        zebra = rng.random() < 0.6
        for a, b in (
            street.gaps if street is self.main else [(street.start - 1, street.start + 3.0)]
        ):
            ends = ((a, -1), (b, 1)) if street is self.main else ((b, 1),)
            for s, away in ends:
                for d, direction in street.lanes:  # stop lines for lanes that arrive here
                    if direction == -away and rng.random() < 0.85:
                        at = s + away * (4.6 if zebra else 0.4)
                        w = street.lane_width / 2
                        self._paint += street.strip(
                            min(at, at + away * 0.4),
                            max(at, at + away * 0.4),
                            d - w,
                            d + w,
                            self.line_white,
                            DRIVABLE,
                        )
                        if rng.random() < 0.5:
                            self._arrow(street, at + away * 6, d, -away)
                if zebra:
                    self._zebra(street, s + away * 2.0)
        if street is self.main and rng.random() < 0.6:  # crossings between junctions
            s = rng.uniform(BEHIND + 8, BEHIND + 60)
            if street.clear(s, 8):
                self._zebra(street, s)
        for _ in range(rng.poisson(5)):  # manholes, oil and patches
            s, d = (
                rng.uniform(street.start, street.end),
                rng.uniform(-street.edge(-1), street.edge(1)) * 0.8,
            )
            angle = np.linspace(0, 2 * np.pi, 11)
            ring = street.line.at(s + 0.35 * np.cos(angle), d + 0.35 * np.sin(angle))
            self._blot(ring, rng.uniform(0.3, 0.8))
        for _ in range(rng.poisson(6)):
            s, d = (
                rng.uniform(street.start, street.end - 8),
                rng.uniform(-street.edge(-1), street.edge(1)) * 0.7,
            )
            tone = tuple(np.array(self.asphalt_colour) * rng.uniform(0.55, 1.5))
            self._paint += street.strip(
                s,
                s + rng.uniform(1, 9),
                d,
                d + rng.uniform(0.4, 2.0),
                tone,
                DRIVABLE,
                int(rng.choice(textures.ASPHALT)),
            )

    def _blot(self, ring: np.ndarray, tone: float) -> None:
        centre = ring[:-1].mean(0)
        fan = np.stack(
            [np.broadcast_to(centre, ring[:-1].shape), ring[:-1], ring[1:], ring[1:]], axis=1
        )
        flat = np.concatenate([fan, np.zeros((*fan.shape[:2], 1))], axis=2)
        self._paint.append(quads(flat, tuple(np.array(self.asphalt_colour) * tone), DRIVABLE))

    def _zebra(self, street: Street, s: float) -> None:
        for d in np.arange(-street.edge(-1) + 0.4, street.edge(1) - 0.4, 1.0):
            self._paint += street.strip(s - 1.5, s + 1.5, d, d + 0.5, self.line_white, DRIVABLE)

    def _arrow(self, street: Street, s: float, d: float, direction: int) -> None:
        shaft = [(-2, -0.08), (0.6, -0.08), (0.6, 0.08), (-2, 0.08)]
        head = [(0.6, -0.3), (1.8, 0.0), (1.8, 0.0), (0.6, 0.3)]
        corners = np.array([shaft, head])
        flat = street.line.at(s + direction * corners[..., 0], d + corners[..., 1])
        flat = np.concatenate([flat, np.zeros((2, 4, 1))], axis=2)
        self._paint.append(quads(flat, self.line_white, DRIVABLE))

    # Beside the road ---------------------------------------------------------------------------

    def _put(
        self, mesh: np.ndarray, xy: np.ndarray, yaw: float, scale: float = 1.0, z: float = 0.0
    ) -> None:
        self.static.append(placed(mesh, (float(xy[0]), float(xy[1]), z), yaw, scale))

    def _plots(self, street: Street, side: int, density: float) -> None:
        """Buildings, gardens, hedges and fences behind the pavement."""
        rng, profile, line = self.rng, street.sides[side], street.line
        back = street.edge(side) + profile.pavement + profile.verge
        front = back + profile.setback
        tall = {"city": (9, 30), "town": (6, 15), "suburb": (4, 8), "country": (4, 7)}[self.theme]
        shops = self.theme in ("city", "town") and profile.setback < 4
        s = street.start + 3
        while s < street.end - 6:
            width = float(
                rng.uniform(7, 14) if self.theme in ("suburb", "country") else rng.uniform(8, 26)
            )
            depth = float(rng.uniform(8, 14))
            middle = s + width / 2
            yaw = float(line.yaw(middle)) + (0 if side > 0 else np.pi)
            if rng.random() < density:
                at = line.at(middle, side * (front + 0.3))
                outward = np.array([-np.sin(yaw), np.cos(yaw)])
                if self.plan.claim_rectangle(at + outward * (depth / 2 + 0.5), (width, depth), yaw):
                    mesh = scenery.building(
                        rng, width, depth, float(rng.uniform(*tall)), shops and rng.random() < 0.7
                    )
                    self._put(mesh, at + outward * 0.4, yaw)
            s += width + (rng.uniform(0, 1.5) if self.theme == "city" else rng.uniform(0, 9))
        if profile.setback > 2.0 or self.theme == "country":  # a boundary along the plots
            kind = rng.choice(
                ["none", "wall", "fence", "hedge", "rail"], p=[0.3, 0.17, 0.2, 0.2, 0.13]
            )
            height = rng.uniform(0.7, 1.9)
            d = side * (back + 0.25)
            for a, b in street.runs(margin=1.5):
                for s in np.arange(a, b - 8, 24):
                    e = min(s + rng.uniform(14, 22), b)
                    if kind == "wall":
                        colour, layer = (
                            scenery.wall_colour(rng),
                            int(rng.choice([*textures.BRICK, textures.GRAFFITI])),
                        )
                        self.static += street.wall(s, e, d, 0, height, colour, FENCE, layer)
                        self.static += street.strip(
                            s, e, d, d + side * 0.25, (0.4, 0.4, 0.4), FENCE, 0, height
                        )
                    elif kind == "fence":
                        layer, colour = (
                            (textures.PLANKS, (0.3, 0.2, 0.12))
                            if rng.random() < 0.6
                            else (textures.MESH, (0.35, 0.37, 0.38))
                        )
                        self.static += street.wall(s, e, d, 0.05, height, colour, FENCE, layer)
                    elif kind == "hedge":
                        self._hedge(street, s, e, d, side, height)
                    elif kind == "rail":
                        self.static += street.wall(s, e, d, 0.45, 0.8, (0.45, 0.46, 0.47), FENCE)
                        for p in np.arange(s, e, 4.0):
                            self._put(
                                scenery.box((0, 0, 0.4), (0.1, 0.12, 0.8), (0.4, 0.4, 0.4), FENCE),
                                line.at(p, d + side * 0.1),
                                float(line.yaw(p)),
                            )
        self._green(street, side, back)

    def _hedge(
        self, street: Street, s: float, e: float, d: float, side: int, height: float
    ) -> None:
        green = tuple(np.array([0.08, 0.15, 0.04]) * self.rng.uniform(0.6, 1.6))
        layer = int(self.rng.choice(textures.FOLIAGE))
        thick = side * 0.9
        self.static += street.wall(s, e, d, 0, height, green, VEGETATION, layer)
        self.static += street.wall(s, e, d + thick, 0, height, green, VEGETATION, layer)
        self.static += street.strip(s, e, d, d + thick, green, VEGETATION, layer, height)

    def _green(self, street: Street, side: int, back: float) -> None:
        """Trees and bushes on free ground, in depth."""
        rng = self.rng
        if not hasattr(self, "_trees"):
            self._trees = [scenery.tree(rng) for _ in range(7)]
            self._bushes = [scenery.bush(rng) for _ in range(4)]
        amount = {"city": 0.05, "town": 0.09, "suburb": 0.16, "country": 0.28}[
            self.theme
        ] * rng.uniform(0.4, 1.6)
        for _ in range(int(amount * (street.end - street.start))):
            s = rng.uniform(street.start, street.end)
            d = side * (back + rng.gamma(1.6, 9.0) + 0.8)
            at = street.line.at(s, d)
            small = rng.random() < 0.35
            if self.plan.claim_rectangle(at, (1.5, 1.5), 0.0):
                mesh = self._bushes[rng.integers(4)] if small else self._trees[rng.integers(7)]
                self._put(mesh, at, rng.uniform(0, 6.28), float(rng.uniform(0.7, 1.5)))

    def _furniture(self, street: Street, side: int) -> None:
        """Lamp posts, street trees, signs, bollards along the kerb."""
        rng, profile, line = self.rng, street.sides[side], street.line
        kerb = street.edge(side)
        z = KERB if profile.pavement else 0.0
        inward = np.pi if side > 0 else 0.0
        spacing, phase = rng.uniform(22, 42), rng.uniform(0, 30)
        lamp = (
            scenery.street_light(rng, self.light.night)
            if rng.random() < 0.75
            else scenery.utility_pole(rng)
        )
        for s in np.arange(street.start + 5 + phase, street.end, spacing):
            if street.clear(s, 1):
                self._put(
                    lamp, line.at(s, side * (kerb + 0.5)), float(line.yaw(s)) + inward, 1.0, z
                )
        if not hasattr(self, "_trees"):
            self._trees = [scenery.tree(rng) for _ in range(7)]
            self._bushes = [scenery.bush(rng) for _ in range(4)]
        if profile.pavement > 2.2 and rng.random() < 0.45:
            tree, spacing = self._trees[rng.integers(7)], rng.uniform(7, 16)
            for s in np.arange(street.start + rng.uniform(4, 14), street.end, spacing):
                if street.clear(s, 3):
                    self._put(
                        tree,
                        line.at(s, side * (kerb + 0.8)),
                        rng.uniform(0, 6.28),
                        float(rng.uniform(0.7, 1.1)),
                        z,
                    )
        if profile.pavement and rng.random() < 0.2:
            post = scenery.bollard(rng)
            for s in np.arange(street.start + 4, street.end, rng.uniform(1.5, 3)):
                if street.clear(s, 1):
                    self._put(post, line.at(s, side * (kerb + 0.35)), 0.0, 1.0, z)
        for _ in range(rng.poisson(0.03 * (street.end - street.start))):
            s = rng.uniform(street.start + 4, street.end)
            if not street.clear(s, 1):
                continue
            facing = float(line.yaw(s)) + (0.0 if side == self.drive else np.pi)
            pick = rng.random()
            mesh = scenery.sign(rng) if pick < 0.75 else scenery.bin_(rng)
            self._put(mesh, line.at(s, side * (kerb + 0.55)), facing + rng.normal(0, 0.1), 1.0, z)
        if profile.pavement > 2.5 and rng.random() < 0.35:
            s = rng.uniform(street.start + 10, street.end)
            if street.clear(s, 4):
                self._put(
                    scenery.shelter(rng),
                    line.at(s, side * (kerb + 0.9)),
                    float(line.yaw(s)) + (0 if side > 0 else np.pi),
                    1.0,
                    z,
                )
        if street is self.main and self.theme != "country":
            for a, b in street.gaps:
                if rng.random() < 0.6:
                    for s in (a - 0.6, b + 0.6):
                        self._put(
                            scenery.traffic_light(rng),
                            line.at(s, side * (kerb + 0.5)),
                            float(line.yaw(s)),
                            1.0,
                            z,
                        )

    def _park(self, street: Street, side: int) -> None:
        """Cars in the parking lane, and some off the road on drives."""
        rng, profile, line = self.rng, street.sides[side], street.line
        s = street.start + 8
        full = rng.uniform(0.25, 0.95)
        while profile.parking and s < street.end - 8:
            if rng.random() < full and street.clear(s, 6.5):
                mesh, size = actors.any_vehicle(rng, parked=True)
                if size[0] < 7:
                    middle = s + size[0] / 2
                    d = side * (street.edge(side) - 0.15 - size[1] / 2 - abs(rng.normal(0, 0.06)))
                    turn = 0.0 if (side == self.drive or rng.random() < 0.25) else np.pi
                    self._park_one(
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
                mesh, size = actors.any_vehicle(rng, parked=True)
                if size[0] > 7:
                    continue
                d = side * (street.edge(side) + profile.pavement + profile.verge + 3.2)
                yaw = float(line.yaw(s)) + rng.choice([np.pi / 2, -np.pi / 2])
                at = line.at(s, d)
                if self.plan.claim_rectangle(at, (size[0] + 0.5, size[1] + 0.5), yaw):
                    self._park_one(mesh, size, at, yaw)

    def _park_one(
        self, mesh: np.ndarray, size: tuple[float, float, float], xy: np.ndarray, yaw: float
    ) -> None:
        instance = FIRST_INSTANCE + len(self._parked)
        self._put(tagged(mesh, instance), xy, yaw)
        self._parked.append(
            ActorState(instance, "vehicle", float(xy[0]), float(xy[1]), 0.0, yaw, size, None)
        )

    def _backdrop(self) -> None:
        """Second rows of blocks, far trees and hills that close the horizon."""
        rng, line = self.rng, self.main.line
        rows = {"city": 60, "town": 40, "suburb": 22, "country": 5}[self.theme]
        high = {"city": (15, 60), "town": (8, 30), "suburb": (5, 14), "country": (4, 8)}[self.theme]
        for _ in range(rows):
            at = line.at(
                rng.uniform(-20, line.length + 20), rng.choice([-1, 1]) * rng.uniform(35, 100)
            )
            size, yaw = (rng.uniform(10, 30), rng.uniform(10, 24)), rng.uniform(0, 6.28)
            if self.plan.claim_rectangle(at, size, yaw):
                mesh = scenery.building(rng, *size, float(rng.uniform(*high)), False)
                self._put(placed(mesh, (0, -size[1] / 2, 0)), at, yaw)
        if not hasattr(self, "_trees"):
            self._trees = [scenery.tree(rng) for _ in range(7)]
        centre = line.at(line.length / 2)
        for layer in range(3):  # ragged ridges of wood, hill or skyline, ever farther
            radius = line.length / 2 + 130 + 220 * layer
            count = 72
            angle = np.linspace(0, 2 * np.pi, count + 1)
            town = self.theme == "city" or (self.theme == "town" and rng.random() < 0.5)
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
                uv = np.stack([[[0, 0], [length, 0], [length, h], [0, h]] for h in height[:-1]])
                self.static.append(quads(corners, colour, class_, skin, uv))
            else:
                fine = np.linspace(0, 2 * np.pi, count * 5 + 1)
                tops = np.interp(fine, angle, height) + rng.uniform(-1.2, 1.2, len(fine))
                rim = centre + radius * np.column_stack([np.cos(fine), np.sin(fine)])
                low = np.column_stack([rim, np.zeros(len(fine))])
                up = tops[:, None] * [0, 0, 1]
                corners = np.stack(
                    [low[:-1], low[1:], low[1:] + up[1:], low[:-1] + up[:-1]], axis=1
                )
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
                self.static.append(quads(corners, colour, class_, skin, uv / 3))

    # What moves --------------------------------------------------------------------------------

    def _ego_station(self, t: float) -> float:
        v, k = self.ego_speed, self.surge
        return BEHIND + v * (t + k * (1 - np.cos(0.9 * t)) / 0.9)

    def _traffic(self) -> None:
        rng = self.rng
        night = self.light.night or rng.random() < 0.2
        busy = rng.uniform(0.5, 1.6)
        for street in self.streets:
            for d, direction in street.lanes:
                self._drive_lane(street, d, direction, night, busy)
            self._people(street)
            self._bikes(street)
        self._crossers()

    def _drive_lane(
        self, street: Street, d: float, direction: int, night: bool, busy: float
    ) -> None:
        rng, line = self.rng, street.line
        main = street is self.main
        ego_lane = main and direction > 0
        speed = self.ego_speed * rng.uniform(0.9, 1.1) if ego_lane else float(rng.uniform(4, 13))
        same = main and abs(d - self.ego_offset) < street.lane_width / 2
        if not main and direction < 0:
            speed = 0.0  # queues at the junction: the main street has priority
        s = street.start + float(rng.uniform(4, 20))
        if not main and direction < 0:
            s = street.start + 9.0
        while s < street.end - 8:
            mesh, size = actors.any_vehicle(rng, night)
            half = size[0] / 2
            gap = float(rng.uniform(1.5, 5) if speed == 0 else 5 + rng.exponential(16)) / busy
            at = s + half
            offset = float(d + rng.normal(0, 0.13))
            s += size[0] + max(gap, 1.5)
            near = same and abs(at - BEHIND - 1.4) < half + 6.5
            blocked = speed == 0 and main and not street.clear(at, half + 6)
            if near or blocked:
                continue

            def pose(t: float, at: float = at, offset: float = offset) -> Pose | None:
                gone = self._ego_station(t) - BEHIND if same else speed * t
                here = at + direction * gone
                if not street.start + 3 < here < street.end - 3:
                    return None
                x, y = line.at(here, offset)
                return float(x), float(y), float(line.yaw(here)) + (0.0 if direction > 0 else np.pi)

            self._actors.append(_Actor("vehicle", size, pose, lambda t, mesh=mesh: mesh))

    def _walker(
        self, street: Street, s: float, d: float, direction: int, speed: float, z: float
    ) -> None:
        person = actors.Person(self.rng)
        phase, line = float(self.rng.uniform(0, 6.28)), street.line
        facing = float(self.rng.uniform(0, 6.28))
        stride = min(speed / 1.3, 1.2)
        still = person.mesh(phase, 0.25) if speed == 0 else None

        def pose(t: float) -> Pose | None:
            here = s + direction * speed * t
            if not street.start < here < street.end or not (speed == 0 or street.clear(here, -3)):
                return None
            x, y = line.at(here, d)
            turn = facing if speed == 0 else (0.0 if direction > 0 else np.pi)
            return float(x), float(y), float(line.yaw(here)) + turn

        def mesh(t: float) -> np.ndarray:
            if still is not None:
                return still
            return person.mesh(phase + 5.2 * speed / person.height * t * 0.85, stride)

        self._actors.append(_Actor("pedestrian", person.size, pose, mesh, z))

    def _people(self, street: Street) -> None:
        rng = self.rng
        rate = {"city": 0.11, "town": 0.09, "suburb": 0.05, "country": 0.012}[
            self.theme
        ] * rng.uniform(0.5, 1.6)
        if self.duration_s > 60:
            rate *= 0.7
        for side in (1, -1):
            profile = street.sides[side]
            z = KERB if profile.pavement else 0.0
            width = profile.pavement or 1.5
            for _ in range(rng.poisson(rate * (street.end - street.start))):
                s = float(rng.uniform(street.start + 4, street.end))
                if not street.clear(s, 1):
                    continue
                group = int(rng.choice([1, 2, 3], p=[0.68, 0.24, 0.08]))
                speed = 0.0 if rng.random() < 0.25 else float(rng.uniform(0.8, 1.7))
                direction = int(rng.choice([-1, 1]))
                first = rng.uniform(1.0, max(width - 0.35, 1.05))
                for member in range(group):
                    d = side * (street.edge(side) + np.clip(first + member * 0.6, 0.4, width - 0.2))
                    self._walker(street, s + rng.normal(0, 0.3), float(d), direction, speed, z)

    def _bikes(self, street: Street) -> None:
        rng = self.rng
        rate = {"city": 0.022, "town": 0.021, "suburb": 0.017, "country": 0.01}[
            self.theme
        ] * rng.uniform(0.4, 1.8)
        for side in (1, -1):
            profile = street.sides[side]
            if profile.cycle:
                d, z = street.lane_edge(side) + profile.cycle / 2, 0.0
            elif profile.pavement > 1.5:
                d, z = street.edge(side) + profile.pavement * 0.55, KERB
            else:
                continue
            direction = (1 if side == self.drive else -1) if z == 0 else int(rng.choice([1, -1]))
            speed = float(rng.uniform(2.5, 6.0))
            boost = 1.7 if z == 0 else 0.5
            stations = np.sort(
                rng.uniform(
                    street.start,
                    street.end,
                    rng.poisson(rate * boost * (street.end - street.start)),
                )
            )
            apart = np.diff(stations, prepend=-10.0) > 2.4  # never one inside another
            for s in stations[apart]:
                self._rider(street, float(s), float(side * d), direction, speed, z)

    def _rider(
        self, street: Street, s: float, d: float, direction: int, speed: float, z: float
    ) -> None:
        rider, line = actors.Cyclist(self.rng), street.line
        phase, offset = float(self.rng.uniform(0, 6.28)), d + float(self.rng.normal(0, 0.15))

        def pose(t: float) -> Pose | None:
            here = s + direction * speed * t
            if not street.start < here < street.end or (z > 0 and not street.clear(here)):
                return None
            x, y = line.at(here, offset)
            return float(x), float(y), float(line.yaw(here)) + (0.0 if direction > 0 else np.pi)

        def mesh(t: float) -> np.ndarray:
            return rider.mesh(phase + 1.3 * speed * t)

        self._actors.append(_Actor("cyclist", rider.size, pose, mesh, z))

    def _crossers(self) -> None:
        """People on the road, kept only where no vehicle comes near within the duration."""
        rng, street, line = self.rng, self.main, self.main.line
        times = np.arange(0, self.duration_s + 0.01, 0.25)
        paths = [
            [actor.pose(t) for t in times] for actor in self._actors if actor.kind == "vehicle"
        ]
        tracks = np.array([[p if p else (1e6, 1e6, 0) for p in path] for path in paths]).reshape(
            len(paths), len(times), 3
        )
        lengths = np.array([a.size[0] for a in self._actors if a.kind == "vehicle"])
        ego = np.array([line.at(self._ego_station(t) + 1.4, self.ego_offset) for t in times])
        for _ in range(
            int(rng.poisson({"city": 14, "town": 10, "suburb": 6, "country": 1}[self.theme]))
        ):
            s, speed = float(rng.uniform(60, line.length - 90)), float(rng.uniform(0.9, 1.6))
            start = float(rng.uniform(-street.edge(-1), street.edge(1)))
            direction = int(rng.choice([-1, 1]))
            person, phase = actors.Person(rng), float(rng.uniform(0, 6.28))
            d = start + direction * speed * times
            inside = (d > -street.edge(-1) - 1) & (d < street.edge(1) + 1)
            at = line.at(np.full(len(times), s), d)
            if (np.linalg.norm(at - ego, axis=1)[inside] < 6.0).any():
                continue
            close = np.linalg.norm(tracks[..., :2] - at, axis=2) < lengths[:, None] / 2 + 1.6
            parked = [
                np.hypot(p.x - at[inside, 0], p.y - at[inside, 1]).min() < p.size[0] / 2 + 0.6
                for p in self._parked
            ]
            if close[:, inside].any() or any(parked):
                continue

            def pose(
                t: float,
                s: float = s,
                start: float = start,
                direction: int = direction,
                speed: float = speed,
            ) -> Pose | None:
                d = start + direction * speed * t
                if not -street.edge(-1) - 1 < d < street.edge(1) + 1:
                    return None
                x, y = line.at(s, d)
                return float(x), float(y), float(line.yaw(s)) + direction * np.pi / 2

            self._actors.append(
                _Actor(
                    "pedestrian",
                    person.size,
                    pose,
                    lambda t, p=person, f=phase, v=speed: p.mesh(f + 4.4 * v / p.height * t, 1.0),
                )
            )


def street_overlap(main: Street) -> float:
    """How far a side street's claim on the ground reaches back under the main one."""
    return max(main.edge(1), main.edge(-1))


__all__ = [
    "FIRST_INSTANCE",
    "POLE",
    "VERTEX",
    "ActorState",
    "World",
    "WorldState",
    "joined",
    "rectangle",
]
