"""Where things that can be made again are kept between runs."""

import os
from pathlib import Path

from export.errors import ExportError


def cache_folder() -> Path:
    """`octoview` in $XDG_CACHE_HOME or ~/.cache, made if it is not there: plans are programs, so
    it is this user's alone. Raises ExportError when it can't be made."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "octoview"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"{folder}: can't be made ({error.strerror}); set XDG_CACHE_HOME to a folder of yours"
        ) from error
    return folder
