"""Site: the state that the builders of a world share, from layout to traffic."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from perception.synthetic import scenery
from perception.synthetic.light import Light
from perception.synthetic.mesh import FIRST_INSTANCE, Colour, placed, tagged
from perception.synthetic.street import Line, Plan, Street

KERB = 0.12
"""Height of pavements, metres."""
BEHIND, AHEAD = 110.0, 230.0
"""Metres of street behind the ego vehicle's first and ahead of its last position."""

Pose = tuple[float, float, float]  # x, y, yaw in the map frame
Size = tuple[float, float, float]  # length, width, height


@dataclass(frozen=True)
class ActorState:
    """One object at one instant, in the map frame."""

    instance: int
    kind: str  # object class
    x: float
    y: float
    z: float  # of the ground under it
    yaw: float
    size: Size
    mesh: np.ndarray | None  # None when it belongs to the static mesh


@dataclass(frozen=True)
class Actor:
    """Something that moves; `pose(t)` is None while it is off the map."""

    kind: str
    size: Size
    pose: Callable[[float], Pose | None]
    mesh: Callable[[float], np.ndarray]
    z: float = 0.0


@dataclass(frozen=True)
class Style:
    """Materials that a whole world shares: linear RGB and texture layers."""

    asphalt: int
    asphalt_colour: Colour
    line_white: Colour
    line_centre: Colour
    paving: int
    paving_colour: Colour
    grass: int
    grass_colour: Colour


@dataclass(frozen=True)
class Plants:
    trees: list[np.ndarray]
    bushes: list[np.ndarray]


@dataclass
class Site:
    """A world under construction. Every builder draws from `rng`, so their order matters."""

    rng: np.random.Generator
    duration_s: float
    light: Light
    theme: str  # city, town, suburb or country
    drive: int  # side of the road that traffic keeps to: -1 right, +1 left
    style: Style
    ego_speed: float  # m/s
    surge: float  # how much the ego vehicle speeds up and slows down
    ego_offset: float  # of the ego vehicle's path from the main line
    streets: list[Street]  # the main one first
    closed: list[tuple[float, float, int]]  # gaps of the main street without an arm on a side
    plan: Plan
    ground: list[np.ndarray] = field(default_factory=list)  # flat, in painter's order
    paint: list[np.ndarray] = field(default_factory=list)  # roads and markings, above `ground`
    static: list[np.ndarray] = field(default_factory=list)
    parked: list[ActorState] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)

    @property
    def main(self) -> Street:
        return self.streets[0]

    @property
    def line(self) -> Line:
        return self.main.line

    @cached_property
    def plants(self) -> Plants:
        """A few kinds, planted many times. Drawn at first use."""
        trees = [scenery.tree(self.rng) for _ in range(7)]
        return Plants(trees, [scenery.bush(self.rng) for _ in range(4)])

    def ego_station(self, t: float) -> float:
        """Where the ego vehicle is along the main line, metres."""
        v, k = self.ego_speed, self.surge
        return float(BEHIND + v * (t + k * (1 - np.cos(0.9 * t)) / 0.9))

    def put(
        self, mesh: np.ndarray, xy: np.ndarray, yaw: float, scale: float = 1.0, z: float = 0.0
    ) -> None:
        """Add a copy of `mesh` to what stands still."""
        self.static.append(placed(mesh, (float(xy[0]), float(xy[1]), z), yaw, scale))

    def park(self, mesh: np.ndarray, size: Size, xy: np.ndarray, yaw: float) -> None:
        """Add a vehicle that stands still but counts as an object."""
        instance = FIRST_INSTANCE + len(self.parked)
        self.put(tagged(mesh, instance), xy, yaw)
        x, y = xy.tolist()
        self.parked.append(ActorState(instance, "vehicle", x, y, 0.0, yaw, size, None))
