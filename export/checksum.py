"""Checksum: an ONNX file whose last bytes are the SHA-256 of all bytes before them.

They are an entry of the model's metadata like any other: in protobuf the elements of a repeated
field may stand apart, the last ones at the end of the message
(https://protobuf.dev/programming-guides/encoding/#order). A weight that a bad disk or a cut
transfer has changed is a number as good as any, and no runtime notices.
"""

import hashlib
from pathlib import Path

from perception.spec import CHECKSUM_KEY

_DIGITS = 2 * hashlib.sha256().digest_size
# ModelProto.metadata_props is field 14; of its entries key and value are fields 1 and 2; each is
# a tag, the number of bytes, the bytes.
_PAIR = b"\x0a" + bytes([len(CHECKSUM_KEY)]) + CHECKSUM_KEY.encode() + b"\x12" + bytes([_DIGITS])
_HEAD = b"\x72" + bytes([len(_PAIR) + _DIGITS]) + _PAIR
SIZE = len(_HEAD) + _DIGITS
"""Bytes of the entry."""


def seal(path: Path) -> None:
    """Append the checksum to a model's file that has none. Raises OSError."""
    content = path.read_bytes()
    path.write_bytes(content + _HEAD + hashlib.sha256(content).hexdigest().encode())


def is_sealed(content: bytes | bytearray) -> bool:
    """Whether a model's file ends with a checksum, right or not."""
    return content[-SIZE:].startswith(_HEAD)


def damage(content: bytes) -> str:
    """How a model's file differs from what was sealed, "" if it does not or has no checksum."""
    if not is_sealed(content):
        return ""
    model, entry = content[:-SIZE], content[-SIZE:]
    sealed, found = entry[len(_HEAD) :].decode(errors="replace"), hashlib.sha256(model).hexdigest()
    if sealed == found:
        return ""
    return f"its SHA-256 is {found[:12]}, it was {sealed[:12]} when it was exported"
