"""Recordings played as if they were live: a log, a video file, a folder of images."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from deploy.errors import LogError, SourceError
from deploy.log.reader import EncodedImage, LogReader
from deploy.loop.clock import SteadyClock
from deploy.sources.av_frames import encoded_frames, open_stream

_FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}


class Playback:
    """What all recordings of a run share: they start together, when the first image is due, and
    pass `rate` times as fast as they were recorded."""

    def __init__(self, clock: SteadyClock, rate: float = 1.0) -> None:
        self.rate = rate
        self._clock = clock
        self._start_ns: int | None = None
        self._lock = threading.Lock()

    def play(self, images: Iterator[EncodedImage], first_ns: int) -> Iterator[EncodedImage]:
        """Each image when it is due, with the stamp of now; recorded time `first_ns` is the
        start."""
        with self._lock:
            if self._start_ns is None:
                self._start_ns = self._clock.now_ns()
        for image in images:
            stamp = self._start_ns + round((image.stamp_ns - first_ns) / self.rate)
            time.sleep(max(0, stamp - self._clock.now_ns()) / 1e9)
            yield replace(image, stamp_ns=stamp, received_ns=self._clock.now_ns())


class LogSource:
    """All cameras of a log. Raises LogError, at once, when it can't be read."""

    live = False

    def __init__(self, path: Path, playback: Playback) -> None:
        self._reader = LogReader(path)
        self.rig = self._reader.rig
        self.cameras = self.rig.names
        self._playback = playback

    def images(self) -> Iterator[EncodedImage]:
        """See Source."""
        try:
            images = self._reader.images()
            first = next(images, None)
            if first is not None:
                yield from self._playback.play(_from(first, images), first.stamp_ns)
        except LogError as error:
            raise SourceError(str(error)) from error


class VideoSource:
    """One camera's video file; `loop`: from its start again at its end."""

    live = False

    def __init__(self, camera: str, path: Path, playback: Playback, loop: bool = False) -> None:
        if not path.is_file():
            raise SourceError(f"{path}: no such video file; check the path")
        self.cameras = (camera,)
        self._path, self._playback, self._loop = path, playback, loop

    def images(self) -> Iterator[EncodedImage]:
        """See Source."""
        yield from self._playback.play(self._images(), 0)

    def _images(self) -> Iterator[EncodedImage]:
        start_ns = last_ns = step_ns = 0
        while True:
            with open_stream(str(self._path), str(self._path)) as container:
                for stamp_ns, data in encoded_frames(str(self._path), container):
                    if stamp_ns is None:
                        raise SourceError(f"{self._path}: frames carry no time; remux it")
                    step_ns = start_ns + stamp_ns - last_ns
                    last_ns = start_ns + stamp_ns
                    yield EncodedImage(self.cameras[0], last_ns, data, "jpeg")
            if not self._loop or step_ns <= 0:
                return
            start_ns = last_ns + step_ns


class FolderSource:
    """One camera's images, in the order of their names; `loop` as VideoSource has it."""

    live = False

    def __init__(
        self, camera: str, folder: Path, rate_hz: float, playback: Playback, loop: bool = False
    ) -> None:
        if not folder.is_dir():
            raise SourceError(f"{folder}: no such folder of images; check the path")
        files = (path for path in folder.iterdir() if path.suffix.lower() in _FORMATS)
        self._files = sorted(files, key=lambda path: path.name)
        if not self._files:
            raise SourceError(f"{folder}: holds no image ({', '.join(_FORMATS)})")
        self.cameras = (camera,)
        self._period_ns = 1e9 / rate_hz
        self._playback, self._loop = playback, loop

    def images(self) -> Iterator[EncodedImage]:
        """See Source."""
        yield from self._playback.play(self._images(), 0)

    def _images(self) -> Iterator[EncodedImage]:
        count = 0
        while True:
            for path in self._files:
                try:
                    data = path.read_bytes()
                except OSError as error:
                    raise SourceError(f"{path}: can't be read ({error.strerror})") from error
                stamp_ns = round(count * self._period_ns)
                yield EncodedImage(self.cameras[0], stamp_ns, data, _FORMATS[path.suffix.lower()])
                count += 1
            if not self._loop:
                return


def _from(first: EncodedImage, others: Iterator[EncodedImage]) -> Iterator[EncodedImage]:
    yield first
    yield from others
