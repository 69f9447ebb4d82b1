"""A GStreamer pipeline in a process of its own, which delivers Matroska over a pipe.

`gst-launch-1.0` is on every Jetson; Python's wheels of OpenCV and FFmpeg hold no GStreamer. A
process can be ended however its camera hangs, and Matroska keeps the frames' times.
"""

import os
import select
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from av.container import InputContainer

from deploy.errors import SourceError
from deploy.sources.av_frames import open_stream
from deploy.sources.source import JPEG_QUALITY, STALL_S

PROGRAM = "gst-launch-1.0"
# What a pipeline may end in to have its JPEG passed through.
_JPEG_ENDS = ("jpegenc", "nvjpegenc", "vajpegenc", "image/jpeg")
_ENCODE = ["!", "videoconvert", "!", "jpegenc", f"quality={JPEG_QUALITY}"]
_QUEUE = ["!", "queue", "max-size-buffers=2", "leaky=downstream"]
_DELIVER = [*_QUEUE, "!", "matroskamux", "streamable=true", "!", "fdsink", "fd=1"]
_START_S = 10.0  # cameras take their time to start


class _Output:
    """What the process writes, as the file that FFmpeg reads from."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._descriptor = stream.fileno()
        self._patience_s = _START_S

    def read(self, size: int) -> bytes:
        ready, _, _ = select.select([self._descriptor], [], [], self._patience_s)
        if not ready:
            raise SourceError(f"pipeline is silent for {self._patience_s:.0f} s")
        self._patience_s = STALL_S
        return os.read(self._descriptor, size)


def command(pipeline: str) -> list[str]:
    """The arguments that run `pipeline`, a description as gst-launch-1.0 takes it without a sink.

    Raises SourceError for unbalanced quotes and where GStreamer is not installed.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise SourceError(f"{PROGRAM} is not installed; apt install gstreamer1.0-tools")
    try:
        words = shlex.split(pipeline)
    except ValueError as error:
        raise SourceError(f"pipeline {pipeline!r}: {error}; correct it") from error
    last = pipeline.rpartition("!")[2].strip()
    encode = [] if last.startswith(_JPEG_ENDS) else _ENCODE
    return [program, "--quiet", *words, *encode, *_DELIVER]


@contextmanager
def gstreamer(pipeline: str) -> Iterator[InputContainer]:
    """Run `pipeline` and open what it delivers; the process ends with the block.

    Raises SourceError, with GStreamer's own words, when it does not start.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command(pipeline),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # a Ctrl-C is for the loop, which then ends the pipeline
        )
        assert process.stdout is not None
        try:
            # Without buffer the first frame, by which FFmpeg knows the stream, is lost; not more.
            options = {"probesize": "32", "analyzeduration": "0", "fflags": "nobuffer"}
            output = _Output(process.stdout)
            with open_stream("pipeline", output, format="matroska", options=options) as container:
                yield container
        except SourceError as error:
            raise SourceError(f"{error}{_first_error(errors)}") from error
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _first_error(errors: IO[bytes]) -> str:
    """What GStreamer complained about first, in brackets."""
    errors.seek(0)
    lines = errors.read(1 << 16).decode(errors="replace").splitlines()
    found = next((line for line in lines if "ERROR" in line or "WARNING" in line), "")
    return f" ({found.strip()})" if found else ""
