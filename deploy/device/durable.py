"""Changes that a power cut can't leave half done, and that are on the disk when the call ends."""

import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replace `path` with `text` in one step."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    rename(fresh, path)


def point(link: Path, target: Path) -> None:
    """Make the symbolic link `link` show `target`, in one step if it shows another."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    rename(fresh, link)


def rename(source: Path, target: Path) -> None:
    """Move within a file system; what `target` was is gone in the same step."""
    source.replace(target)
    sync(target.parent)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Wait until every file and folder below `folder` is on the disk."""
    for root, _, files in os.walk(folder):
        for name in files:
            path = Path(root) / name
            if not path.is_symlink():
                sync(path)
        sync(Path(root))


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
