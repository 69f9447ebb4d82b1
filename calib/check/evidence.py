"""What a rig says about points that two pictures show, and how far the pictures are from it.

Two rays to one point meet. Seen from the second camera the point lies on the arc from the
direction of the first camera's ray (the point at infinity) towards the first camera (the point
close by); the angle to that arc is the error. Both kinds of picture pairs are one formula: two
cameras at one instant, and one camera at two instants between which the vehicle moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calib.camera import Camera
from calib.check.features import LONG_SIDE
from calib.lens import Lens

Array = NDArray[np.float64]
_PIXEL = 0.5
"""Pixels of a reduced picture (features.py) by which a good match is off."""
_OUT_OF_STEP = np.radians(0.1)
"""By how much two cameras are off beside that, because their shutters are not quite in step."""
USUAL = 3.0
"""Metres that most points are away at least."""
MOST = 120
"""Matches of two pictures that are used: more say little new."""
NEAREST = 1.0
"""Metres from the second camera within which no point is looked for."""


@dataclass(frozen=True)
class Matches:
    """Points that camera `a` shows at `a_pixels` (N, 2) and camera `b` at `b_pixels`: at one
    instant where `motion` is None, else, `a` and `b` being one camera, before and after the
    motion of that number. `moment`: number of the instant, for whoever shows them."""

    a: str
    b: str
    moment: int
    motion: int | None
    a_pixels: Array
    b_pixels: Array


def _some(matches: Matches) -> Matches:
    """At most MOST of them, chosen at random, the same each time."""
    if len(matches.a_pixels) <= MOST:
        return matches
    chosen = np.random.default_rng(0).choice(len(matches.a_pixels), MOST, replace=False)
    a_pixels, b_pixels = matches.a_pixels[chosen], matches.b_pixels[chosen]
    return replace(matches, a_pixels=a_pixels, b_pixels=b_pixels)


@dataclass(frozen=True)
class Motion:
    """How the vehicle moved in `seconds`. `after_from_before` (4, 4): ego coordinates before to
    those after, None where the log does not tell."""

    seconds: float
    after_from_before: Array | None


class Evidence:
    """All matches in flat arrays. `a`, `b` (N,): numbers of cameras in `names`; `motion` (N,): of
    motions, one more than the last for none; `group` (N,): number of the `Matches` it is from."""

    def __init__(
        self, names: Sequence[str], matches: Sequence[Matches], motions: Sequence[Motion]
    ) -> None:
        self.names = tuple(names)
        self.motions = tuple(motions)
        self.matches = tuple(_some(m) for m in matches if len(m.a_pixels))
        number = {name: i for i, name in enumerate(self.names)}
        sizes = [len(m.a_pixels) for m in self.matches]

        def flat(values: list[int]) -> NDArray[np.int64]:
            return np.repeat(np.array(values, np.int64), sizes)

        self.a = flat([number[m.a] for m in self.matches])
        self.b = flat([number[m.b] for m in self.matches])
        none = len(self.motions)
        self.motion = flat([none if m.motion is None else m.motion for m in self.matches])
        self.group = flat(list(range(len(self.matches))))
        self._remembered: dict[tuple[int, Lens], tuple[Array, Array]] = {}
        empty = [np.zeros((0, 2))]
        self.a_pixels = np.concatenate([m.a_pixels for m in self.matches] or empty)
        self.b_pixels = np.concatenate([m.b_pixels for m in self.matches] or empty)

    @property
    def moving(self) -> NDArray[np.bool_]:
        """(N,) whether it is one camera at two instants."""
        return self.motion < len(self.motions)

    def of(self, camera: int) -> NDArray[np.bool_]:
        """(N,) whether the camera takes part."""
        return (self.a == camera) | (self.b == camera)

    def between(self, a: str, b: str, moment: int) -> NDArray[np.bool_]:
        """(N,) whether it is between these two cameras at this moment."""
        wanted = [(m.a, m.b, m.moment) == (a, b, moment) for m in self.matches]
        return np.array(wanted, bool)[self.group]

    def rays(self, cameras: Sequence[Camera], rows: NDArray[np.bool_] | None = None) -> "Rays":
        """Rays of all matches, or of some, by the lenses of `cameras`, in order of `names`."""
        from_a, from_b = np.full((len(self.a), 3), np.nan), np.full((len(self.b), 3), np.nan)
        for i, camera in enumerate(cameras):
            from_a[self.a == i], from_b[self.b == i] = self._rays_of(i, camera.lens)
        pixel = np.array([_PIXEL * max(1, c.lens.width / LONG_SIDE) / c.lens.fx for c in cameras])
        apart = np.where(self.moving, 0, _OUT_OF_STEP)
        sigma = np.sqrt(pixel[self.a] ** 2 + pixel[self.b] ** 2 + apart**2)
        rays = Rays(self.a, self.b, self.motion, from_a, from_b, sigma)
        return rays if rows is None else rays.taken(rows)

    def _rays_of(self, i: int, lens: Lens) -> tuple[Array, Array]:
        """Of camera `i`'s pixels as the first and as the second of a match; remembered, for the
        same few lenses are tried in many combinations."""
        if (i, lens) not in self._remembered:
            a_rays = lens.unproject(self.a_pixels[self.a == i])
            self._remembered[i, lens] = a_rays, lens.unproject(self.b_pixels[self.b == i])
        return self._remembered[i, lens]


@dataclass(frozen=True)
class Rays:
    """Unit rays (N, 3) in their cameras' frames; NaN where the lens has none. `sigma` (N,): by how
    many radians a good match is off."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    motion: NDArray[np.int64]
    from_a: Array
    from_b: Array
    sigma: Array

    def taken(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Rays":
        """Some of them."""
        return Rays(*(values[rows] for values in vars(self).values()))

    def errors(self, poses: Array, moves: Array) -> Array:
        """(N, 4) errors in radians, the first three as a vector across b's ray in the ego frame.

        `poses` (cameras, 4, 4): ego_from_camera. `moves` (motions + 1, 4, 4): after_from_before,
        the last the identity. NaN where a lens has no ray.
        """
        pose_a, pose_b, move = poses[self.a], poses[self.b], moves[self.motion]
        far = turned(move, turned(pose_a, self.from_a))
        seen = turned(pose_b, self.from_b)
        first = turned(move, pose_a[:, :3, 3]) + move[:, :3, 3]
        return arc_errors(far, first - pose_b[:, :3, 3], seen, self.sigma[:, None])


def turned(pose: Array, vectors: Array) -> Array:
    """Vectors (N, 3) turned by the rotations of poses (N, 4, 4)."""
    return np.einsum("nij,nj->ni", pose[:, :3, :3], vectors)


def arc_errors(far: Array, towards: Array, seen: Array, sigma: Array) -> Array:
    """(N, 4): `seen` less the nearest direction of the arc far + s * towards, 0 <= s <= 1 /
    NEAREST, and s as an error: most points are not near, and without that two cameras beside each
    other could be turned towards each other at no cost. `far` and `seen` are unit vectors (N, 3),
    `towards` is in metres, `sigma` (N, 1)."""

    def across(vector: Array) -> Array:
        return vector - (vector * seen).sum(axis=-1, keepdims=True) * seen

    weight, sideways = sigma * USUAL, across(towards)
    square = (sideways**2).sum(axis=-1, keepdims=True) + weight**2
    share = -(across(far) * sideways).sum(axis=-1, keepdims=True) / square
    share = np.clip(share, 0, 1 / NEAREST)
    nearest = far + share * towards
    nearest = nearest / np.linalg.norm(nearest, axis=-1, keepdims=True)
    return np.concatenate([seen - nearest, weight * share], axis=-1)
