"""What a format is to the rest: how a file is recognised, read and written."""

from collections.abc import Callable
from dataclasses import dataclass

from calib.formats.cameras import CameraSet
from calib.formats.document import Document, Given


@dataclass(frozen=True)
class Written:
    """The text of a file, and what of the cameras it can't hold, a line each."""

    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """`key`: its name on the command line; `title`: what people call it.

    `single`: a file holds one camera, so several go to a folder. `has_pose`: it says where cameras
    stand. `read` and `write` raise CalibError, less the file's name: for what is malformed, and
    for cameras that the file would make wrong ones of.
    """

    key: str
    title: str
    suffix: str
    single: bool
    has_pose: bool
    matches: Callable[[Document], bool]
    read: Callable[[Document, Given], CameraSet]
    write: Callable[[CameraSet], Written]


def has_keys(document: Document, *keys: str) -> bool:
    return isinstance(document.content, dict) and all(key in document.content for key in keys)
