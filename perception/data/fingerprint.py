"""Fingerprints of images, so that no image is both trained on and scored."""

import hashlib

import numpy as np
import numpy.typing as npt

DIGITS = 16


def fingerprint(image: npt.NDArray[np.uint8]) -> str:
    """DIGITS hexadecimal digits of the SHA-256 of an image's size and decoded pixels.

    A renamed or losslessly saved copy has the same fingerprint.
    """
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()[:DIGITS]
