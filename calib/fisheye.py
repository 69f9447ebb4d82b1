"""Fisheye camera: the equidistant model of Kannala and Brandt.

Source: J. Kannala, S. S. Brandt, "A generic camera model and calibration method for conventional,
wide-angle, and fish-eye lenses", PAMI 2006; four coefficients as in OpenCV's fisheye module, which
stops at 90 degrees off the axis; here the angle may go on to 180 degrees.
"""

from functools import cached_property

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from calib.pinhole import MAX_ITERATIONS, TOLERANCE, smallest_positive_root


class KannalaBrandt:
    """Plane radius = t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8), t the angle off the axis."""

    def __init__(self, coefficients: tuple[float, ...]) -> None:
        k1, k2, k3, k4 = coefficients
        self.radius_of_angle = Polynomial([0, 1, 0, k1, 0, k2, 0, k3, 0, k4])
        self.slope_of_angle = self.radius_of_angle.deriv()

    @cached_property
    def angle_limit(self) -> float:
        """Radians off the axis up to which the plane radius grows, at most pi."""
        return min(smallest_positive_root(self.slope_of_angle), np.pi)

    def project(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Camera-frame points (..., 3) to plane points (..., 2) and where they are valid (...)."""
        off_axis = np.hypot(points[..., 0], points[..., 1])
        angle = np.arctan2(off_axis, points[..., 2])
        with np.errstate(all="ignore"):
            scale = self.radius_of_angle(angle) / off_axis
            scale = np.where(off_axis > 0, scale, 0.0)  # on the axis: the image centre
            plane = points[..., :2] * scale[..., None]
        valid = (angle < self.angle_limit) & ((off_axis > 0) | (points[..., 2] > 0))
        return plane, valid

    def unproject(self, plane: NDArray[np.float64]) -> NDArray[np.float64]:
        """Plane points (..., 2) to unit rays (..., 3), NaN where there is no inverse."""
        radius = np.linalg.norm(plane, axis=-1)
        angle = self._angle(radius)
        with np.errstate(all="ignore"):
            direction = np.where(radius[..., None] > 0, plane / radius[..., None], 0.0)
        return np.concatenate(
            [direction * np.sin(angle)[..., None], np.cos(angle)[..., None]], axis=-1
        )

    def _angle(self, radius: NDArray[np.float64]) -> NDArray[np.float64]:
        """Newton's method in one dimension, started from a table."""
        angles = np.linspace(0.0, self.angle_limit, 1024)
        with np.errstate(all="ignore"):
            angle = np.interp(radius, self.radius_of_angle(angles), np.asarray(angles))
            for _ in range(MAX_ITERATIONS):
                residual = radius - self.radius_of_angle(angle)
                if np.nanmax(np.abs(residual), initial=0.0) < TOLERANCE / 100:
                    break
                angle = angle + residual / self.slope_of_angle(angle)
            found = np.abs(radius - self.radius_of_angle(angle)) < TOLERANCE
        found &= (angle >= 0) & (angle < self.angle_limit)
        return np.where(found, angle, np.nan)
