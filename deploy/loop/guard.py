"""Guard: an engine that hangs or throws becomes an EngineError within a time limit."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError

import numpy as np
from numpy.typing import NDArray

from deploy.errors import EngineError
from deploy.loop.engine import Engine
from perception.spec import ModelSpec

LIMIT_S = 2.0


class GuardedEngine:
    """`engine` with a time limit, `limit_s`, on each call. While a call hangs, every other one
    fails at once; when it comes back, its result is thrown away and the engine works again."""

    def __init__(self, engine: Engine, limit_s: float = LIMIT_S) -> None:
        self._engine = engine
        self._limit_s = limit_s
        self._thread = ThreadPoolExecutor(1, "guard")
        self._hanging: Future[dict[str, NDArray[np.generic]]] | None = None

    @property
    def spec(self) -> ModelSpec:
        return self._engine.spec

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._engine.metadata

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def threads(self) -> int:
        return self._engine.threads

    @property
    def hangs(self) -> bool:
        """Whether a call has not come back within the limit."""
        return self._hanging is not None and not self._hanging.done()

    def infer(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
        """See `Engine.infer`. Raises EngineError for whatever goes wrong."""
        if self.hangs:
            raise EngineError(f"{self.name} still hangs in a call; the process needs a restart")
        call = self._thread.submit(self._engine.infer, images)
        try:
            return call.result(self._limit_s)
        except LateError as error:
            self._hanging = call
            raise EngineError(f"{self.name} gave nothing within {self._limit_s:g} s") from error
        except EngineError:
            raise
        except Exception as error:  # a runtime's exceptions share no other base
            raise EngineError(f"{self.name}: {type(error).__name__}: {error}") from error
