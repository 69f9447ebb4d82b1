"""The learned grid as a message: its layers in percent, and colours as Foxglove paints them."""

import numpy as np
from foxglove_schemas_protobuf.Grid_pb2 import Grid

from deploy.log.grids import GroundGrid, to_grid
from deploy.loop.surround import SurroundMap
from deploy.sinks.palette import DRIVABLE, GROUND, object_colour

ALPHA = 160


def surround_grid(seen: SurroundMap, stamp_ns: int) -> Grid:
    """Every layer of `seen` by its name; cells that no camera looks at are transparent."""
    layers = dict(zip(seen.spec.layers, seen.probability, strict=True))
    colour = np.broadcast_to(np.array(GROUND, np.float32), (*seen.spec.shape, 3))
    paints = {"drivable": DRIVABLE, "vehicle": object_colour("vehicle")}
    for name, probability in layers.items():
        mix = probability[..., None]
        colour = mix * np.array(paints[name], np.float32) + (1 - mix) * colour
    red, green, blue = np.moveaxis(np.rint(colour).astype(np.uint8), -1, 0)
    painted = {
        "red": red,
        "green": green,
        "blue": blue,
        "alpha": np.where(seen.seen, ALPHA, 0).astype(np.uint8),
    }
    percent = {name: np.rint(100 * layer).astype(np.uint8) for name, layer in layers.items()}
    grid = GroundGrid(seen.spec.x_min, seen.spec.y_min, seen.spec.cell, painted | percent)
    return to_grid(grid, stamp_ns)
