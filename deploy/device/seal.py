"""The seal of a version: MANIFEST, which names every file of the folder that holds it.

One line for each file, sorted by path: its SHA-256, its size in bytes, its path. A symbolic link
has the hash of its target's name. What every file is was written once, when the package was
built; the device compares.
"""

import hashlib
import os
from pathlib import Path

from deploy.errors import DeployError

MANIFEST = "MANIFEST"
RELEASE = "release.json"


class SealError(DeployError):
    """A version is incomplete or not what was packaged."""


def seal(folder: Path) -> str:
    """Write the MANIFEST of `folder`; returns its SHA-256, which stands for the whole folder."""
    lines = [f"{_hash(folder / name)} {_size(folder / name)} {name}" for name in _files(folder)]
    content = "\n".join(lines) + "\n"
    (folder / MANIFEST).write_text(content, encoding="utf-8")
    return hashlib.sha256(content.encode()).hexdigest()


def check_sizes(folder: Path) -> None:
    """Every file is there with its size: quick enough for each start.

    Raises SealError for the first that is not.
    """
    for _, size, name in _entries(folder):
        path = folder / name
        if not os.path.lexists(path) or _size(path) != size:
            raise SealError(f"{path}: is missing or cut; install the package or an update again")


def check_all(folder: Path) -> str:
    """Every file has its bytes, and there is no other; returns the MANIFEST's SHA-256.

    Raises SealError for the first difference. Byte code that Python left does not count.
    """
    check_sizes(folder)
    entries = _entries(folder)
    for expected, _, name in entries:
        if _hash(folder / name) != expected:
            raise SealError(f"{folder / name}: has other bytes than packaged; install it again")
    unknown = sorted(set(_files(folder)) - {name for *_, name in entries})
    if unknown:
        raise SealError(f"{folder / unknown[0]}: was not packaged; install the version again")
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def _entries(folder: Path) -> list[tuple[str, int, str]]:
    path = folder / MANIFEST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        entries = []
        for line in lines:
            digest, size, name = line.split(" ", 2)
            entries.append((digest, int(size), name))
    except (OSError, ValueError) as error:
        raise SealError(f"{path}: no manifest that can be read; install the version again") from (
            error
        )
    if not entries:
        raise SealError(f"{path}: is empty; install the version again")
    return entries


def _files(folder: Path) -> list[str]:
    """Files and links below `folder`, MANIFEST and byte code aside, sorted."""
    names = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        names += [str((Path(root) / name).relative_to(folder)) for name in (*files, *links)]
    return sorted(name for name in names if name != MANIFEST)


def _hash(path: Path) -> str:
    if path.is_symlink():
        return hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.lstat().st_size
