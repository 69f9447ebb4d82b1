"""World: one random street and its traffic, a pure function of seed and time.

`World(seed)` lays out roads, buildings, plants and street furniture once; `world.at(t)` says
where the ego vehicle and every object is at `t` seconds and gives the meshes of what moves.
The map frame is x, y, z metres with z up and the road at z = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perception.synthetic.classes import CYCLIST, PEDESTRIAN, VEHICLE
from perception.synthetic.ground import build_kerbs, paint_markings, pave
from perception.synthetic.layout import lay_out
from perception.synthetic.mesh import FIRST_INSTANCE, placed, tagged
from perception.synthetic.roadside import build_backdrop, build_roadside
from perception.synthetic.site import ActorState
from perception.synthetic.traffic import populate

_REACH = {"vehicle": 200.0, "pedestrian": 120.0, "cyclist": 120.0}
"""Metres from the ego vehicle up to which objects that move are there at all."""
_CLASS = {
    "vehicle": VEHICLE,
    "pedestrian": PEDESTRIAN,
    "cyclist": CYCLIST,
}


@dataclass(frozen=True)
class WorldState:
    world_from_ego: np.ndarray  # (4, 4)
    actors: list[ActorState]


class World:
    """A street with everything on it.

    seed: an integer, or a sequence of them. duration_s: how long `at` may be asked for.
    Attributes: `ground`: flat meshes in painter's order; `static`: all other meshes that stand
    still, parked vehicles among them; `light`; `theme`.
    """

    def __init__(self, seed: int | Sequence[int], duration_s: float = 6.0) -> None:
        site = lay_out(np.random.default_rng(seed), duration_s)
        pave(site)
        for street in site.streets:
            paint_markings(site, street)
            build_kerbs(site, street)
            build_roadside(site, street)
        build_backdrop(site)
        populate(site)
        self._site = site
        self.light, self.theme = site.light, site.theme
        self.ground = site.ground + site.paint
        self.static = site.static

    def at(self, t: float) -> WorldState:
        """State at `t` seconds, 0 <= t <= duration_s."""
        site = self._site
        s = site.ego_station(t)
        x, y = site.line.at(s, site.ego_offset)
        yaw = float(site.line.yaw(s))
        c, n = np.cos(yaw), np.sin(yaw)
        pose = np.array([[c, -n, 0, x], [n, c, 0, y], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        states = list(site.parked)
        for index, actor in enumerate(site.actors):
            where = actor.pose(t)
            if where is None or np.hypot(where[0] - x, where[1] - y) > _REACH[actor.kind]:
                continue
            ax, ay, turn = where
            instance = FIRST_INSTANCE + len(site.parked) + index
            mesh = tagged(placed(actor.mesh(t), (ax, ay, actor.z), turn), instance)
            states.append(ActorState(instance, actor.kind, ax, ay, actor.z, turn, actor.size, mesh))
        return WorldState(pose, states)

    def class_of_id(self) -> np.ndarray:
        """Scene class (uint8) of every id that a mesh may carry."""
        kinds = [state.kind for state in self._site.parked]
        kinds += [actor.kind for actor in self._site.actors]
        plain = range(FIRST_INSTANCE)
        return np.array([*plain, *(_CLASS[kind] for kind in kinds)], np.uint8)
