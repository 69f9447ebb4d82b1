"""Files of a folder that somebody else made: what its tables name must lie inside it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from deploy.errors import LogError

Content = TypeVar("Content")
_STEP = 1 << 20  # characters read at once
_LONGEST = 1 << 24  # of one record; the longest of the known tables have a few hundred


def inside(folder: Path, name: str) -> Path:
    """The file that a table calls `name`, below `folder`.

    Raises LogError for a name that leads out of it: an absolute one, one with too many `..`, or
    a link to somewhere else.
    """
    path = folder / name
    try:
        lies_inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a loop of links, a zero byte
        lies_inside = False
    if not lies_inside:
        raise LogError(
            f"{folder}: a file is given as {name[:200]!r}, which leads out of the folder; "
            "nothing outside is read"
        )
    return path


def read_bytes(path: Path) -> bytes:
    """Content of a regular file. Raises LogError if it can't be read."""
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for ever
            raise LogError(f"{path}: is no file; restore the recording")
        return path.read_bytes()
    except OSError as error:
        raise LogError(
            f"{path}: can't be read ({error.strerror}); restore the recording"
        ) from error


def load(path: Path, model: type[Content], what: str) -> Content:
    """A JSON file, checked against the type. `what` it should be, for the error.

    Raises:
        LogError: the file is missing, not JSON, or not of the type.
    """
    try:
        return TypeAdapter(model).validate_json(read_bytes(path))
    except ValidationError as error:
        raise LogError(f"{path}: not {what}: {_first(error)}; restore the recording") from error


def stream(path: Path, model: type[Content], keep: Any = None) -> Iterator[Content]:
    """The records of a JSON list, one after another, however long the file.

    `keep` is asked for each raw record first, so that only those wanted are checked. Raises
    LogError as `load`.
    """
    adapter = TypeAdapter(model)
    for index, record in enumerate(_records(path)):
        try:
            if keep is None or keep(record):
                yield adapter.validate_python(record)
        except ValidationError as error:
            raise LogError(
                f"{path}: not a table of {model.__name__}: [{index}].{_first(error)}; "
                "restore the recording"
            ) from error


def _records(path: Path) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    try:
        with path.open(encoding="utf-8") as file:
            text, at, opened = "", 0, False
            while True:
                while at < len(text) and text[at] in " \t\r\n,":
                    at += 1
                if at < len(text) and not opened:
                    if text[at] != "[":
                        raise ValueError("is no list")
                    at, opened = at + 1, True
                    continue
                if text[at : at + 1] == "]":
                    return
                if at < len(text):
                    try:
                        record, at = decoder.raw_decode(text, at)
                    except json.JSONDecodeError as error:
                        if len(text) - at > _LONGEST:
                            raise ValueError(f"has a record that is too long ({error})") from error
                    else:
                        if not isinstance(record, dict):
                            raise ValueError(f"has an entry that is no record: {record!r:.60}")
                        yield record
                        continue
                more = file.read(_STEP)
                if not more:
                    raise ValueError("ends before its list does")
                text, at = text[at:] + more, 0
    except OSError as error:
        raise LogError(
            f"{path}: can't be read ({error.strerror}); restore the recording"
        ) from error
    except (ValueError, RecursionError) as error:
        raise LogError(f"{path}: {error}; restore the recording") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "file"
    return f"{where}: {first['msg']}"
