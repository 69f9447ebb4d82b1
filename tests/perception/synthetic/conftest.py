"""One renderer and one world for all tests here; both take a second or two to make."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from calib.rig import Rig, load_rig
from perception.errors import PerceptionError
from perception.synthetic.world import World


@pytest.fixture(scope="session")
def renderer() -> Iterator[object]:
    pytest.importorskip("moderngl", reason="moderngl is not installed (octoview[sim])")
    from perception.synthetic.renderer import Renderer

    try:
        yield Renderer()
    except PerceptionError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def world() -> World:
    """A quiet suburb."""
    return World(3)


@pytest.fixture(scope="session")
def busy() -> World:
    """A town with a junction, parked cars, people and cyclists."""
    return World(7)


@pytest.fixture(scope="session")
def hw2() -> Rig:
    """The built-in rig at half its resolution: the geometry is the same, drawing is not."""
    rig = load_rig("hw2")
    halves = [replace(c, lens=c.lens.resized(c.lens.width // 2, c.lens.height // 2)) for c in rig]
    return Rig(rig.name, tuple(halves))
