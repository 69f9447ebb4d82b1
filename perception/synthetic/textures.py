"""Procedural texture layers: made once from a fixed seed, tinted and mixed by each world.

Each layer is a square RGBA tile that repeats: RGB multiplies a surface's colour (0.5 is
neutral), alpha marks glass. One layer spans `TILE_METRES` of a surface.
"""

from functools import cache

import cv2
import numpy as np

SIZE = 256

FLAT = 0
LAMP = 1
NOISE = 2
ASPHALT = (3, 4, 5, 6)
PAVING = (7, 8, 9)
GRASS = (10, 11, 12)
FACADE = tuple(range(13, 23))
BRICK = (23, 24)
SHOP = (25, 26, 27)
FOLIAGE = (28, 29, 30)
PLANKS = 31
MESH = 32
SIGNS = (33, 34, 35, 36)
BARK = 37
CLOUDS = 38
CLOTH = (39, 40, 41)
GRAFFITI = 42
COUNT = 43

TILE_METRES = np.full(COUNT, 1.0, np.float32)
TILE_METRES[list(ASPHALT)] = 5.0
TILE_METRES[list(PAVING)] = 4.0
TILE_METRES[list(GRASS)] = 5.0
TILE_METRES[list(FACADE)] = 12.0
TILE_METRES[list(BRICK)] = 4.0
TILE_METRES[list(SHOP)] = 12.0
TILE_METRES[list(FOLIAGE)] = 3.0
TILE_METRES[PLANKS] = 2.5
TILE_METRES[MESH] = 1.5
TILE_METRES[GRAFFITI] = 7.0
TILE_METRES[NOISE] = 40.0


def _noise(rng: np.random.Generator, cells: int, octaves: int = 1) -> np.ndarray:
    """Tileable value noise (SIZE, SIZE) in 0..1, `cells` lattice cells across."""
    total, weight = np.zeros((SIZE, SIZE), np.float32), 0.0
    for octave in range(octaves):
        n = min(cells << octave, SIZE)
        lattice = rng.random((n, n), dtype=np.float32)
        wrapped = np.pad(lattice, 2, mode="wrap")
        scale = SIZE // n
        grown = cv2.resize(wrapped, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += 0.5**octave * grown[2 * scale : 2 * scale + SIZE, 2 * scale : 2 * scale + SIZE]
        weight += 0.5**octave
    return np.clip(total / weight, 0, 1)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


def _asphalt(rng: np.random.Generator, rough: float) -> np.ndarray:
    value = (
        0.5 + rough * (rng.random((SIZE, SIZE), np.float32) - 0.5) + 0.2 * (_noise(rng, 4, 3) - 0.5)
    )
    for _ in range(rng.integers(0, 5)):  # cracks, some sealed with tar
        points = np.cumsum(rng.normal(0, 7, (28, 2)), axis=0) + rng.uniform(40, 216, 2)
        cv2.polylines(
            value, [points.astype(np.int32)], False, float(rng.uniform(0.25, 0.4)), 1, cv2.LINE_AA
        )
    if rng.random() < 0.6:  # a patch of another age
        x, y = rng.integers(20, 140, 2)
        w, h = rng.integers(30, 100, 2)
        value[y : y + h, x : x + w] *= rng.uniform(0.8, 1.15)
    return _grey(value)


def _paving(rng: np.random.Generator, rows: int, offset: bool) -> np.ndarray:
    value = 0.5 + 0.2 * (_noise(rng, 64, 2) - 0.5)
    pitch = SIZE // rows
    for row in range(rows):
        for column in range(rows):
            x = (column * pitch + (pitch // 2 if offset and row % 2 else 0)) % SIZE
            value[row * pitch : (row + 1) * pitch, x : x + pitch] *= rng.uniform(0.85, 1.12)
            value[row * pitch : (row + 1) * pitch, x : x + 2] *= 0.7
        value[row * pitch : row * pitch + 2] *= 0.7
    return _grey(value)


def _grass(rng: np.random.Generator, dry: float) -> np.ndarray:
    fine, coarse = _noise(rng, 128), _noise(rng, 4, 4)
    value = 0.5 + 0.5 * (fine - 0.5) + 0.6 * (coarse - 0.5)
    tint = np.array([0.35, 0.05, -0.1]) * dry
    return value[..., None] * (1 + (coarse[..., None] - 0.4) * tint)


def _facade(rng: np.random.Generator) -> np.ndarray:
    """4 by 4 storeys and bays (3 m each) of windows."""
    tile = np.empty((SIZE, SIZE, 4), np.float32)
    tile[..., :3] = _grey(0.5 + 0.12 * (_noise(rng, 32, 3) - 0.5))
    tile[..., 3] = 0
    if rng.random() < 0.4:
        tile[::4, :, :3] *= 0.88  # courses of brick
    bay = 64
    w, h = int(rng.uniform(20, 52)), int(rng.uniform(26, 46))
    x0, y0 = (bay - w) // 2, int(rng.uniform(8, 60 - h + 1))
    frame = rng.uniform(0.25, 0.95)
    band = rng.random() < 0.3
    for row in range(4):
        if band:
            tile[row * bay : row * bay + 5, :, :3] *= rng.uniform(0.6, 1.4)
        for column in range(4):
            y, x = row * bay + y0, column * bay + x0
            tile[y - 2 : y + h + 2, x - 2 : x + w + 2, :3] = frame
            pane = rng.uniform(0.05, 0.3)
            tile[y : y + h, x : x + w, :3] = pane
            tile[y : y + h, x : x + w, 3] = rng.uniform(0.5, 1)
            if rng.random() < 0.3:  # curtain or blind
                drop = int(h * rng.uniform(0.2, 0.9))
                tile[y : y + drop, x : x + w, :3] = rng.uniform(0.3, 0.8)
                tile[y : y + drop, x : x + w, 3] *= 0.4
            tile[y : y + h, x + w // 2 - 1 : x + w // 2 + 1] = (frame, frame, frame, 0)
    return tile


def _brick(rng: np.random.Generator) -> np.ndarray:
    rows, value = 32, np.full((SIZE, SIZE), 0.5, np.float32)
    for row in range(rows):
        for column in range(16):
            x = column * 16 + (8 if row % 2 else 0)
            value[row * 8 : row * 8 + 7, x % SIZE : x % SIZE + 15] = rng.uniform(0.38, 0.58)
    return _grey(value + 0.15 * (_noise(rng, 16, 3) - 0.5))


def _shop(rng: np.random.Generator) -> np.ndarray:
    """Ground floors: panes, doors and fascias; the tile repeats every 12 m, 4 m high used."""
    tile = np.zeros((SIZE, SIZE, 4), np.float32)
    tile[..., :3] = 0.4
    x = 0
    while x < SIZE:
        width = int(rng.integers(30, 80))
        hue = rng.uniform(0.1, 0.9, 3)
        tile[:, x : x + width, :3] = hue * 0.8
        tile[22:80, x + 4 : x + width - 4, :3] = rng.uniform(0.04, 0.25, 3)
        tile[22:80, x + 4 : x + width - 4, 3] = 0.8
        for _ in range(4):  # goods and posters
            px = x + 5 + int(rng.integers(0, max(width - 20, 1)))
            py = int(rng.integers(34, 72))
            tile[py : py + 8, px : px + 8, :3] = rng.uniform(0, 0.9, 3)
            tile[py : py + 8, px : px + 8, 3] = 0.2
        for px in range(x + 8, x + width - 8, 6):  # lettering
            tile[7:16, px : px + int(rng.integers(2, 5)), :3] = 1 - hue
        x += width
    return np.roll(np.tile(tile[:86], (3, 1, 1))[:SIZE], 0, axis=0)


def _foliage(rng: np.random.Generator) -> np.ndarray:
    leaves, clumps = _noise(rng, 64, 2), _noise(rng, 12, 2)
    value = 0.12 + 0.95 * leaves * (0.35 + clumps)
    return value[..., None] * (1 + 0.4 * (clumps[..., None] - 0.5) * np.array([0.7, 0.2, -0.4]))


def _planks(rng: np.random.Generator) -> np.ndarray:
    value = 0.5 + 0.2 * (_noise(rng, 16, 3) - 0.5)
    for x in range(0, SIZE, 16):
        value[:, x : x + 16] *= rng.uniform(0.75, 1.15)
        value[:, x : x + 2] *= 0.45
    return _grey(value)


def _mesh_wire(rng: np.random.Generator) -> np.ndarray:
    value = np.full((SIZE, SIZE), 0.3, np.float32) + 0.15 * _noise(rng, 16, 2)
    for x in range(0, SIZE, 16):
        value[:, x : x + 5] = 0.62
    value[8:20] = value[200:212] = 0.66
    return _grey(value)


def _sign(rng: np.random.Generator, kind: int) -> np.ndarray:
    tile = np.full((SIZE, SIZE, 3), 0.95, np.float32)
    centre = (SIZE // 2, SIZE // 2)
    if kind == 0:  # red ring
        cv2.circle(tile, centre, 110, (0.75, 0.05, 0.05), 36, cv2.LINE_AA)
        cv2.putText(tile, "50", (62, 160), cv2.FONT_HERSHEY_SIMPLEX, 3.2, (0.05,) * 3, 16)
    elif kind == 1:  # blue with an arrow
        tile[:] = (0.05, 0.2, 0.6)
        cv2.arrowedLine(tile, (128, 215), (128, 45), (0.95,) * 3, 24, cv2.LINE_AA, tipLength=0.4)
    elif kind == 2:  # direction board
        tile[:] = (0.03, 0.3, 0.12)
        for y in (50, 110, 170):
            for x in range(24, 200, 22):
                tile[y : y + 28, x : x + int(rng.integers(6, 18))] = 0.92
    else:  # advertisement
        tile[:] = _noise(rng, 4, 2)[..., None] * rng.uniform(0.4, 1.3, 3)
        for _ in range(14):
            x, y = rng.integers(0, 200, 2)
            cv2.rectangle(
                tile,
                (int(x), int(y)),
                (int(x + 50), int(y + 24)),
                rng.uniform(0, 1, 3).tolist(),
                -1,
            )
    return tile * 0.5


@cache
def layers() -> np.ndarray:
    """All layers, (COUNT, SIZE, SIZE, 4) uint8, row 0 at the bottom of a wall."""
    rng = np.random.default_rng(20141)
    out = np.zeros((COUNT, SIZE, SIZE, 4), np.float32)
    out[..., :3] = 0.5
    out[NOISE, ..., :3] = np.stack([_noise(rng, c, 4) for c in (2, 4, 8)], 2)
    for i, layer in enumerate(ASPHALT):
        out[layer, ..., :3] = _asphalt(rng, (0.1, 0.16, 0.22, 0.06)[i])
    for layer, rows, offset in zip(PAVING, (8, 4, 16), (False, True, True), strict=True):
        out[layer, ..., :3] = _paving(rng, rows, offset)
    for layer, dry in zip(GRASS, (0.1, 0.5, 1.0), strict=True):
        out[layer, ..., :3] = _grass(rng, dry)
    for layer in FACADE:
        out[layer] = _facade(rng)[::-1]
    for layer in BRICK:
        out[layer, ..., :3] = _brick(rng)
    for layer in SHOP:
        out[layer] = _shop(rng)[::-1]
    for layer in FOLIAGE:
        out[layer, ..., :3] = _foliage(rng)
    out[PLANKS, ..., :3] = _planks(rng)
    out[MESH, ..., :3] = _mesh_wire(rng)
    for kind, layer in enumerate(SIGNS):
        out[layer, ..., :3] = _sign(rng, kind)[::-1]
    out[BARK, ..., :3] = _grey(0.3 + 0.4 * _noise(rng, 16, 3))
    out[CLOUDS, ..., :3] = _grey(_noise(rng, 4, 5))
    for layer, stripes in zip(CLOTH, (0, 9, 3), strict=True):
        cloth = 0.5 + 0.25 * (_noise(rng, 8, 3) - 0.5)
        if stripes:
            cloth *= np.where(np.sin(np.arange(SIZE) * 2 * np.pi * stripes / SIZE) > 0, 1.25, 0.6)[
                :, None
            ]
        out[layer, ..., :3] = _grey(cloth)
    out[GRAFFITI, ..., :3] = _brick(rng) * (0.6 + 0.8 * np.stack([_noise(rng, 8, 2)] * 3, 2))
    return (np.clip(out, 0, 1) * 255).astype(np.uint8)
