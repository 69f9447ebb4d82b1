"""One image through the engine, every peer and the floor, in turn on the same pixels."""

from pathlib import Path
from typing import Any

from deploy.bench.alternate import alternate, quartiles, ratio
from deploy.bench.floor import MatrixProduct, MemoryCopy
from deploy.bench.peers import Peer
from deploy.errors import EngineError
from deploy.loop.engine import Engine
from deploy.loop.preprocess import Batch
from perception.cost import cost_of_onnx

FLOOR = "matrix product"
MEMORY = "memory copy"


def single_image(
    model: Path,
    engine: Engine,
    batch: Batch,
    peers: list[Peer],
    rounds: int,
) -> dict[str, Any]:
    """Figures as JSON; ratios are of rounds.

    batch: filled, its first slot shows what `peers` see. `engine` is the one that peers and floor
    are compared with.
    """
    tensor = batch.images[:1]
    height, width = tensor.shape[2:]
    calls: dict[str, Any] = {engine.name: lambda: engine.infer(tensor)}
    calls |= {f"peer {n}": peer.run for n, peer in enumerate(peers)}
    memory = MemoryCopy(engine.threads)
    calls[MEMORY] = memory.run
    product, floor_absent = None, None
    try:
        if not engine.name.endswith("CPU"):
            raise EngineError("the peaks that are measured are the processor's, not a GPU's")
        product = MatrixProduct(engine.threads)
        calls[FLOOR] = product.run
    except EngineError as error:
        floor_absent = str(error)

    seconds = alternate(calls, rounds)
    ours = [value / (width * height / 1e6) for value in seconds[engine.name]]
    floor: dict[str, Any] = {"absent": floor_absent}
    if product:
        cost = cost_of_onnx(model, engine.spec)
        macs, traffic = cost.macs[batch.bucket], cost.traffic[batch.bucket]
        # The fastest round: a peak is what the machine can do, not what it did on average.
        fastest = min(seconds[FLOOR])
        at_peak = [fastest * macs / product.macs] * rounds
        floor = {
            "gmac": macs / 1e9,
            "peak_gmac_per_second": product.macs / 1e9 / fastest,
            "share_of_peak": ratio(at_peak, seconds[engine.name]),
            "megabytes": traffic / 1e6,
            "copy_gb_per_second": memory.bytes / 1e9 / min(seconds[MEMORY]),
            "arithmetic_seconds": at_peak[0],
            "memory_seconds": min(seconds[MEMORY]) * traffic / memory.bytes,
        }
    return {
        "size": [width, height],
        "rounds": rounds,
        "seconds": quartiles(seconds[engine.name]),
        "seconds_per_megapixel": quartiles(ours),
        "floor": floor,
        "peers": [
            {
                "file": peer.path.name,
                "size": [peer.width, peer.height],
                "seconds_per_megapixel": quartiles(theirs),
                "ours_is_faster_by": ratio(theirs, ours),
            }
            for n, peer in enumerate(peers)
            for theirs in ([value / peer.megapixels for value in seconds[f"peer {n}"]],)
        ],
    }
