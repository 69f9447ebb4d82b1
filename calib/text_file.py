"""Text files, written so that nobody ever sees half of one."""

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 in one go, over an older file; missing folders are made. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
