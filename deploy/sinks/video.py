"""Pictures written as an H.264 video that browsers play."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av

from deploy.sinks.drawing import Image

TIME_BASE = Fraction(1, 90_000)  # the usual clock of video containers


class VideoWriter:
    """One mp4 file. `size`: width and height, even. `options`: of libx264, such as crf."""

    def __init__(
        self, path: Path, size: tuple[int, int], rate_hz: float, options: Mapping[str, str]
    ) -> None:
        self.size = size
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        rate = Fraction(rate_hz).limit_denominator(1000)
        self._stream = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"  # the only layout that every browser decodes
        self._stream.codec_context.time_base = TIME_BASE
        self._stream.options = dict(options)
        self._first_stamp: int | None = None
        self._last_pts = -1

    def write(self, picture: Image, stamp_ns: int) -> None:
        """Append one picture (height, width, 3) BGR, shown at its stamp: what was dropped leaves
        its gap. The first one is at time 0."""
        if self._first_stamp is None:
            self._first_stamp = stamp_ns
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        elapsed_ns = stamp_ns - self._first_stamp
        pts = max(int(elapsed_ns * TIME_BASE.denominator / 1e9), self._last_pts + 1)  # must grow
        frame.pts, frame.time_base, self._last_pts = pts, TIME_BASE, pts
        self._container.mux(self._stream.encode(frame))

    def close(self, finish: bool) -> None:
        """End the file; `finish` it, or leave it broken after an error."""
        if finish and self._first_stamp is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
