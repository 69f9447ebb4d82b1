"""Traffic: everything that moves, each with its pose as a function of time."""

from functools import partial

import numpy as np

from perception.synthetic import people, vehicles
from perception.synthetic.site import BEHIND, KERB, Actor, Pose, Site
from perception.synthetic.street import Street


def populate(site: Site) -> None:
    """Vehicles in every lane, people and cyclists along every street."""
    rng = site.rng
    night = site.light.night or rng.random() < 0.2
    busy = rng.uniform(0.5, 1.6)
    for street in site.streets:
        for d, direction in street.lanes:
            _drive_lane(site, street, d, direction, night, busy)
        _people(site, street)
        _bikes(site, street)
    _crossers(site)


def _drive_lane(
    site: Site, street: Street, d: float, direction: int, night: bool, busy: float
) -> None:
    rng, line = site.rng, street.line
    main = street is site.main
    ego_lane = main and direction > 0
    speed = site.ego_speed * rng.uniform(0.9, 1.1) if ego_lane else float(rng.uniform(4, 13))
    same = main and abs(d - site.ego_offset) < street.lane_width / 2
    if not main and direction < 0:
        speed = 0.0  # queues at the junction: the main street has priority
    s = street.start + float(rng.uniform(4, 20))
    if not main and direction < 0:
        s = street.start + 9.0
    while s < street.end - 8:
        mesh, size = vehicles.any_vehicle(rng, night)
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
            gone = site.ego_station(t) - BEHIND if same else speed * t
            here = at + direction * gone
            if not street.start + 3 < here < street.end - 3:
                return None
            x, y = line.at(here, offset)
            return float(x), float(y), float(line.yaw(here)) + (0.0 if direction > 0 else np.pi)

        site.actors.append(Actor("vehicle", size, pose, partial(_still, mesh)))


def _people(site: Site, street: Street) -> None:
    rng = site.rng
    rate = {"city": 0.11, "town": 0.09, "suburb": 0.05, "country": 0.012}[site.theme] * rng.uniform(
        0.5, 1.6
    )
    if site.duration_s > 60:
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
                _walker(site, street, s + rng.normal(0, 0.3), float(d), direction, speed, z)


def _walker(
    site: Site, street: Street, s: float, d: float, direction: int, speed: float, z: float
) -> None:
    person = people.Person(site.rng)
    phase, line = float(site.rng.uniform(0, 6.28)), street.line
    facing = float(site.rng.uniform(0, 6.28))
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

    site.actors.append(Actor("pedestrian", person.size, pose, mesh, z))


def _bikes(site: Site, street: Street) -> None:
    rng = site.rng
    rate = {"city": 0.022, "town": 0.021, "suburb": 0.017, "country": 0.01}[
        site.theme
    ] * rng.uniform(0.4, 1.8)
    for side in (1, -1):
        profile = street.sides[side]
        if profile.cycle:
            d, z = street.lane_edge(side) + profile.cycle / 2, 0.0
        elif profile.pavement > 1.5:
            d, z = street.edge(side) + profile.pavement * 0.55, KERB
        else:
            continue
        direction = (1 if side == site.drive else -1) if z == 0 else int(rng.choice([1, -1]))
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
            _rider(site, street, float(s), float(side * d), direction, speed, z)


def _rider(
    site: Site, street: Street, s: float, d: float, direction: int, speed: float, z: float
) -> None:
    rider, line = people.Cyclist(site.rng), street.line
    phase, offset = float(site.rng.uniform(0, 6.28)), d + float(site.rng.normal(0, 0.15))

    def pose(t: float) -> Pose | None:
        here = s + direction * speed * t
        if not street.start < here < street.end or (z > 0 and not street.clear(here)):
            return None
        x, y = line.at(here, offset)
        return float(x), float(y), float(line.yaw(here)) + (0.0 if direction > 0 else np.pi)

    def mesh(t: float) -> np.ndarray:
        return rider.mesh(phase + 1.3 * speed * t)

    site.actors.append(Actor("cyclist", rider.size, pose, mesh, z))


def _crossers(site: Site) -> None:
    """People on the road, kept only where no vehicle comes near within the duration."""
    rng, street, line = site.rng, site.main, site.main.line
    times = np.arange(0, site.duration_s + 0.01, 0.25)
    instants = times.tolist()
    paths = [[actor.pose(t) for t in instants] for actor in site.actors if actor.kind == "vehicle"]
    tracks = np.array([[p if p else (1e6, 1e6, 0) for p in path] for path in paths]).reshape(
        len(paths), len(times), 3
    )
    lengths = np.array([a.size[0] for a in site.actors if a.kind == "vehicle"])
    ego = np.array([line.at(site.ego_station(t) + 1.4, site.ego_offset) for t in instants])
    for _ in range(
        int(rng.poisson({"city": 14, "town": 10, "suburb": 6, "country": 1}[site.theme]))
    ):
        s, speed = float(rng.uniform(60, line.length - 90)), float(rng.uniform(0.9, 1.6))
        start = float(rng.uniform(-street.edge(-1), street.edge(1)))
        direction = int(rng.choice([-1, 1]))
        person, phase = people.Person(rng), float(rng.uniform(0, 6.28))
        d = start + direction * speed * times
        inside = (d > -street.edge(-1) - 1) & (d < street.edge(1) + 1)
        at = line.at(np.full(len(times), s), d)
        if (np.linalg.norm(at - ego, axis=1)[inside] < 6.0).any():
            continue
        close = np.linalg.norm(tracks[..., :2] - at, axis=2) < lengths[:, None] / 2 + 1.6
        parked = [
            np.hypot(p.x - at[inside, 0], p.y - at[inside, 1]).min() < p.size[0] / 2 + 0.6
            for p in site.parked
        ]
        if close[:, inside].any() or any(parked):
            continue

        _cross(site, person, phase, s, start, direction, speed)


def _cross(
    site: Site,
    person: people.Person,
    phase: float,
    s: float,
    start: float,
    direction: int,
    speed: float,
) -> None:
    """Someone who walks straight over the main street from offset `start` on."""
    street = site.main

    def pose(t: float) -> Pose | None:
        d = start + direction * speed * t
        if not -street.edge(-1) - 1 < d < street.edge(1) + 1:
            return None
        x, y = street.line.at(s, d)
        return float(x), float(y), float(street.line.yaw(s)) + direction * np.pi / 2

    def mesh(t: float) -> np.ndarray:
        return person.mesh(phase + 4.4 * speed / person.height * t, 1.0)

    site.actors.append(Actor("pedestrian", person.size, pose, mesh))


def _still(mesh: np.ndarray, t: float) -> np.ndarray:
    """The mesh of something rigid."""
    return mesh
