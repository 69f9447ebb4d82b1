"""`--json FILE`: results for machines."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from calib.text_file import write_text
from deploy.errors import DeployError


def _check(path: Path | None) -> Path | None:
    """Say at once, and not after hours of work, that the file can't be written."""
    if path is not None:
        if path.is_dir():
            raise DeployError(f"--json {path}: is a folder; name a file in it")
        for folder in path.parents:
            if folder.exists() and not folder.is_dir():
                raise DeployError(f"--json {path}: {folder} is a file; name a folder there")
    return path


JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help="Write the results here as JSON.", callback=_check),
]


def write_json(path: Path | None, content: dict[str, Any]) -> None:
    """Write `content`, if a file was asked for, in one go; missing folders are made.

    Raises DeployError when the file can't be written.
    """
    if path is None:
        return
    try:
        write_text(path, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise DeployError(
            f"--json {path}: can't be written ({error.strerror}); name another file"
        ) from error
