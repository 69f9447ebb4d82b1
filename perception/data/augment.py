"""Training augmentation: one geometric warp, then the policy's photometric operations.

Deterministic for a given numpy Generator. One affine matrix moves the image, the labels, the
boxes and the ground points, so they cannot disagree, and only the cropped window is ever
resampled, which keeps the cost at that of the crop.
"""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from perception.data.normalise import padding_colour
from perception.data.photometric import photometric
from perception.data.policy import Policy
from perception.data.sample import Objects, Sample
from perception.spec import ModelSpec
from perception.taxonomy import IGNORE

MIN_VISIBLE = 0.25
"""A box that keeps less than this part of its area inside the crop becomes `ignore`."""
MIN_HEIGHT = 5.0
"""Boxes lower than this many pixels become `ignore`."""


def augment(
    sample: Sample,
    spec: ModelSpec,
    policy: Policy,
    *,
    fit: float,
    height: int,
    width: int,
    rng: np.random.Generator,
) -> Sample:
    """A random crop of `width` x `height` pixels: scaled, maybe mirrored, in another light.

    `fit` is the number of output pixels per input pixel where the policy's scale is 1: that of
    inference, where the camera's bucket shows the image to the network. Where the image does
    not fill the crop, the rest has the letterbox colour and the label IGNORE. Interpolation is
    bilinear without a low-pass filter, as at inference.
    """
    scale = fit * policy.scale[0], fit * policy.scale[1]
    crop_from_image = random_crop(sample.image.shape, (height, width), scale, policy.mirror, rng)
    warped = warp(sample, crop_from_image, height, width)
    frames = [warped.image] if warped.previous is None else [warped.image, warped.previous]
    coloured = photometric(frames, policy, rng)
    outside = _outside(sample.image.shape, crop_from_image, height, width)
    for frame in coloured:
        frame[outside] = padding_colour(spec)
    return replace(warped, image=coloured[0], previous=coloured[1] if coloured[1:] else None)


def random_crop(
    image_shape: tuple[int, ...],
    crop_shape: tuple[int, int],
    scale: tuple[float, float],
    mirror: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """(2, 3) affine `crop_from_image` in pixels (centres at integers): scale, shift, mirror.

    The crop is cut at whole pixels from the scaled image, or the image lies inside the crop, on
    each axis. `mirror` is the probability of a left-right flip.
    """
    factor = float(np.exp(rng.uniform(*np.log(scale))))
    matrix = np.zeros((2, 3))
    for axis in (0, 1):  # x, y
        slack = image_shape[1 - axis] * factor - crop_shape[1 - axis]
        offset = round(rng.uniform(min(slack, 0.0), max(slack, 0.0)))
        matrix[axis, axis] = factor
        matrix[axis, 2] = 0.5 * factor - 0.5 - offset
    if rng.random() < mirror:
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

    def warped(image: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        return cv2.warpAffine(
            image,
            crop_from_image,
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    labels: npt.NDArray[Any] = cv2.warpAffine(
        sample.labels, crop_from_image, size, flags=cv2.INTER_NEAREST, borderValue=IGNORE
    )
    objects = warp_objects(sample.objects, crop_from_image, height, width)
    previous = None if sample.previous is None else warped(sample.previous)
    return replace(
        sample, image=warped(sample.image), labels=labels, objects=objects, previous=previous
    )


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
