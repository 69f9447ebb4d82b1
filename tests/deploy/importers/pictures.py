"""Small videos and pictures that tests write: each frame's brightness tells which one it is."""

from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 64, 48


def grey(level: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def write_clip(path: Path, levels: list[int], rate: int = 10, codec: str = "libx264") -> Path:
    """A video of plain grey frames. A name in .hevc gives a raw stream, as openpilot writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=error:bframes=0"}
        for level in levels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(level), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def level(data: bytes) -> int:
    """Brightness of an encoded image."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return round(float(image.mean()))


def jpeg(shade: int) -> bytes:
    return cv2.imencode(".jpg", grey(shade))[1].tobytes()


def png(shade: int) -> bytes:
    return cv2.imencode(".png", grey(shade))[1].tobytes()
