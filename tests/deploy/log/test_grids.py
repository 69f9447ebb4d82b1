"""Grids survive their message."""

import numpy as np
import pytest

from deploy.log.grids import GroundGrid, from_grid, to_grid


def test_round_trip_keeps_layers_apart():
    rng = np.random.default_rng(0)
    layers = {name: rng.integers(0, 256, (3, 5), np.uint8) for name in ("alpha", "drivable")}
    found = from_grid(to_grid(GroundGrid(-20.0, -7.0, 0.2, layers), 5))
    assert (found.x_min, found.y_min, found.cell) == (-20.0, -7.0, 0.2)
    assert list(found.layers) == list(layers)
    for name, layer in layers.items():
        np.testing.assert_array_equal(found.layers[name], layer)


def test_a_message_that_does_not_add_up_is_refused():
    message = to_grid(GroundGrid(0, 0, 1, {"drivable": np.zeros((3, 5), np.uint8)}), 0)
    message.data = message.data[:-1]
    with pytest.raises(ValueError, match="14 bytes"):
        from_grid(message)
