"""Rotation matrices <-> unit quaternions, in the order x, y, z, w everywhere here."""

import numpy as np

# How far from 1 the length of a quaternion may be that somebody wrote down with few digits.
_LENGTH_TOLERANCE = 1e-3


def to_quaternion(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w), w >= 0, of a (3, 3) rotation.

    Shepperd's method (Shepperd, "Quaternion from rotation matrix", 1978): divides by the largest
    component, so it is accurate for every angle including half turns.
    """
    r = np.asarray(rotation, float)
    trace = r[0, 0] + r[1, 1] + r[2, 2]
    largest = int(np.argmax([r[0, 0], r[1, 1], r[2, 2], trace]))
    q = np.empty(4)
    if largest == 3:
        q[:] = (r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], 1 + trace)
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        q[i] = 1 + 2 * r[i, i] - trace
        q[j] = r[i, j] + r[j, i]
        q[k] = r[i, k] + r[k, i]
        q[3] = r[k, j] - r[j, k]
    q /= np.linalg.norm(q) * (-1.0 if q[3] < 0 else 1.0)
    x, y, z, w = (float(value) for value in q)
    return x, y, z, w


def from_quaternion(x: float, y: float, z: float, w: float) -> np.ndarray:
    """(3, 3) rotation of a quaternion of any nonzero length.

    Raises:
        ValueError: the quaternion is zero or not finite.
    """
    q = np.array([x, y, z, w], float)
    length = float(np.linalg.norm(q))
    if not np.isfinite(length) or length < 1e-9:
        raise ValueError(f"quaternion ({x}, {y}, {z}, {w}) is not a rotation")
    x, y, z, w = q / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def from_unit_quaternion(x: float, y: float, z: float, w: float) -> np.ndarray:
    """(3, 3) rotation of a unit quaternion out of a file.

    Raises:
        ValueError: its length is not 1, so its numbers are something else.
    """
    length = float(np.linalg.norm([x, y, z, w]))
    if not abs(length - 1) <= _LENGTH_TOLERANCE:
        raise ValueError(
            f"quaternion x {x}, y {y}, z {z}, w {w} is not a rotation, its length is {length:.4g};"
            " give one of length 1"
        )
    return from_quaternion(x, y, z, w)


def to_matrix(
    position: tuple[float, float, float], quaternion: tuple[float, float, float, float]
) -> np.ndarray:
    """(4, 4) transform of a position in metres and a quaternion (x, y, z, w)."""
    matrix = np.eye(4)
    matrix[:3, :3] = from_quaternion(*quaternion)
    matrix[:3, 3] = position
    return matrix
