"""Light, weather and camera faults: what domain randomisation varies besides the world.

Wide, partly unrealistic ranges on purpose: a network that has seen every look treats the real
world as one more (Tremblay et al. 2018, "Training Deep Networks with Synthetic Data: Bridging
the Reality Gap by Domain Randomization").
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Light:
    """Linear RGB radiances; directions are unit vectors in the map frame."""

    sun_direction: np.ndarray  # towards the sun
    sun: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    cloud: float  # 0 clear .. 1 covered
    fog: float  # extinction per metre
    wet: float  # 0 dry .. 1 soaked
    lamps: float  # gain of everything that shines by itself
    shadow: float  # 0 none .. 1 hard black
    night: bool


def random_light(rng: np.random.Generator) -> Light:
    kind = rng.choice(["sunny", "overcast", "low", "haze", "dusk"], p=[0.4, 0.27, 0.14, 0.1, 0.09])
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = {
        "sunny": rng.uniform(0.45, 1.25),
        "overcast": rng.uniform(1.0, 1.5),
        "low": rng.uniform(0.12, 0.4),
        "haze": rng.uniform(0.4, 1.2),
        "dusk": rng.uniform(0.6, 1.4),
    }[kind]
    direction = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    warm = np.array([1.0, 0.93, 0.82]) if kind != "low" else np.array([1.0, 0.75, 0.48])
    sun = warm * {"sunny": 1.9, "overcast": 0.45, "low": 1.6, "haze": 0.8, "dusk": 0.06}[kind]
    ambient = {
        "sunny": np.array([0.34, 0.42, 0.55]),
        "overcast": np.array([0.72, 0.75, 0.8]),
        "low": np.array([0.3, 0.34, 0.45]),
        "haze": np.array([0.62, 0.64, 0.66]),
        "dusk": np.array([0.13, 0.14, 0.2]),
    }[kind]
    zenith = {
        "sunny": np.array([0.12, 0.28, 0.72]),
        "overcast": np.array([0.6, 0.64, 0.7]),
        "low": np.array([0.16, 0.28, 0.55]),
        "haze": np.array([0.55, 0.62, 0.72]),
        "dusk": np.array([0.05, 0.07, 0.16]),
    }[kind]
    horizon = {
        "sunny": np.array([0.6, 0.75, 0.95]),
        "overcast": np.array([0.85, 0.88, 0.92]),
        "low": np.array([0.95, 0.72, 0.5]),
        "haze": np.array([0.85, 0.86, 0.88]),
        "dusk": np.array([0.22, 0.2, 0.26]),
    }[kind]
    vary = lambda colour, spread: colour * rng.uniform(1 - spread, 1 + spread, 3)  # noqa: E731
    cloud = {
        "sunny": rng.uniform(0, 0.6),
        "overcast": rng.uniform(0.5, 1),
        "low": rng.uniform(0, 0.7),
    }
    fog = {"haze": 10 ** rng.uniform(-2.5, -1.9), "overcast": 10 ** rng.uniform(-3.4, -2.5)}
    return Light(
        sun_direction=direction,
        sun=vary(sun, 0.15),
        ambient=vary(ambient, 0.12),
        zenith=vary(zenith, 0.2) * rng.uniform(0.7, 1.2),
        horizon=vary(horizon, 0.12),
        cloud=float(cloud.get(str(kind), rng.uniform(0, 1))),
        fog=float(fog.get(str(kind), 10 ** rng.uniform(-4, -2.9))),
        wet=float(rng.uniform(0.3, 1) if rng.random() < (0.35 if kind != "sunny" else 0.06) else 0),
        lamps=6.0 if kind == "dusk" else 1.3,
        shadow={"overcast": 0.55, "dusk": 0.4, "haze": 0.6}.get(str(kind), rng.uniform(0.75, 1.0)),
        night=bool(kind == "dusk"),
    )


@dataclass(frozen=True)
class Exposure:
    """How one camera turns radiance into bytes. The defaults are a clean camera."""

    gain: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # RGB
    contrast: float = 1.0
    saturation: float = 1.0
    vignette: float = 0.0
    blur: float = 0.0  # sigma in pixels
    noise: float = 0.0  # sigma in grey levels
    seed: int = 0


def random_exposure(rng: np.random.Generator, strong: bool) -> Exposure:
    """`strong` for training pictures, mild for logs."""
    k = 1.0 if strong else 0.35
    return Exposure(
        gain=float(np.exp(rng.normal(0, 0.28 * k))),
        white_balance=tuple(np.exp(rng.normal(0, 0.07 * k, 3)).tolist()),
        contrast=float(np.exp(rng.normal(0, 0.15 * k))),
        saturation=float(np.clip(rng.normal(0.95, 0.3 * k), 0.0, 1.6)),
        vignette=float(rng.uniform(0, 0.35 * k)),
        blur=float(rng.uniform(0.5, 1.8) * k if rng.random() < 0.35 else 0.0),
        noise=float(rng.uniform(0, 9 * k) if rng.random() < 0.7 else 0.0),
        seed=int(rng.integers(2**31)),
    )


_GRAIN = np.random.default_rng(7).normal(0, 32, (1400, 1800)).clip(-127, 127).astype(np.int8)
"""Noise of sigma 32, cut at random places: far cheaper than drawing it anew for each picture."""


def developed(image: np.ndarray, exposure: Exposure) -> np.ndarray:
    """The camera's own faults put on a clean BGR picture (H, W, 3)."""
    height, width = image.shape[:2]
    if exposure.saturation != 1.0:
        grey = np.array([0.114, 0.587, 0.299])
        mix = exposure.saturation * np.eye(3) + (1 - exposure.saturation) * grey
        image = cv2.transform(image, mix)
    if exposure.contrast != 1.0:
        ramp = (np.arange(256) - 118.0) * exposure.contrast + 118.0
        image = cv2.LUT(image, np.clip(ramp, 0, 255).astype(np.uint8))
    if exposure.vignette > 0.02:
        x = np.linspace(-1, 1, width, dtype=np.float32) ** 2
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
        fall = 1 - exposure.vignette * (x + y) / 2
        image = cv2.multiply(image, cv2.merge([fall] * 3), dtype=cv2.CV_8U)
    if exposure.blur > 0.1:
        image = cv2.GaussianBlur(image, (0, 0), exposure.blur)
    if exposure.noise > 0.3:
        rng = np.random.default_rng(exposure.seed)
        rows, columns = _GRAIN.shape
        grain = np.tile(_GRAIN, (-(-height // rows), -(-width // columns)))
        top = int(rng.integers(grain.shape[0] - height + 1))
        left = int(rng.integers(grain.shape[1] - width + 1))
        grain = grain[top : top + height, left : left + width].astype(np.int16)
        coloured = cv2.merge([grain, np.roll(grain, 13, 1), np.roll(grain, 29, 0)])
        image = (
            cv2.addWeighted(image.astype(np.int16), 1.0, coloured, exposure.noise / 32.0, 0.0)
            .clip(0, 255)
            .astype(np.uint8)
        )
    return image
