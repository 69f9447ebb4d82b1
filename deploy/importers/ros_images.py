"""Images of ROS messages as the bytes of a log's image.

Source: sensor_msgs/image_encodings.hpp, sensor_msgs/msg/Image and CompressedImage.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.importers.recording import to_jpeg

# Encoding -> bytes a pixel, OpenCV's conversion to BGR (None: it is grey or BGR already).
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    "mono8": (1, None),
    "8UC1": (1, None),
    "bgr8": (3, None),
    "8UC3": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2BGR_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2BGR),
}
_MAGIC = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png", b"RIFF": "webp"}


def encoded(message: Any) -> tuple[Callable[[], bytes], str]:
    """What gives the bytes of an Image or a CompressedImage, which keeps its own, and their format
    (jpeg, png, webp).

    Raises ValueError for what is no picture: depth, more than 8 bits, an unknown encoding.
    """
    if not hasattr(message, "encoding"):
        data = bytes(message.data)
        form = next((f for magic, f in _MAGIC.items() if data.startswith(magic)), None)
        if form is None:
            raise ValueError(f"format '{message.format}' is neither jpeg, png nor webp")
        return lambda: data, form
    return partial(to_jpeg, _pixels(message)), "jpeg"


def _pixels(message: Any) -> NDArray[np.uint8]:
    if message.encoding not in _ENCODINGS:
        raise ValueError(f"encoding '{message.encoding}' is not read, only {', '.join(_ENCODINGS)}")
    depth, conversion = _ENCODINGS[message.encoding]
    width, height, step = message.width, message.height, message.step
    if width * depth > step or step * height != len(message.data) or not message.data.size:
        raise ValueError(
            f"{width}x{height} {message.encoding} with rows of {step} bytes has"
            f" {len(message.data)} bytes"
        )
    # Rows may be padded.
    flat = np.asarray(message.data, np.uint8).reshape(height, step)[:, : width * depth]
    pixels = np.ascontiguousarray(flat.reshape(height, width, depth))
    if conversion is not None:
        pixels = np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)
    return pixels
