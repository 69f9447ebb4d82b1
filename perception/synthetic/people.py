"""Low-poly people and cyclists.

Their meshes stand on z = 0 about the centre of their footprint and face +x; sizes are length,
width, height in metres.
"""

import numpy as np

from perception.synthetic import textures
from perception.synthetic.classes import CYCLIST, PEDESTRIAN
from perception.synthetic.mesh import Tube, ball, box, joined, placed, quads, surface, tubes

Size = tuple[float, float, float]

_TYRE = (0.015, 0.015, 0.017)
_DARK = (0.03, 0.03, 0.033, 0.2)


def _skin(rng: np.random.Generator) -> tuple[float, float, float]:
    tone = rng.uniform(0.15, 1.0)
    return 0.62 * tone, 0.40 * tone**1.15, 0.30 * tone**1.3


def _cloth(rng: np.random.Generator) -> tuple[float, float, float]:
    if rng.random() < 0.5:
        grey = rng.choice([0.015, 0.03, 0.07, 0.15, 0.4, 0.7])
        r, g, b = grey * rng.uniform(0.8, 1.2, 3)
    else:
        r, g, b = rng.uniform(0.02, 0.85, 3) ** 1.6
    return float(r), float(g), float(b)


class Person:
    """One walker's build and clothes; `mesh(phase)` is the body at a point of its stride."""

    def __init__(self, rng: np.random.Generator) -> None:
        child = rng.random() < 0.14
        self.height = float(rng.uniform(1.05, 1.45) if child else rng.normal(1.71, 0.09))
        self.girth = float(rng.uniform(0.85, 1.25))
        self.skin, self.hair = _skin(rng), tuple(rng.uniform(0.01, 0.2) * np.array([1, 0.75, 0.5]))
        self.top, self.legs = _cloth(rng), _cloth(rng)
        self.shoes = (0.03, 0.03, 0.03) if rng.random() < 0.6 else (0.6, 0.6, 0.6)
        self.cloth = int(rng.choice(textures.CLOTH, p=[0.7, 0.15, 0.15]))
        self.skirt = rng.random() < 0.18
        self.coat = rng.random() < 0.3
        self.long_hair = rng.random() < 0.35
        self.hat = rng.random() < 0.2
        self.bag = rng.choice(["", "back", "hand"], p=[0.6, 0.22, 0.18])
        self.bag_colour = _cloth(rng)
        self.sleeves = rng.random() < 0.7

    @property
    def size(self) -> Size:
        return 0.55 * self.height / 1.7, 0.55 * self.girth * self.height / 1.7, self.height

    def mesh(self, phase: float, stride: float = 1.0) -> np.ndarray:
        """Body at `phase` (radians) of the gait; `stride` 0 stands still."""
        g, c = self.girth, PEDESTRIAN
        swing = 0.42 * stride * np.sin(phase)
        hip, shoulder = 0.52, 0.815
        rods: list[Tube] = []
        parts = []
        for side, a in ((1, swing), (-1, -swing)):
            y = side * 0.052 * g
            bend = 0.35 * stride * max(0.0, np.cos(phase) * side)
            knee = (np.sin(a) * 0.25, y, hip - np.cos(a) * 0.25)
            lower = a - bend
            foot = (knee[0] + np.sin(lower) * 0.245, y, knee[2] - np.cos(lower) * 0.245)
            lift = max(foot[2], 0.025)
            bare = self.skin if self.skirt else self.legs
            rods.append(((0, y, hip), knee, (0.052 * g, 0.036), self.legs, self.cloth))
            rods.append((knee, (foot[0], y, lift), (0.035, 0.024), bare, self.cloth))
            parts.append(box((foot[0] + 0.03, y, lift - 0.005), (0.14, 0.05, 0.04), self.shoes, c))
            y, a = side * 0.125 * g, -a  # arms swing against the legs
            elbow = (np.sin(a) * 0.16, y * 1.08, shoulder - np.cos(a) * 0.16)
            fist = (elbow[0] + np.sin(a + 0.35) * 0.17, y * 1.1, elbow[2] - np.cos(a + 0.35) * 0.17)
            rods.append(((0, y * 0.92, shoulder), elbow, (0.036, 0.028), self.top, self.cloth))
            rods.append((elbow, fist, (0.028, 0.02), self.top if self.sleeves else self.skin, 0))
        rods.append(((0, 0, shoulder), (0.008, 0, 0.875), (0.036, 0.03), self.skin, 0))
        if self.long_hair:
            rods.append(((-0.04, 0, 0.95), (-0.045, 0, 0.8), (0.04, 0.035), self.hair, 0))
        parts.append(tubes(rods, c))
        seat = self.top if self.coat else self.legs
        trunk: list[Tube] = [
            ((0, 0, hip - 0.03), (0.005, 0, 0.64), (0.092 * g, 0.078 * g), seat, self.cloth),
            (
                (0.005, 0, 0.6),
                (0, 0, shoulder + 0.01),
                (0.085 * g, 0.108 * g),
                self.top,
                self.cloth,
            ),
        ]
        if self.skirt or self.coat:
            low = 0.3 if self.skirt else 0.4
            trunk.append(((0, 0, low), (0, 0, 0.62), (0.14 * g, 0.09 * g), seat, self.cloth))
        parts.append(tubes(trunk, c, 9))
        parts[-1]["position"][:, 0] *= 0.62  # broader than deep
        parts.append(ball((0.012, 0, 0.928), (0.056, 0.046, 0.068), self.skin, c, 6, 8))
        cap = self.bag_colour if self.hat else self.hair
        parts.append(ball((-0.006, 0, 0.947), (0.056, 0.05, 0.056), cap, c, 5, 8))
        if self.bag == "back":
            parts.append(box((-0.1, 0, 0.72), (0.1, 0.16, 0.2), self.bag_colour, c, self.cloth))
        elif self.bag == "hand":
            parts.append(box((0.02, -0.16 * g, 0.42), (0.16, 0.05, 0.14), self.bag_colour, c))
        return placed(joined(parts), (0, 0, 0), 0.0, self.height)


class Cyclist:
    """Rider and bicycle; `mesh(phase)` turns the pedals."""

    size: Size = (1.75, 0.6, 1.75)

    def __init__(self, rng: np.random.Generator) -> None:
        self.frame = (*_cloth(rng), 0.3)
        self.skin, self.top, self.legs = _skin(rng), _cloth(rng), _cloth(rng)
        self.helmet = _cloth(rng) if rng.random() < 0.65 else (0.04, 0.03, 0.02)
        self.lean = float(rng.uniform(0.05, 0.38))
        self.pack = rng.random() < 0.25
        self.cloth = int(rng.choice(textures.CLOTH))
        self.scale = float(rng.uniform(0.9, 1.05))
        s = self.scale
        self.size = (1.72 * s, 0.56 * s, (1.76 - 0.3 * self.lean) * s)

    def _ring(self, x: float) -> np.ndarray:
        angle = np.linspace(0, 2 * np.pi, 19)
        radius, thick = 0.34, 0.022
        circle = np.column_stack([np.cos(angle), 0 * angle, np.sin(angle)])
        grid = np.stack(
            [
                circle * (radius + dr) + [x, dy, radius]
                for dr, dy in (
                    (0, -thick),
                    (-0.045, -thick),
                    (-0.045, thick),
                    (0, thick),
                    (0, -thick),
                )
            ]
        )
        spokes = [
            [
                [np.cos(a) * 0.3 + x, 0, np.sin(a) * 0.3 + 0.34],
                [np.cos(a + 0.03) * 0.3 + x, 0, np.sin(a + 0.03) * 0.3 + 0.34],
                [x - np.cos(a) * 0.3, 0, 0.34 - np.sin(a) * 0.3],
                [x - np.cos(a + 0.03) * 0.3, 0, 0.34 - np.sin(a + 0.03) * 0.3],
            ]
            for a in np.arange(4) * np.pi / 4
        ]
        return joined(
            [surface(grid, _TYRE, CYCLIST), quads(np.array(spokes), (0.35, 0.35, 0.35), CYCLIST)]
        )

    def mesh(self, phase: float, stride: float = 1.0) -> np.ndarray:
        """Bicycle and rider with the pedals at `phase` radians. `stride` is ignored: a cyclist
        always rides."""
        c = CYCLIST
        crank, seat, bars = (-0.02, 0, 0.3), (-0.22, 0, 0.92), (0.42, 0, 1.0)
        rear, front, head = (-0.52, 0, 0.34), (0.54, 0, 0.34), (0.38, 0, 0.84)
        parts = [self._ring(-0.52), self._ring(0.54)]
        bars_ends = (
            (crank, seat),
            (crank, head),
            (seat, head),
            (rear, crank),
            (rear, seat),
            (front, bars),
        )
        thin: list[Tube] = [(a, b, (0.02, 0.02), self.frame, 0) for a, b in bars_ends]
        thin.append(((0.42, -0.27, 1.0), (0.42, 0.27, 1.0), (0.017, 0.017), _DARK, 0))
        parts.append(tubes(thin, c, 5))
        rods: list[Tube] = []
        parts.append(box((-0.24, 0, 0.95), (0.25, 0.14, 0.06), _DARK, c))
        hip = np.array([-0.2, 0, 1.0])
        shoulder = hip + np.array([0.12 + 0.5 * self.lean, 0, 0.5 - 0.2 * self.lean])
        for side, turn in ((1, phase), (-1, phase + np.pi)):
            y = 0.09 * side
            foot = np.array(
                [crank[0] + 0.17 * np.cos(turn), y, crank[2] + 0.17 * np.sin(turn) + 0.05]
            )
            thigh = hip + np.array([0, y, 0])
            mid = (thigh + foot) / 2
            reach = np.linalg.norm(foot - thigh)
            out = np.sqrt(max(0.45**2 - (reach / 2) ** 2, 0.01))
            knee = mid + np.array([0.85, 0, 0.35]) * out
            rods.append((thigh, knee, (0.085, 0.06), self.legs, self.cloth))
            rods.append((knee, foot, (0.055, 0.04), self.legs, self.cloth))
            parts.append(box(foot + np.array([0.05, 0, 0]), (0.24, 0.09, 0.07), _DARK, c))
            hand = np.array([0.42, 0.25 * side, 1.02])
            joint = shoulder + np.array([0, 0.19 * side, 0])
            elbow = (joint + hand) / 2 + [-0.03, 0.06 * side, -0.08]
            rods.append((joint, elbow, (0.06, 0.045), self.top, self.cloth))
            rods.append((elbow, hand, (0.042, 0.035), self.skin, 0))
        rods.append(
            (
                hip - np.array([0, 0, 0.05]),
                shoulder + np.array([0.01, 0, 0.04]),
                (0.12, 0.17),
                self.top,
                self.cloth,
            )
        )
        neck = shoulder + np.array([0.05, 0, 0.1])
        rods.append((shoulder, neck, (0.06, 0.055), self.skin, 0))
        parts.append(tubes(rods, c))
        parts.append(ball(neck + np.array([0.05, 0, 0.12]), (0.1, 0.08, 0.12), self.skin, c, 5, 8))
        parts.append(
            ball(neck + np.array([0.03, 0, 0.17]), (0.125, 0.09, 0.09), self.helmet, c, 5, 8)
        )
        if self.pack:
            parts.append(
                box(
                    (hip + shoulder) / 2 + np.array([-0.17, 0, 0.06]),
                    (0.18, 0.28, 0.38),
                    self.frame,
                    c,
                )
            )
        return placed(joined(parts), (0, 0, 0), 0.0, self.scale)
