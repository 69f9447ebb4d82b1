"""Training augmentation: one geometric warp, then photometric jitter.

Deterministic for a given numpy Generator. One affine matrix moves the image, the labels, the
boxes and the ground points, so they cannot disagree, and only the cropped window is ever
resampled, which keeps the cost at that of the crop.
"""

from dataclasses import replace
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from perception.data.normalise import padding_colour
from perception.data.sample import Objects, Sample
from perception.spec import ModelSpec
from perception.taxonomy import IGNORE

MIN_VISIBLE = 0.25
"""A box that keeps less than this part of its area inside the crop becomes `ignore`."""
MIN_HEIGHT = 5.0
"""Boxes lower than this many pixels become `ignore`."""

# Quantiles of the normal distribution: a table from a random byte to unit Gaussian noise, many
# times faster than drawing it.
_NORMAL = np.array([NormalDist().inv_cdf((k + 0.5) / 256) for k in range(256)], np.float32)

Image = npt.NDArray[np.uint8]


def augment(
    sample: Sample,
    spec: ModelSpec,
    *,
    height: int,
    width: int,
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> Sample:
    """A random crop of `width` x `height` pixels: scaled, maybe mirrored, other colours.

    `scale` is the range (log-uniform) of output pixels per input pixel; (0.5, 1.5) suits images
    that already have the network's size. Where the image does not fill the crop, the rest has
    the letterbox colour and the label IGNORE. Interpolation is bilinear without a low-pass
    filter, as at inference.
    """
    crop_from_image = random_crop(sample.image.shape, (height, width), scale, rng)
    warped = warp(sample, crop_from_image, height, width)
    coloured = photometric(warped.image, rng)
    outside = _outside(sample.image.shape, crop_from_image, height, width)
    coloured[outside] = padding_colour(spec)
    return replace(warped, image=coloured)


def random_crop(
    image_shape: tuple[int, ...],
    crop_shape: tuple[int, int],
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """(2, 3) affine `crop_from_image` in pixels (centres at integers): scale, shift, mirror.

    The crop lies inside the scaled image, or the image inside the crop, on each axis.
    """
    factor = float(np.exp(rng.uniform(*np.log(scale))))
    matrix = np.zeros((2, 3))
    for axis in (0, 1):  # x, y
        slack = image_shape[1 - axis] * factor - crop_shape[1 - axis]
        offset = rng.uniform(min(slack, 0.0), max(slack, 0.0))
        matrix[axis, axis] = factor
        matrix[axis, 2] = 0.5 * factor - 0.5 - offset
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += crop_shape[1] - 1
    return matrix


def warp(
    sample: Sample, crop_from_image: npt.NDArray[np.float64], height: int, width: int
) -> Sample:
    """Move image, labels and objects by a (2, 3) axis-aligned affine onto a new canvas.

    Beside the image its border is repeated, as a plain resize does, and the label is IGNORE.
    """
    size = (width, height)
    image: npt.NDArray[Any] = cv2.warpAffine(
        sample.image,
        crop_from_image,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    labels: npt.NDArray[Any] = cv2.warpAffine(
        sample.labels, crop_from_image, size, flags=cv2.INTER_NEAREST, borderValue=IGNORE
    )
    objects = warp_objects(sample.objects, crop_from_image, height, width)
    return replace(sample, image=image, labels=labels, objects=objects)


def warp_objects(
    objects: Objects, crop_from_image: npt.NDArray[np.float64], height: int, width: int
) -> Objects:
    """Move objects by a (2, 3) axis-aligned affine and clip their boxes to the new canvas.

    Objects wholly outside are dropped. One of which under MIN_VISIBLE remains, or that is lower
    than MIN_HEIGHT, becomes `ignore`: too little to learn from, but no background either.
    Ground points may lie outside.
    """
    corners = objects.boxes.reshape(-1, 2, 2) @ crop_from_image[:, :2].T + crop_from_image[:, 2]
    corners.sort(axis=1)  # mirroring swaps left and right
    clipped = np.clip(corners, -0.5, np.array([width, height]) - 0.5)
    size = clipped[:, 1] - clipped[:, 0]
    inside = size.prod(axis=1) / (corners[:, 1] - corners[:, 0]).prod(axis=1)
    ignore = objects.ignore | (inside < MIN_VISIBLE) | (size[:, 1] < MIN_HEIGHT)
    ground_points = objects.ground_points @ crop_from_image[:, :2].T + crop_from_image[:, 2]
    keep = inside > 0
    return Objects(
        boxes=clipped[keep].reshape(-1, 4).astype(np.float32),
        classes=objects.classes[keep],
        ground_points=ground_points[keep].astype(np.float32),
        ignore=ignore[keep],
    )


def photometric(image: npt.NDArray[Any], rng: np.random.Generator) -> Image:
    """Random blur, exposure, contrast, gamma, white balance, saturation, hue, noise, JPEG.

    Everything that acts on single values is one look-up table, everything that mixes colours
    one 3x3 matrix.
    """
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.9:
        image = cv2.LUT(image, _tone_curves(float(np.mean(cv2.mean(image)[:3])) / 255, rng))
    if rng.random() < 0.7:
        image = cv2.transform(image, _hue_saturation(rng))
    if rng.random() < 0.3:
        image = _noisy(image, rng.uniform(1.0, 10.0), rng)
    if rng.random() < 0.15:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))]
        encoded = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return image


def _tone_curves(mean: float, rng: np.random.Generator) -> Image:
    """(1, 256, 3) look-up table of each channel: gain, gamma, contrast about `mean`, brightness.

    `mean` and the values are parts of 1. Contrast turns about the image's own mean, so that
    dark images keep their detail.
    """
    gain = np.exp(rng.uniform(-0.3, 0.3)) * rng.uniform(0.9, 1.1, 3)  # exposure, white balance
    gamma = np.exp(rng.uniform(-0.4, 0.4))
    contrast = rng.uniform(0.7, 1.3)
    brightness = rng.uniform(-0.08, 0.08)
    value = np.linspace(0, 1, 256)[:, None] * gain
    pivot = mean**gamma
    curve = (value**gamma - pivot) * contrast + pivot + brightness
    return np.clip(np.rint(255 * curve), 0, 255).astype(np.uint8)[None]


def _hue_saturation(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """(3, 3) matrix that keeps grey fixed, turns hue by up to 18 degrees, scales saturation.

    A rotation about the grey axis of the colour cube (Rodrigues' formula), its component off
    that axis scaled.
    """
    angle = rng.uniform(-0.1, 0.1) * np.pi
    saturation = rng.uniform(0.5, 1.5)
    grey = np.full((3, 3), 1 / 3)
    turn = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    off_axis = np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * turn
    return (grey + saturation * off_axis).astype(np.float32)


def _noisy(image: npt.NDArray[Any], sigma: float, rng: np.random.Generator) -> npt.NDArray[Any]:
    random_bytes = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    noise = cv2.LUT(random_bytes, np.rint(sigma * _NORMAL).astype(np.int16))
    return cv2.add(image, noise, dtype=cv2.CV_8U)


def _outside(
    image_shape: tuple[int, ...],
    crop_from_image: npt.NDArray[np.float64],
    height: int,
    width: int,
) -> npt.NDArray[np.bool_]:
    """(height, width) mask of crop pixels whose centre lies on no image pixel."""
    axes = []
    for axis, (crop_size, image_size) in enumerate(
        ((width, image_shape[1]), (height, image_shape[0]))
    ):
        position = (np.arange(crop_size) - crop_from_image[axis, 2]) / crop_from_image[axis, axis]
        axes.append((position < -0.5) | (position > image_size - 0.5))
    return axes[1][:, None] | axes[0][None, :]
