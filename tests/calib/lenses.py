"""Hypothesis strategies of plausible lenses, and random directions."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from calib.lens import Lens


@st.composite
def pinholes(draw: st.DrawFn, counts: tuple[int, ...] = (0, 4, 5, 8)) -> Lens:
    bounds = [0.35, 0.15, 3e-3, 3e-3, 0.08, 0.2, 0.1, 0.05]
    count = draw(st.sampled_from(counts))
    width, height = draw(st.sampled_from([(640, 480), (1280, 960), (1936, 1216)]))
    focal = width * draw(st.floats(0.45, 2.5))
    return Lens(
        model="pinhole",
        width=width,
        height=height,
        fx=focal,
        fy=focal * draw(st.floats(0.95, 1.05)),
        cx=width / 2 + draw(st.floats(-20, 20)),
        cy=height / 2 + draw(st.floats(-20, 20)),
        distortion=tuple(draw(st.floats(-bound, bound)) for bound in bounds[:count]),
    )


@st.composite
def fisheyes(draw: st.DrawFn) -> Lens:
    bounds = [0.1, 0.03, 0.01, 0.003]
    width, height = draw(st.sampled_from([(960, 640), (1280, 960)]))
    focal = width * draw(st.floats(0.2, 0.7))
    return Lens(
        model="fisheye",
        width=width,
        height=height,
        fx=focal,
        fy=focal * draw(st.floats(0.95, 1.05)),
        cx=width / 2 + draw(st.floats(-20, 20)),
        cy=height / 2 + draw(st.floats(-20, 20)),
        distortion=tuple(draw(st.floats(-bound, bound)) for bound in bounds),
    )


def random_points(seed: int, count: int = 300, widest: float = np.pi) -> NDArray[np.float64]:
    """Points (count, 3) at 0.5 to 50 m, up to `widest` radians off the optical axis."""
    rng = np.random.default_rng(seed)
    angle, turn = rng.uniform(0, widest, count), rng.uniform(-np.pi, np.pi, count)
    rays = [np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle)]
    return np.stack(rays, axis=-1) * rng.uniform(0.5, 50, (count, 1))
