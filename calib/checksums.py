"""SHA256SUMS: what the files of a folder are, as `sha256sum` writes and checks it."""

import hashlib
from pathlib import Path

SUMS = "SHA256SUMS"


def differs(path: Path) -> bool:
    """Whether a SHA256SUMS beside the file, links followed, says that it is another one. A file
    that it does not name, or no SHA256SUMS, says nothing. Raises OSError."""
    path = path.resolve()
    try:
        lines = path.with_name(SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return False
    stated = [line.split()[0] for line in lines if line.split()[1:] == [path.name]]
    return bool(stated) and stated != [hashlib.sha256(path.read_bytes()).hexdigest()]
