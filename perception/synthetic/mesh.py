"""Triangle soup: the vertex format of the renderer and the few shapes everything is built of.

A mesh is a structured array (3n,) of `VERTEX`, three consecutive entries a triangle, in metres.
Winding does not matter: the shader turns normals towards the viewer.
"""

from collections.abc import Sequence

import numpy as np

VERTEX = np.dtype(
    [
        ("position", "<f4", 3),
        ("normal", "<f4", 3),
        ("uv", "<f4", 2),
        ("colour", "u1", 4),  # linear RGB albedo and gloss
        ("layer", "<u2"),  # texture layer, see textures.py
        ("id", "<u2"),  # scene class, or FIRST_INSTANCE + object index
    ]
)

_RAW = np.dtype(("V", VERTEX.itemsize))

FIRST_INSTANCE = 16
"""Ids below are scene classes of plain surroundings; ids from here on are single objects."""

Colour = Sequence[float]
"""Linear RGB in 0..1, maybe followed by gloss."""
Point = Sequence[float] | np.ndarray


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """np.cross along the last axis, without its overhead: worlds make thousands of meshes."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    out[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    out[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return out


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.maximum(length, 1e-9)[..., None]


def _differences(grid: np.ndarray, axis: int) -> np.ndarray:
    """Central differences along an axis, one-sided at its ends; scale does not matter."""
    grid = np.moveaxis(grid, axis, 0)
    out = np.empty_like(grid)
    out[1:-1] = grid[2:] - grid[:-2]
    out[0], out[-1] = grid[1] - grid[0], grid[-1] - grid[-2]
    return np.moveaxis(out, 0, axis)


def _bytes(colour: Colour) -> np.ndarray:
    gloss = colour[3] if len(colour) > 3 else 0.0
    return np.array([min(max(c, 0.0), 1.0) * 255 for c in (*colour[:3], gloss)], np.uint8)


def _soup(
    corners: np.ndarray, normals: np.ndarray, uv: np.ndarray, colour: Colour, layer: int, id_: int
) -> np.ndarray:
    mesh = np.empty(len(corners), VERTEX)
    mesh["position"] = corners
    mesh["normal"] = normals
    mesh["uv"] = uv
    mesh["colour"] = _bytes(colour)
    mesh["layer"] = layer
    mesh["id"] = id_
    return mesh


_QUAD = [0, 1, 2, 0, 2, 3]


def quads(
    corners: np.ndarray, colour: Colour, id_: int, layer: int = 0, uv: np.ndarray | None = None
) -> np.ndarray:
    """Flat quads from `corners` (n, 4, 3) in ring order; `uv` (n, 4, 2)."""
    corners = np.asarray(corners, np.float64).reshape(-1, 4, 3)
    normal = _unit(_cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]))
    if uv is None:
        uv = np.zeros((len(corners), 4, 2))
    uv = np.asarray(uv, np.float64).reshape(-1, 4, 2)
    return _soup(
        corners[:, _QUAD].reshape(-1, 3),
        np.repeat(normal, 6, axis=0),
        uv[:, _QUAD].reshape(-1, 2),
        colour,
        layer,
        id_,
    )


def surface(
    grid: np.ndarray, colour: Colour, id_: int, layer: int = 0, uv: np.ndarray | None = None
) -> np.ndarray:
    """Smoothly shaded surfaces through a `grid` (..., rows, columns, 3) of points; `uv` (...,
    rows, columns, 2)."""
    grid = np.asarray(grid, np.float64)
    along, across = _differences(grid, -3), _differences(grid, -2)
    if np.abs(grid[..., 0, :] - grid[..., -1, :]).max() < 1e-9:  # closed round
        across[..., 0, :] = across[..., -1, :] = grid[..., 1, :] - grid[..., -2, :]
    normal = _unit(_cross(along, across))
    if uv is None:
        uv = np.zeros((*grid.shape[:-1], 2))

    def corners(field: np.ndarray) -> np.ndarray:
        a, b = field[..., :-1, :-1, :], field[..., 1:, :-1, :]
        c, d = field[..., 1:, 1:, :], field[..., :-1, 1:, :]
        return np.stack([a, b, c, a, c, d], axis=-2).reshape(-1, field.shape[-1])

    return _soup(corners(grid), corners(normal), corners(uv), colour, layer, id_)


def box(
    centre: Point, size: Sequence[float], colour: Colour, id_: int, layer: int = 0
) -> np.ndarray:
    """Axis-aligned box; texture coordinates in metres over each side."""
    return frustum(centre, size, size[:2], colour, id_, layer)


def frustum(
    centre: Point,
    size: Sequence[float],
    top: Sequence[float],
    colour: Colour,
    id_: int,
    layer: int = 0,
    shift: float = 0.0,
) -> np.ndarray:
    """Box of `size` (x, y, z) about `centre` whose top face measures `top` (x, y) and sits
    `shift` metres further in x; open below when it stands on the ground."""
    lx, ly, lz = size
    ring = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    low = np.column_stack([ring * [lx, ly], np.full(4, -lz / 2)])
    high = np.column_stack([ring * np.asarray(top) + [shift, 0], np.full(4, lz / 2)])
    sides = [[low[i], low[(i + 1) % 4], high[(i + 1) % 4], high[i]] for i in range(4)]
    widths = [lx, ly, lx, ly]
    uv = [[[0, 0], [w, 0], [w, lz], [0, lz]] for w in widths]
    flat = [[0, 0], [lx, 0], [lx, ly], [0, ly]]
    faces = [*sides, list(high), list(low)]
    return quads(
        np.array(faces) + np.asarray(centre), colour, id_, layer, np.array([*uv, flat, flat])
    )


Tube = tuple[Point, Point, tuple[float, float], Colour, int]
"""Start, end, radii there, colour, texture layer."""


def tubes(specs: Sequence[Tube], id_: int, sides: int = 7) -> np.ndarray:
    """Tapered cylinders with closed ends, made together because bodies have many."""
    a = np.array([spec[0] for spec in specs], float)
    b = np.array([spec[1] for spec in specs], float)
    radii = np.array([spec[2] for spec in specs], float)
    length = np.maximum(np.sqrt(((b - a) ** 2).sum(1)), 1e-6)
    axis = (b - a) / length[:, None]
    helper = np.where(np.abs(axis[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    side = _unit(_cross(axis, helper))
    up = _cross(axis, side)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    angle[-1] = 0  # closed exactly
    ring = np.cos(angle)[:, None] * side[:, None] + np.sin(angle)[:, None] * up[:, None]
    grid = np.empty((len(specs), 4, sides + 1, 3))
    for row, (centre, radius) in enumerate(((a, None), (a, 0), (b, 1), (b, None))):
        width = 1e-3 if radius is None else radii[:, radius, None, None]
        grid[:, row] = centre[:, None] + ring * width
    uv = np.zeros((len(specs), 4, sides + 1, 2))
    uv[..., 0] = np.linspace(0, 2 * np.pi, sides + 1) * radii.max(1)[:, None, None]
    uv[:, 2:, :, 1] = length[:, None, None]
    mesh = surface(grid, (0, 0, 0), id_, 0, uv)
    share = len(mesh) // len(specs)
    mesh["colour"] = np.repeat([_bytes(spec[3]) for spec in specs], share, axis=0)
    mesh["layer"] = np.repeat([spec[4] for spec in specs], share)
    return mesh


def tube(
    start: Point,
    end: Point,
    radii: tuple[float, float],
    colour: Colour,
    id_: int,
    sides: int = 7,
    layer: int = 0,
) -> np.ndarray:
    """One tapered cylinder with closed ends from `start` to `end`."""
    return tubes([(start, end, radii, colour, layer)], id_, sides)


def ball(
    centre: Point,
    radii: Point,
    colour: Colour,
    id_: int,
    rings: int = 5,
    sides: int = 8,
    layer: int = 0,
    rough: np.ndarray | None = None,
) -> np.ndarray:
    """Ellipsoid; `rough` (rings + 1, sides) scales its radius point by point."""
    polar = np.linspace(0, np.pi, rings + 1)[:, None]
    turn = np.linspace(0, 2 * np.pi, sides + 1)[None]
    unit = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) + 0 * turn], 2
    )
    if rough is not None:
        unit = unit * np.concatenate([rough, rough[:, :1]], axis=1)[..., None]
    size = float(np.mean(radii))
    uv = np.stack(np.broadcast_arrays(turn * size, polar * size), axis=2)
    return surface(np.asarray(centre) + unit * np.asarray(radii), colour, id_, layer, uv)


def disc(
    centre: Sequence[float], radius: float, colour: Colour, id_: int, sides: int = 10
) -> np.ndarray:
    """Disc in the x-z plane."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    rim = np.column_stack([np.cos(angle), np.zeros(sides + 1), np.sin(angle)]) * radius
    grid = np.stack([rim * 0.01, rim]) + np.asarray(centre)
    mesh = surface(grid, colour, id_)
    mesh["normal"] = (0, 1, 0)
    return mesh


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    if not len(parts):
        return np.zeros(0, VERTEX)
    # As raw bytes: numpy joins structured arrays field by field.
    raw = [part.view(_RAW) for part in map(np.ascontiguousarray, parts)]
    return np.concatenate(raw).view(VERTEX)


def placed(
    mesh: np.ndarray,
    position: Sequence[float],
    yaw: float = 0.0,
    scale: Sequence[float] | float = 1,
) -> np.ndarray:
    """Copy of `mesh`, scaled, turned about z, then moved."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    scales = np.broadcast_to(np.asarray(scale, float), 3)
    moved = mesh.copy()
    moved["position"] = (mesh["position"] * scales) @ turn.T + np.asarray(position)
    moved["normal"] = _unit((mesh["normal"] / scales) @ turn.T)
    return moved


def tagged(mesh: np.ndarray, id_: int) -> np.ndarray:
    """Copy of `mesh` that belongs to `id_` entirely."""
    mesh = mesh.copy()
    mesh["id"] = id_
    return mesh
