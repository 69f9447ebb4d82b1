"""The table of faults: what each one is, and what the health of the loop must call it."""

from dataclasses import dataclass

import numpy as np

from deploy.faults import engine as engines
from deploy.faults import images
from deploy.faults.engine import Spoil
from deploy.faults.images import Change, each, painted
from deploy.health.camera import State


@dataclass(frozen=True)
class Fault:
    """`states`: what a struck camera may be called from the third tick on; none: it stays ok, for
    things that happen to healthy cameras too, and for what can't be seen. `failed`: the network
    gives no result for it. `whole_batch`: nor for the cameras that share its engine call.
    `cameras`: how many are struck at once."""

    what: str
    states: tuple[State, ...] = ()
    change: Change | None = None
    spoil: Spoil | None = None
    cameras: int = 1
    failed: bool = False
    whole_batch: bool = False


_GONE: tuple[State, ...] = ("late", "disconnected")


def _dead(count: int) -> Fault:
    what = f"{count} cameras silent" if count > 1 else "a camera silent"
    return Fault(what, _GONE, each(images.dead), cameras=count)


def _spoilt(output: str, value: float) -> Fault:
    what = f"{value} in the network's {output}"
    return Fault(what, spoil=engines.filled(output, value), failed=True)


_BLACK = painted(lambda picture, _: np.full_like(picture, 2))
_WHITE = painted(lambda picture, _: np.full_like(picture, 253))
_COVERED = painted(lambda picture, _: np.full_like(picture, 90))

FAULTS: dict[str, Fault] = {
    **{f"dead-{count}": _dead(count) for count in range(1, 8)},
    "frozen": Fault("same picture, new stamps", ("frozen",), images.frozen),
    "same-id": Fault("counter of frames stands still", ("frozen",), images.same_id),
    "missing-ids": Fault("counter of frames jumps", (), each(images.missing_ids)),
    "twice": Fault("every image comes twice", (), images.twice),
    "black": Fault("no light", ("blind",), _BLACK),
    "white": Fault("glare", ("blind",), _WHITE),
    "covered": Fault("a leaf on the lens", ("blind",), _COVERED),
    "smeared": Fault("water on the lens", ("blind",), painted(images.smear)),
    "swapped": Fault("two cables changed over", (), images.swapped, cameras=2),
    # Silent at first, which nobody can tell from a dead camera; more than a period of the sample.
    "late": Fault("150 ms behind the others", _GONE, images.late(150_000_000)),
    "ahead-18s": Fault("clock 18 s ahead", ("out-of-sync",), images.skewed(18_000_000_000)),
    "behind-18s": Fault("clock 18 s behind", ("out-of-sync",), images.skewed(-18_000_000_000)),
    "ahead-1s": Fault("clock 1 s ahead", ("out-of-sync",), images.skewed(1_000_000_000)),
    "ahead-200ms": Fault("clock 0.2 s ahead", ("out-of-sync",), images.skewed(200_000_000)),
    "ahead-150ms": Fault("clock 0.15 s ahead", ("out-of-sync",), images.skewed(150_000_000)),
    "ahead-100ms": Fault("clock 0.1 s ahead", ("out-of-sync", "ok"), images.skewed(100_000_000)),
    "backwards": Fault("clock runs backwards", ("out-of-sync",), each(images.backwards)),
    "jitter": Fault("stamps off by up to 3 ms", (), each(images.jitter)),
    "halved": Fault("every other frame missing", ("late",), images.halved),
    "one-lost": Fault("a single frame missing", (), images.one_lost),
    "corrupt": Fault("damaged JPEG header", ("corrupt",), each(images.corrupt)),
    "truncated": Fault("JPEG cut off", ("corrupt",), each(images.truncated)),
    "empty": Fault("images without bytes", ("corrupt", "frozen"), each(images.empty)),
    "garbage": Fault("random bytes for images", ("corrupt",), each(images.garbage)),
    "wrong-size": Fault("another mode of the camera", ("corrupt",), each(images.wrong_size)),
    "bomb": Fault("JPEG that claims 60000x60000", ("corrupt",), each(images.bomb)),
    "nan": _spoilt("scene", float("nan")),
    "infinite": _spoilt("scene", float("inf")),
    "minus-infinite": _spoilt("scene", float("-inf")),
    "nan-boxes": _spoilt("boxes", float("nan")),
    "nan-scores": _spoilt("scores", float("nan")),
    "engine-throws": Fault("engine raises", spoil=engines.throws, failed=True, whole_batch=True),
    "engine-slow": Fault("engine five times slower", spoil=engines.slow),
}
