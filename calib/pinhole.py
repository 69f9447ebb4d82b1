"""Pinhole camera with Brown-Conrady distortion, as OpenCV defines it.

Source: D. C. Brown, "Decentering distortion of lenses" (1966), with the rational radial term of
OpenCV's calib3d module. Works on the normalised image plane: pixel = focal length * plane + centre.
"""

from functools import cached_property

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

# Residual on the normalised plane below which an inverse counts as found.
TOLERANCE = 1e-10
MAX_ITERATIONS = 20


class BrownConrady:
    """Distortion with coefficients k1 k2 p1 p2 [k3 [k4 k5 k6]], missing ones zero."""

    def __init__(self, coefficients: tuple[float, ...]) -> None:
        k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, *[0.0] * (8 - len(coefficients)))
        self.tangential = p1, p2
        # Radial factor = numerator / denominator, polynomials in the squared radius.
        self.numerator = Polynomial([1.0, k1, k2, k3])
        self.denominator = Polynomial([1.0, k4, k5, k6])
        self.identity = not any(coefficients)

    @cached_property
    def squared_radius_limit(self) -> float:
        """Squared undistorted radius where the distorted radius stops growing, infinity if never.

        Beyond it the polynomials fold the scene back into the image, which no lens does.
        """
        n, d = self.numerator, self.denominator
        # d/dr (r n/d) has the sign of this polynomial in s = r^2.
        slope = n * d + Polynomial([0.0, 2.0]) * (n.deriv() * d - n * d.deriv())
        return min(smallest_positive_root(slope), smallest_positive_root(d))

    def project(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Camera-frame points (..., 3) to plane points (..., 2) and where they are valid (...)."""
        z = points[..., 2]
        with np.errstate(all="ignore"):
            xy = points[..., :2] / z[..., None]
            if self.identity:
                return xy, (z > 0) & np.isfinite(xy).all(axis=-1)
            plane, jacobian = self._distort(xy)
            return plane, (z > 0) & self._valid(xy, jacobian)

    def unproject(self, plane: NDArray[np.float64]) -> NDArray[np.float64]:
        """Plane points (..., 2) to unit rays (..., 3), NaN where there is no inverse."""
        xy = plane if self.identity else self._undistort(plane)
        rays = np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1)
        rays[np.isnan(xy).any(axis=-1)] = np.nan
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    def _undistort(self, plane: NDArray[np.float64]) -> NDArray[np.float64]:
        """Newton's method in two dimensions, started from a table of the radial part."""
        radii, distorted = self._radial_table
        radius = np.linalg.norm(plane, axis=-1)
        with np.errstate(all="ignore"):
            scale = np.where(radius > 0, np.interp(radius, distorted, radii) / radius, 1.0)
            xy = plane * scale[..., None]
            for _ in range(MAX_ITERATIONS):
                value, (a, b, d) = self._distort(xy)
                residual = plane - value
                if np.nanmax(np.abs(residual), initial=0.0) < TOLERANCE / 100:
                    break
                step_x = d * residual[..., 0] - b * residual[..., 1]
                step_y = a * residual[..., 1] - b * residual[..., 0]
                xy = xy + np.stack([step_x, step_y], axis=-1) / (a * d - b * b)[..., None]
            value, jacobian = self._distort(xy)
            found = (np.abs(plane - value) < TOLERANCE).all(axis=-1) & self._valid(xy, jacobian)
        return np.where(found[..., None], xy, np.nan)

    def _distort(
        self, xy: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], ...]]:
        """Distorted plane points (..., 2) and the entries a, b, d of the symmetric Jacobian
        [[a, b], [b, d]]."""
        x, y = xy[..., 0], xy[..., 1]
        p1, p2 = self.tangential
        s = x * x + y * y
        numerator, numerator_slope = _value_and_slope(self.numerator, s)
        denominator, denominator_slope = _value_and_slope(self.denominator, s)
        radial = numerator / denominator
        slope = (numerator_slope - radial * denominator_slope) / denominator
        value = np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x),
                y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=-1,
        )
        jacobian = (
            radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x,
            2 * x * y * slope + 2 * p1 * x + 2 * p2 * y,
            radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x,
        )
        return value, jacobian

    def _valid(
        self, xy: NDArray[np.float64], jacobian: tuple[NDArray[np.float64], ...]
    ) -> NDArray[np.bool_]:
        """Inside the radius limit, and not folded by the tangential terms either: the symmetric
        Jacobian is positive definite."""
        a, b, d = jacobian
        inside = (xy**2).sum(axis=-1) < self.squared_radius_limit
        return inside & (a > 0) & (a * d - b * b > 0)

    @cached_property
    def _radial_table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Undistorted and distorted radii, both rising, for a good first guess of the inverse."""
        last = min(np.arctan(np.sqrt(self.squared_radius_limit)), np.radians(89.9))
        # Without the end itself: the distorted radius may be infinite there.
        radii = np.tan(np.linspace(0.0, last, 1024, endpoint=False))
        return radii, radii * self.numerator(radii**2) / self.denominator(radii**2)


def _value_and_slope(
    polynomial: Polynomial, s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cubic and its derivative by Horner's rule: for a few points, as the loop has them, several
    times as fast as Polynomial's own call."""
    c0, c1, c2, c3 = polynomial.coef.tolist()
    return ((c3 * s + c2) * s + c1) * s + c0, (3 * c3 * s + 2 * c2) * s + c1


def smallest_positive_root(polynomial: Polynomial) -> float:
    """The smallest positive real root, infinity when there is none.

    The constant term must not be zero: roots are found as reciprocals, with the constant as the
    leading coefficient, so that tiny highest coefficients do no harm.
    """
    reciprocals = Polynomial(polynomial.coef[::-1]).roots()
    # A computed real root carries rounding in its imaginary part.
    real = reciprocals[np.abs(reciprocals.imag) <= 1e-9 * np.abs(reciprocals)].real
    return float(1 / real.max()) if (real > 0).any() else np.inf
