"""What a check says about a camera."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How grave it is."""

    NOTE = 0
    DOUBTFUL = 1
    BAD = 2


@dataclass(frozen=True)
class Finding:
    """`text` is a clause about the camera, such as 'it is mounted upside down'."""

    level: Level
    text: str
