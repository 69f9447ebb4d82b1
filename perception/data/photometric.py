"""The operations of a policy that change light and leave the scene where it is.

Each takes an image (H, W, 3) uint8 BGR, its settings and a numpy Generator, and returns the
changed image, never writing to its input.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from perception.data.policy import (
    Blur,
    Colour,
    Dirt,
    Haze,
    Jpeg,
    Noise,
    Policy,
    Shadow,
    Sharpen,
    Tone,
)

Image = npt.NDArray[np.uint8]

# Quantiles of the normal distribution: a table from a random byte to unit Gaussian noise, many
# times faster than drawing it.
_NORMAL = np.array([NormalDist().inv_cdf((k + 0.5) / 256) for k in range(256)], np.float32)


def photometric(frames: Sequence[Image], policy: Policy, rng: np.random.Generator) -> list[Image]:
    """Apply the policy's operations, each with its probability, to frames of one camera.

    All frames get the same shade, dirt and look, but noise of their own.
    """
    changed = list(frames)
    for name, apply in _OPERATIONS.items():
        settings = getattr(policy, name)
        if settings is not None and rng.random() < settings.probability:
            again = [rng if apply is _noise else copy.deepcopy(rng) for _ in changed[1:]]
            changed = [
                apply(frame, settings, draws)
                for frame, draws in zip(changed, (rng, *again), strict=True)
            ]
    return changed


def _shadow(image: Image, settings: Shadow, rng: np.random.Generator) -> Image:
    rows, columns = _grid(image)
    height, width = image.shape[:2]
    angle = rng.uniform(0, math.pi)
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    from_axis = np.abs((columns - x) * math.cos(angle) + (rows - y) * math.sin(angle))
    half_width = rng.uniform(0.1, 0.5) * min(height, width)
    penumbra = rng.uniform(1.0, 0.1 * min(height, width) + 1.0)
    shade = np.clip((half_width - from_axis) / penumbra, 0, 1) * rng.uniform(*settings.darkness)
    return _blend(image, (0, 0, 0), shade)


def _haze(image: Image, settings: Haze, rng: np.random.Generator) -> Image:
    corners = rng.uniform(*settings.density, (2, 2)).astype(np.float32)
    density = cv2.resize(corners, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    grey = rng.uniform(140, 235)
    return _blend(image, (grey, grey, grey), np.asarray(density))


def _dirt(image: Image, settings: Dirt, rng: np.random.Generator) -> Image:
    rows, columns = _grid(image)
    height, width = image.shape[:2]
    cover = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(1, 5)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        radius = rng.uniform(*settings.radius) * min(height, width) + 1e-3  # not 0: divided by
        distance = ((columns - x) ** 2 + (rows - y) ** 2) / radius**2
        spot = np.minimum(2 * np.exp2(-distance), 1)  # flat within the radius, then out of focus
        cover = np.maximum(cover, spot * rng.uniform(0.5, 1.0))
    red = rng.uniform(20, 120)
    return _blend(image, (0.8 * red, 0.9 * red, red), cover)


def _blur(image: Image, settings: Blur, rng: np.random.Generator) -> Image:
    sigma = rng.uniform(*settings.sigma)
    if sigma == 0:  # to OpenCV this means: choose one
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def _tone(image: Image, settings: Tone, rng: np.random.Generator) -> Image:
    """One look-up table. Contrast turns about the image's own mean, so that dark images keep
    their detail."""
    mean = float(np.mean(cv2.mean(image)[:3])) / 255
    gain = np.exp(_about(0, settings.exposure, rng)) * _about(1, settings.white_balance, rng, 3)
    gamma = np.exp(_about(0, settings.gamma, rng))
    contrast = _about(1, settings.contrast, rng)
    brightness = _about(0, settings.brightness, rng)
    value = np.linspace(0, 1, 256)[:, None] * gain
    pivot = mean**gamma
    curve = (value**gamma - pivot) * contrast + pivot + brightness
    table = np.clip(np.rint(255 * curve), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def _colour(image: Image, settings: Colour, rng: np.random.Generator) -> Image:
    """One 3x3 matrix: a rotation about the grey axis of the colour cube (Rodrigues' formula),
    its component off that axis scaled."""
    angle = np.radians(_about(0, settings.hue, rng))
    saturation = _about(1, settings.saturation, rng)
    grey = np.full((3, 3), 1 / 3)
    turn = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    off_axis = np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * turn
    matrix = (grey + saturation * off_axis).astype(np.float32)
    return np.asarray(cv2.transform(image, matrix), np.uint8)


def _noise(image: Image, settings: Noise, rng: np.random.Generator) -> Image:
    sigma = rng.uniform(*settings.sigma)
    random_bytes = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    noise = cv2.LUT(random_bytes, np.rint(sigma * _NORMAL).astype(np.int16))
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


def _sharpen(image: Image, settings: Sharpen, rng: np.random.Generator) -> Image:
    amount = rng.uniform(*settings.amount)
    soft = cv2.GaussianBlur(image, (0, 0), 1.0)
    return np.asarray(cv2.addWeighted(image, 1 + amount, soft, -amount, 0), np.uint8)


def _jpeg(image: Image, settings: Jpeg, rng: np.random.Generator) -> Image:
    worst, best = (round(100 - loss) for loss in reversed(settings.loss))
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(worst, best, endpoint=True))]
    encoded = cv2.imencode(".jpg", image, quality)[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


# In the order in which light meets them: the street, the lens, the sensor, its processor, the
# link. Draws of the generator follow this order too.
_OPERATIONS: Mapping[str, Callable[[Image, Any, np.random.Generator], Image]] = {
    "shadow": _shadow,
    "haze": _haze,
    "dirt": _dirt,
    "blur": _blur,
    "tone": _tone,
    "colour": _colour,
    "noise": _noise,
    "sharpen": _sharpen,
    "jpeg": _jpeg,
}


def _about(
    middle: float, magnitude: float, rng: np.random.Generator, size: int | None = None
) -> Any:
    """A number, or `size` numbers, at most `magnitude` from `middle`."""
    return rng.uniform(middle - magnitude, middle + magnitude, size)


def _grid(image: Image) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Rows (H, 1) and columns (1, W) of the pixels."""
    height, width = image.shape[:2]
    return (
        np.arange(height, dtype=np.float32)[:, None],
        np.arange(width, dtype=np.float32)[None, :],
    )


def _blend(image: Image, colour: tuple[float, float, float], alpha: npt.NDArray[Any]) -> Image:
    """`colour` (BGR) over the image, with weight `alpha` (H, W) float32 in 0..1."""
    flat = np.full_like(image, colour)
    return np.asarray(cv2.blendLinear(image, flat, 1 - alpha, alpha), np.uint8)
