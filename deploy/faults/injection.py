"""Injection: faults of the table put into a replay, as `--fault` names them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from calib.rig import Rig
from deploy.errors import DeployError
from deploy.faults.engine import FaultyEngine
from deploy.faults.images import Window
from deploy.faults.table import FAULTS
from deploy.log.reader import EncodedImage
from deploy.loop.engine import Engine
from deploy.loop.frames import EncodedSet

_FORM = re.compile(r"^([\w-]+)(?::([^@]+))?(?:@([\d.]+)-([\d.]*))?$")
_FOREVER_S = 1e9


@dataclass(frozen=True)
class Injection:
    """A fault of FAULTS for `cameras` (none named: the rig's first ones) from `start_s` up to
    `end_s`, seconds from the first image."""

    fault: str
    cameras: tuple[str, ...] = ()
    start_s: float = 0.0
    end_s: float = _FOREVER_S


def parse_injection(text: str) -> Injection:
    """NAME, NAME:CAMERA, NAME:CAMERA,CAMERA@START-END, NAME@START-.

    Raises DeployError for another form, an unknown fault, and times that are none.
    """
    form = _FORM.match(text)
    if form is None:
        raise DeployError(f"--fault {text}: write NAME[:CAMERA,...][@START-END], such as dead:rear")
    name, cameras, start, end = form.groups()
    if name not in FAULTS:
        raise DeployError(f"--fault {text}: no such fault; choose {', '.join(FAULTS)}")
    try:
        first, last = float(start or 0), float(end or _FOREVER_S)
    except ValueError as error:
        raise DeployError(f"--fault {text}: {error}") from error
    if first >= last:
        raise DeployError(f"--fault {text}: ends before it starts")
    return Injection(name, tuple(cameras.split(",")) if cameras else (), first, last)


class Injected:
    """A replay's images and engine with faults in them."""

    def __init__(self, images: Iterable[EncodedImage], engine: Engine) -> None:
        self.images = images
        self.engine = engine
        self.faulty: list[FaultyEngine] = []

    def watch(self, sets: Iterable[EncodedSet]) -> Iterator[EncodedSet]:
        """Pass the sets on, so that the engine's faults know the time."""
        for engine in self.faulty:
            sets = engine.watch(sets)
        yield from sets


def inject(
    faults: Sequence[Injection], rig: Rig, engine: Engine, images: Iterable[EncodedImage]
) -> Injected:
    """Put `faults` into `images` and `engine`, one after the other.

    Raises DeployError for a camera that the rig does not have.
    """
    done = Injected(images, engine)
    if not faults:
        return done
    stream = iter(images)
    first = next(stream, None)
    if first is None:
        return done
    done.images = chain([first], stream)
    for seed, injection in enumerate(faults):
        window = _window(injection, rig, first.stamp_ns, seed)
        fault = FAULTS[injection.fault]
        if fault.change is not None:
            done.images = fault.change(done.images, window)
        if fault.spoil is not None:
            faulty = FaultyEngine(done.engine, rig, fault.spoil, window)
            done.engine = faulty
            done.faulty.append(faulty)
    return done


def _window(injection: Injection, rig: Rig, start_ns: int, seed: int) -> Window:
    unknown = [name for name in injection.cameras if name not in rig.names]
    if unknown:
        raise DeployError(
            f"--fault {injection.fault}: rig '{rig.name}' has no camera {', '.join(unknown)}, "
            f"only {', '.join(rig.names)}"
        )
    count = FAULTS[injection.fault].cameras
    cameras = injection.cameras or rig.names[:count]
    if injection.fault == "swapped" and len(cameras) != count:
        raise DeployError("--fault swapped: name two cameras, such as swapped:main,narrow")
    return Window(
        cameras,
        start_ns + int(injection.start_s * 1e9),
        start_ns + int(injection.end_s * 1e9),
        np.random.default_rng(seed),
    )
