"""Feed: a thread that keeps one source running and brings its images to the inbox."""

import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from deploy.errors import DeployError
from deploy.log.reader import EncodedImage
from deploy.sources.source import Source

# After a loss the source is opened again, after longer and longer pauses, seconds.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0


class Receiver(Protocol):
    """What takes images; called from many threads."""

    def put(self, image: EncodedImage) -> None: ...

    def lost(self, cameras: tuple[str, ...], reason: str) -> None: ...


class Feed:
    """Runs `source` until `stop()`, or to its end if it is a recording."""

    def __init__(self, source: Source, receiver: Receiver) -> None:
        self._source = source
        self._receiver = receiver
        self._stop = threading.Event()
        self._frames: Counter[str] = Counter()
        self.losses = 0
        # A daemon: a camera that hangs in its driver must not keep the process.
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float = 0.0) -> None:
        """Let the source go with its next image, and wait that long for it."""
        self._stop.set()
        if wait_s:
            self._thread.join(wait_s)

    @property
    def running(self) -> bool:
        """Whether images may still come."""
        return self._thread.is_alive()

    def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stop.is_set():
            reason = "its stream ended"
            try:
                with closing(self._source.images()) as images:  # type: ignore[type-var]
                    for image in images:
                        self._deliver(image)
                        pause = FIRST_PAUSE_S
                        if self._stop.is_set():
                            return
            except DeployError as error:
                reason = str(error)
            except Exception as error:  # whatever a driver throws costs its camera, not the loop
                reason = f"{type(error).__name__}: {error}"
            self._receiver.lost(self._source.cameras, reason)
            if not self._source.live:
                return
            self.losses += 1
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _deliver(self, image: EncodedImage) -> None:
        if image.sequence is None:
            image = replace(image, sequence=self._frames[image.camera])
        self._frames[image.camera] += 1
        self._receiver.put(image)
