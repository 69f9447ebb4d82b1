"""One image through every engine, every peer and the floor, in turn on the same pixels."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.bench.alternate import alternate, quartiles, ratio
from deploy.bench.floor import MatrixProduct
from deploy.bench.peers import Peer
from deploy.errors import EngineError
from deploy.loop.engine import Engine, load_engine, runtimes
from deploy.loop.preprocess import Batch
from perception.cost import cost_of_onnx

FLOOR = "matrix product"


def single_image(
    model: Path,
    engine: Engine,
    batch: Batch,
    image: NDArray[np.uint8],
    peers: list[Path],
    rounds: int,
) -> dict[str, Any]:
    """Figures as JSON; ratios are of rounds.

    batch: filled, its first slot shows `image`, uint8 (H, W, 3) BGR, which peers get resized to
    their own input. `engine` is the one that peers and floor are compared with. Raises
    EngineError for a peer that can't be run.
    """
    tensor = batch.images[:1]
    height, width = tensor.shape[2:]
    engines = {engine.name: engine}
    for runtime in runtimes():
        if runtime.missing is None and not engine.name.startswith(runtime.name):
            other = load_engine(model, engine.threads, runtime.name)
            engines[other.name] = other
    others = [Peer(path, engine.threads, image, (width, height)) for path in peers]
    calls: dict[str, Any] = {
        name: lambda network=network: network.infer(tensor) for name, network in engines.items()
    }
    calls |= {f"peer {n}": peer.run for n, peer in enumerate(others)}
    product, floor_absent = None, None
    try:
        product = MatrixProduct(engine.threads)
        calls[FLOOR] = product.run
    except EngineError as error:
        floor_absent = str(error)

    seconds = alternate(calls, rounds)
    ours = [value / (width * height / 1e6) for value in seconds[engine.name]]
    floor: dict[str, Any] = {"absent": floor_absent}
    if product:
        macs = cost_of_onnx(model, engine.spec).macs[batch.bucket]
        # The fastest round: a peak is what the machine can do, not what it did on average.
        fastest = min(seconds[FLOOR])
        at_peak = [fastest * macs / product.macs] * rounds
        floor = {
            "gmac": macs / 1e9,
            "peak_gmac_per_second": product.macs / 1e9 / fastest,
            "share_of_peak": ratio(at_peak, seconds[engine.name]),
        }
    return {
        "size": [width, height],
        "rounds": rounds,
        "seconds": {name: quartiles(seconds[name]) for name in engines},
        "seconds_per_megapixel": quartiles(ours),
        "floor": floor,
        "peers": [
            {
                "file": peer.path.name,
                "size": [peer.width, peer.height],
                "seconds_per_megapixel": quartiles(theirs),
                "ours_is_faster_by": ratio(theirs, ours),
            }
            for n, peer in enumerate(others)
            for theirs in ([value / peer.megapixels for value in seconds[f"peer {n}"]],)
        ],
    }
