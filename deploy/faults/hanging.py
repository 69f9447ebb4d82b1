"""`octoview run` with an engine that never comes back from one of its calls.

python -m deploy.faults.hanging CALL run car.yaml: it hangs in call CALL, counted from 0.
"""

import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.cli import main
from deploy.commands import run as command
from deploy.loop.engine import Computed, Engine, load_engine


class HangingEngine(Engine):
    """`engine` until its call number `last`."""

    def __init__(self, engine: Engine, last: int) -> None:
        self._engine, self._left = engine, last
        self.spec, self.metadata = engine.spec, engine.metadata
        self.name, self.threads = engine.name, engine.threads

    def submit(self, images: NDArray[np.float32]) -> Computed:
        """See `Engine.submit`."""
        if self._left == 0:
            threading.Event().wait()
        self._left -= 1
        return Computed(self._engine.infer(images))


if __name__ == "__main__":
    last = int(sys.argv.pop(1))

    def load(*arguments: Any, **options: Any) -> Engine:
        return HangingEngine(load_engine(*arguments, **options), last)

    command.load_engine = load
    main()
