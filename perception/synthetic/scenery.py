"""Trees, buildings, poles, signs and fences: everything that stands still and is no object."""

import numpy as np

from perception.synthetic import textures
from perception.synthetic.classes import BUILDING, POLE, SIGN, VEGETATION
from perception.synthetic.mesh import (
    Colour,
    Tube,
    ball,
    box,
    disc,
    frustum,
    joined,
    placed,
    quads,
    tube,
    tubes,
)

_STEEL = (0.28, 0.29, 0.3, 0.15)


def _leaves(
    rng: np.random.Generator,
    centre: np.ndarray,
    radii: np.ndarray,
    count: int,
    size: float,
    colour: tuple[float, float, float],
    layer: int,
) -> np.ndarray:
    """Loose cards over an ellipsoid, which fray its outline."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    at = centre + direction * radii * rng.uniform(0.85, 1.15, (count, 1))
    a = rng.normal(size=(count, 3)) * size
    b = rng.normal(size=(count, 3)) * size
    corners = np.stack([at - a, at - b, at + a, at + b], axis=1)
    uv = rng.uniform(0, 3, (count, 1, 2)) + np.array(
        [[0, 0], [size * 2, 0], [size * 2] * 2, [0, size * 2]]
    )
    mesh = quads(corners, colour, VEGETATION, layer, uv)
    mesh["normal"] = np.repeat(direction, 6, axis=0)
    return mesh


def tree(rng: np.random.Generator) -> np.ndarray:
    """Broad-leaved, conifer, columnar or bare tree, about 7 m high."""
    kind = rng.choice(["broad", "conifer", "column", "bare"], p=[0.62, 0.16, 0.12, 0.1])
    green = np.array([0.10, 0.19, 0.04]) * rng.uniform(0.6, 1.5) + rng.uniform(0, 0.05, 3)
    if rng.random() < 0.15:  # autumn
        green = np.array([0.35, 0.2, 0.04]) * rng.uniform(0.5, 1.2)
    layer = int(rng.choice(textures.FOLIAGE))
    bark = tuple(np.array([0.16, 0.12, 0.09]) * rng.uniform(0.5, 1.8))
    tall = rng.uniform(5, 10)
    leaf = tuple(green)
    thick = tall * rng.uniform(0.016, 0.03)
    trunk_top = tall * (0.45 if kind != "bare" else 0.7)
    lean = rng.normal(0, 0.15, 2)
    parts = [
        tube(
            (0, 0, -0.1),
            (*lean, trunk_top),
            (thick, thick * 0.6),
            bark,
            VEGETATION,
            7,
            textures.BARK,
        )
    ]
    if kind == "conifer":
        for z in np.linspace(0.18, 0.85, 5):
            radius = tall * 0.24 * (1.08 - z)
            centre = np.array([0, 0, tall * (z + 0.05)])
            parts.append(
                tube(
                    (0, 0, tall * z),
                    (0, 0, tall * (z + 0.26)),
                    (radius, 0.05),
                    leaf,
                    VEGETATION,
                    9,
                    layer,
                )
            )
            parts.append(
                _leaves(rng, centre, np.array([radius, radius, 0.3]), 16, 0.28, leaf, layer)
            )
        return joined(parts)
    if kind == "bare":
        rods: list[Tube] = []
        for _ in range(11):
            z = rng.uniform(0.35, 0.68) * tall
            angle, reach = rng.uniform(0, 6.28), rng.uniform(0.12, 0.3) * tall
            tip = np.array(
                [reach * np.cos(angle), reach * np.sin(angle), z + reach * rng.uniform(0.5, 1.3)]
            )
            rods.append(((0, 0, z), tip, (thick * 0.4, 0.015), bark, 0))
            for _ in range(3):
                rods.append(
                    (
                        tip * 0.8 + [0, 0, z * 0.2],
                        tip + rng.normal(0, 0.5, 3),
                        (0.03, 0.008),
                        bark,
                        0,
                    )
                )
        parts.append(tubes(rods, VEGETATION, 4))
        return joined(parts)
    blobs = 1 if kind == "column" else int(rng.integers(3, 6))
    for _ in range(blobs):
        if kind == "column":
            centre, radii = np.array([0, 0, tall * 0.58]), np.array([0.14, 0.14, 0.42]) * tall
        else:
            centre = np.array([*rng.normal(0, tall * 0.12, 2), tall * rng.uniform(0.5, 0.8)])
            radii = tall * rng.uniform(0.15, 0.25) * rng.uniform(0.8, 1.2, 3)
        rough = rng.uniform(0.78, 1.15, (7, 8))
        parts.append(ball(centre, radii, leaf, VEGETATION, 6, 8, layer, rough))
        shade = tuple(green * rng.uniform(0.8, 1.25))
        parts.append(_leaves(rng, centre, radii, 34, tall * 0.022, shade, layer))
    return joined(parts)


def bush(rng: np.random.Generator) -> np.ndarray:
    """Low round shrub, about 1 m high."""
    green = tuple(np.array([0.09, 0.17, 0.04]) * rng.uniform(0.6, 1.7) + rng.uniform(0, 0.04, 3))
    layer = int(rng.choice(textures.FOLIAGE))
    rough = rng.uniform(0.8, 1.15, (6, 9))
    radii = np.array([0.7, 0.7, 0.6]) * rng.uniform(0.7, 1.2, 3)
    centre = np.array([0, 0, 0.45])
    return joined(
        [
            ball(centre, radii, green, VEGETATION, 5, 9, layer, rough),
            _leaves(rng, centre, radii, 30, 0.13, green, layer),
        ]
    )


def wall_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    base = np.array(
        [
            (0.5, 0.47, 0.42),
            (0.42, 0.2, 0.14),
            (0.6, 0.55, 0.42),
            (0.3, 0.3, 0.31),
            (0.7, 0.7, 0.68),
            (0.5, 0.35, 0.22),
            (0.33, 0.38, 0.42),
            (0.55, 0.4, 0.35),
        ]
    )
    r, g, b = np.clip(
        base[rng.integers(len(base))] * rng.uniform(0.6, 1.3) * rng.uniform(0.85, 1.15, 3),
        0.03,
        0.9,
    )
    return float(r), float(g), float(b)


def building(
    rng: np.random.Generator, width: float, depth: float, height: float, shops: bool
) -> np.ndarray:
    """House or block, `width` along x, front face at y = 0, reaching to y = `depth`."""
    colour, layer = wall_colour(rng), int(rng.choice(textures.FACADE))
    base = 3.6 if shops else 0.0
    corners = np.array([[0, 0], [width, 0], [width, depth], [0, depth]]) - [width / 2, 0]
    parts = []
    start = rng.uniform(0, 12)
    for i in range(4):
        (x0, y0), (x1, y1) = corners[i], corners[(i + 1) % 4]
        span = round(float(np.hypot(x1 - x0, y1 - y0)) / 3) * 3 or 3
        for z0, z1, skin, tint in (
            (0, base, int(rng.choice(textures.SHOP)), (0.5, 0.5, 0.5)),
            (base, height, layer, colour),
        ):
            if z1 - z0 < 0.1:
                continue
            rows = z1 - z0 if z0 == 0 and shops else round((z1 - z0) / 3) * 3 or 3
            face = [[x0, y0, z0], [x1, y1, z0], [x1, y1, z1], [x0, y0, z1]]
            offset = start if skin != layer else 0
            uv = [[offset, 0], [offset + span, 0], [offset + span, rows], [offset, rows]]
            parts.append(quads(np.array(face), tint, BUILDING, skin, np.array(uv)))
    roof: Colour = (0.12, 0.12, 0.13)
    if rng.random() < 0.6:
        roof = (np.array([0.25, 0.14, 0.1]) * rng.uniform(0.4, 1.6)).tolist()
    if height < 12 and rng.random() < 0.75:  # pitched, ridge along the street or across it
        ridge, over = rng.uniform(1.5, 3.5), 0.35
        x0, x1, y0, y1 = -width / 2 - over, width / 2 + over, -over, depth + over
        if rng.random() < 0.65:
            mid = depth / 2
            faces = [
                [
                    [x0, y0, height],
                    [x1, y0, height],
                    [x1, mid, height + ridge],
                    [x0, mid, height + ridge],
                ],
                [
                    [x0, y1, height],
                    [x1, y1, height],
                    [x1, mid, height + ridge],
                    [x0, mid, height + ridge],
                ],
            ]
            ends = [
                [
                    [x, 0, height],
                    [x, depth, height],
                    [x, mid, height + ridge],
                    [x, mid, height + ridge],
                ]
                for x in (-width / 2, width / 2)
            ]
        else:
            faces = [
                [
                    [x0, y0, height],
                    [x0, y1, height],
                    [0, y1, height + ridge],
                    [0, y0, height + ridge],
                ],
                [
                    [x1, y0, height],
                    [x1, y1, height],
                    [0, y1, height + ridge],
                    [0, y0, height + ridge],
                ],
            ]
            ends = [
                [
                    [-width / 2, y, height],
                    [width / 2, y, height],
                    [0, y, height + ridge],
                    [0, y, height + ridge],
                ]
                for y in (0, depth)
            ]
        parts.append(
            quads(np.array(faces), roof, BUILDING, textures.PLANKS, np.array(faces)[..., :2])
        )
        parts.append(quads(np.array(ends), colour, BUILDING))
        if rng.random() < 0.5:
            parts.append(
                box(
                    (width * rng.uniform(-0.35, 0.35), depth / 2, height + ridge),
                    (0.7, 0.7, 1.6),
                    (0.3, 0.16, 0.12),
                    BUILDING,
                )
            )
    else:
        parts.append(
            box(
                (0, depth / 2, height + 0.2),
                (width + 0.3, depth + 0.3, 0.5),
                tuple(np.array(colour) * 0.8),
                BUILDING,
            )
        )
    if shops and rng.random() < 0.6:  # awnings
        awning = rng.uniform(0.05, 0.7, 3)
        x0 = rng.uniform(-width / 2, 0)
        face = [
            [x0, -0.05, 3.0],
            [x0 + width / 2, -0.05, 3.0],
            [x0 + width / 2, -1.1, 2.6],
            [x0, -1.1, 2.6],
        ]
        parts.append(
            quads(
                np.array(face),
                tuple(awning),
                BUILDING,
                int(textures.CLOTH[1]),
                np.array([[0, 0], [4, 0], [4, 1], [0, 1]]),
            )
        )
    elif height > 6:
        for z in np.arange(
            base + 3.0, height - 1, 3.0
        ).tolist():  # balconies and ledges break the flat front
            if rng.random() < 0.3:
                x = rng.uniform(-width / 2 + 1, width / 2 - 1)
                parts.append(box((x, -0.4, z), (2.2, 0.9, 0.15), (0.4, 0.4, 0.4), BUILDING))
                parts.append(
                    box(
                        (x, -0.82, z + 0.5),
                        (2.2, 0.06, 0.9),
                        tuple(np.array(colour) * 0.7),
                        BUILDING,
                    )
                )
    if not shops:
        parts.append(
            quads(
                np.array(
                    [[-0.6, -0.02, 0], [0.5, -0.02, 0], [0.5, -0.02, 2.2], [-0.6, -0.02, 2.2]]
                ),
                tuple(rng.uniform(0.02, 0.4, 3)),
                BUILDING,
            )
        )
    return joined(parts)


def street_light(rng: np.random.Generator, lit: bool) -> np.ndarray:
    """Lamp post whose arm reaches along +y."""
    tall, reach = rng.uniform(5, 9), rng.uniform(0.6, 2.2)
    grey = tuple(np.array(_STEEL[:3]) * rng.uniform(0.3, 1.5))
    parts = [
        tube((0, 0, 0), (0, 0, tall), (0.1, 0.06), grey, POLE, 7),
        tube((0, 0, tall - 0.1), (0, reach, tall + 0.25), (0.05, 0.04), grey, POLE, 5),
        box((0, reach + 0.2, tall + 0.25), (0.22, 0.6, 0.12), grey, POLE),
    ]
    if lit:
        parts.append(
            quads(
                np.array(
                    [
                        [-0.1, reach, tall + 0.18],
                        [0.1, reach, tall + 0.18],
                        [0.1, reach + 0.45, tall + 0.18],
                        [-0.1, reach + 0.45, tall + 0.18],
                    ]
                ),
                (1.0, 0.8, 0.5),
                POLE,
                textures.LAMP,
            )
        )
    return joined(parts)


def utility_pole(rng: np.random.Generator) -> np.ndarray:
    wood = (0.2, 0.15, 0.11)
    tall = rng.uniform(7, 10)
    return joined(
        [
            tube((0, 0, 0), (0, 0, tall), (0.15, 0.11), wood, POLE, 7, textures.BARK),
            box((0, 0, tall - 0.5), (0.1, 1.8, 0.12), wood, POLE),
        ]
    )


def bollard(rng: np.random.Generator) -> np.ndarray:
    colour = tuple(rng.choice([(0.05, 0.05, 0.05), (0.5, 0.5, 0.5), (0.6, 0.4, 0.05)]))
    return joined(
        [
            tube((0, 0, 0), (0, 0, 0.95), (0.08, 0.07), colour, POLE, 7),
            ball((0, 0, 0.95), (0.08, 0.08, 0.06), colour, POLE, 3, 7),
        ]
    )


def traffic_light(rng: np.random.Generator) -> np.ndarray:
    """Signal head that shows its faces towards -x and +x."""
    tall = rng.uniform(2.6, 3.4)
    parts = [
        tube((0, 0, 0), (0, 0, tall + 0.5), (0.07, 0.06), _STEEL, POLE, 7),
        box((0, 0, tall), (0.3, 0.34, 1.0), (0.02, 0.02, 0.02), SIGN),
    ]
    lit = rng.integers(3)
    for i, colour in enumerate([(0.9, 0.05, 0.03), (0.9, 0.5, 0.03), (0.05, 0.8, 0.3)]):
        on = i == lit
        shade = colour if on else tuple(np.array(colour) * 0.12)
        for x in (-0.16, 0.16):
            lamp = placed(
                disc((0, 0, 0), 0.11, shade, SIGN, 8), (x, 0, tall + 0.3 - 0.3 * i), np.pi / 2
            )
            lamp["layer"] = textures.LAMP if on else textures.FLAT
            parts.append(lamp)
    return joined(parts)


def sign(rng: np.random.Generator) -> np.ndarray:
    """Road sign on a post, its face towards -x."""
    kind = rng.choice(["round", "square", "triangle", "board"], p=[0.4, 0.25, 0.2, 0.15])
    tall = rng.uniform(2.0, 2.7)
    parts = [tube((0, 0, 0), (0, 0, tall + 0.3), (0.04, 0.04), _STEEL, POLE, 6)]
    size = rng.uniform(0.32, 0.48)
    white = (1.0, 1.0, 1.0)
    x = -0.06
    if kind == "round":
        angle = np.linspace(0, 2 * np.pi, 13)
        ring = np.column_stack([0 * angle, np.cos(angle), np.sin(angle)])
        a, b = ring[:-1:2], ring[1::2]
        after = ring[2::2]
        centre = np.zeros_like(a)
        corners = np.stack([centre, a, b, after], axis=1) * size + [x, 0, tall]
        uv = np.stack([centre, a, b, after], axis=1)[..., 1:] * 0.5 + 0.5
        parts.append(quads(corners, white, SIGN, textures.SIGNS[int(rng.integers(2))], uv))
    elif kind == "triangle":
        for radius, colour, dx in (
            (size * 1.15, (0.6, 0.03, 0.03), 0.0),
            (size * 0.75, (0.85, 0.83, 0.7), -0.01),
        ):
            angle = np.array([np.pi / 2, np.pi * 7 / 6, np.pi * 11 / 6, np.pi * 11 / 6])
            corners = np.column_stack(
                [0 * angle + x + dx, radius * np.cos(angle), tall + radius * np.sin(angle)]
            )
            parts.append(quads(corners, colour, SIGN))
    else:
        w, h = (size, size) if kind == "square" else (size * rng.uniform(2, 3.5), size * 1.4)
        layer = textures.SIGNS[int(rng.integers(1, 4))] if kind == "board" else textures.SIGNS[1]
        corners = np.array(
            [[x, w, tall - h], [x, -w, tall - h], [x, -w, tall + h], [x, w, tall + h]]
        )
        parts.append(quads(corners, white, SIGN, layer, np.array([[0, 0], [1, 0], [1, 1], [0, 1]])))
        parts.append(quads(corners + np.array([0.02, 0, 0]), (0.3, 0.3, 0.3), SIGN))
    return joined(parts)


def bin_(rng: np.random.Generator) -> np.ndarray:
    """Litter bin or cabinet; counts as pole-like street furniture."""
    colour = tuple(rng.uniform(0.02, 0.35, 3))
    return frustum((0, 0, 0.5), (0.5, 0.5, 1.0), (0.55, 0.6), colour, POLE)


def shelter(rng: np.random.Generator) -> np.ndarray:
    """Bus shelter, open towards -y."""
    dark = tuple(np.array([0.1, 0.12, 0.13]) * rng.uniform(0.5, 2))
    glass = (0.2, 0.24, 0.25, 0.6)
    return joined(
        [
            box((0, 0.2, 2.4), (3.6, 1.5, 0.12), dark, BUILDING),
            quads(
                np.array([[-1.7, 0.9, 0.3], [1.7, 0.9, 0.3], [1.7, 0.9, 2.3], [-1.7, 0.9, 2.3]]),
                glass,
                BUILDING,
            ),
            box((1.75, 0.35, 1.2), (0.08, 1.1, 2.2), dark, BUILDING),
            box((-1.75, 0.85, 1.2), (0.08, 0.08, 2.4), dark, BUILDING),
            box((0, 0.65, 0.45), (2.4, 0.35, 0.08), (0.3, 0.2, 0.1), BUILDING),
        ]
    )
