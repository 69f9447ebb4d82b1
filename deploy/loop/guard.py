"""Guard: an engine that hangs or throws becomes an EngineError within a time limit."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deploy.errors import EngineError
from deploy.loop.engine import Engine, Outputs, Pending

LIMIT_S = 2.0
T = TypeVar("T")


class GuardedEngine(Engine):
    """`engine` with a time limit, `limit_s`, on each call. While a call hangs, every other one
    fails at once; when it comes back, its result is thrown away and the engine works again."""

    def __init__(self, engine: Engine, limit_s: float = LIMIT_S) -> None:
        self._engine = engine
        self._limit_s = limit_s
        self._thread = ThreadPoolExecutor(1, "guard")
        self._hanging: Future[Any] | None = None
        self.spec, self.metadata = engine.spec, engine.metadata
        self.name, self.threads = engine.name, engine.threads

    @property
    def hangs(self) -> bool:
        """Whether a call has not come back within the limit."""
        return self._hanging is not None and not self._hanging.done()

    def allocate(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """See `Engine.allocate`."""
        return self._engine.allocate(shape)

    def submit(self, images: NDArray[np.float32]) -> Pending:
        """See `Engine.submit`. Raises EngineError for whatever goes wrong, now or later."""
        return _Guarded(self, self.call(lambda: self._engine.submit(images)))

    def call(self, step: Callable[[], T]) -> T:
        """What `step` returns. Raises EngineError for whatever it raises, and when it is late."""
        if self.hangs:
            raise EngineError(f"{self.name} still hangs in a call; the process needs a restart")
        future = self._thread.submit(step)
        try:
            return future.result(self._limit_s)
        except LateError as error:
            self._hanging = future
            raise EngineError(f"{self.name} gave nothing within {self._limit_s:g} s") from error
        except EngineError:
            raise
        except Exception as error:  # a runtime's exceptions share no other base
            raise EngineError(f"{self.name}: {type(error).__name__}: {error}") from error


class _Guarded(Pending):
    def __init__(self, guard: GuardedEngine, pending: Pending) -> None:
        self._guard, self._pending = guard, pending

    def result(self) -> Outputs:
        return self._guard.call(self._pending.result)
