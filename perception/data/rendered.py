"""Synthetic views rendered when they are first asked for, and kept in the user's cache."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from calib.rig import BUILT_IN, load_rig
from perception.data.synthetic import Synthetic
from perception.errors import DatasetError
from perception.spec import PRESETS

_RIG = "hw2"


def rendered(
    views: int, seed: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> Synthetic:
    """`views` views of the built-in rig in random worlds; equal arguments give equal views.

    Rendered once, into `cache_folder`. `progress` hears (views done, views) while that goes on.
    Raises DatasetError without moderngl, RenderError without EGL.
    """
    folder = cache_folder(views, seed)
    if not (folder / "index.json").is_file():
        _render(folder, views, seed, progress)
    return Synthetic(folder)


def cache_folder(views: int, seed: int) -> Path:
    """XDG_CACHE_HOME/octoview/views/VIEWS-SEED-RENDERER, by the XDG Base Directory rules."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "octoview" / "views" / f"{views}-{seed}-{_renderer()}"


def _renderer() -> str:
    """Changes with all that decides what is rendered: the world's code, the rig, the sizes."""
    digest = hashlib.sha256(repr(PRESETS["nano"].buckets).encode())
    for path in [*sorted((Path(__file__).parents[1] / "synthetic").glob("*.py")), BUILT_IN[_RIG]]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _render(folder: Path, views: int, seed: int, progress: Callable[[int, int], None]) -> None:
    try:
        from perception.synthetic.views import write_views
    except ImportError as error:
        raise DatasetError(
            f"sim:{views} renders views and needs the module '{error.name}'; install octoview[sim]"
        ) from error
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise DatasetError(
            f"{folder.parent}: can't be written ({error.strerror}); set XDG_CACHE_HOME"
        ) from error
    try:
        rig = load_rig(_RIG)
        write_views(unfinished, rig, views, seed, on_done=lambda done: progress(done, views))
        if not folder.exists():  # another process may have been faster
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
