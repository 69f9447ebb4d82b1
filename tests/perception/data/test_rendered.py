"""`sim:VIEWS`: rendered once into the cache, and found there the next time."""

import sys
from pathlib import Path

import pytest

from perception.data import rendered
from perception.data.dataset import open_dataset
from perception.errors import DatasetError, PerceptionError
from tests.perception.data.folders import write_synthetic


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "octoview" / "views"


def test_views_in_the_cache_are_used(cache: Path) -> None:
    write_synthetic(rendered.cache_folder(2, 7))
    heard: list[tuple[int, int]] = []
    dataset = open_dataset("sim:2/7", lambda done, total: heard.append((done, total)))
    assert len(dataset) == 2 and heard == []
    assert Path(dataset.sources[0]).is_relative_to(cache)


def test_the_cache_knows_its_arguments_and_its_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rendered.cache_folder(2, 7)
    assert folder == rendered.cache_folder(2, 7)
    assert len({folder, rendered.cache_folder(3, 7), rendered.cache_folder(2, 8)}) == 3
    monkeypatch.setitem(rendered.BUILT_IN, "hw2", Path(__file__))
    assert rendered.cache_folder(2, 7) != folder


def test_no_number_means_a_folder(tmp_path: Path) -> None:
    folder = write_synthetic(tmp_path / "2")
    assert Path(open_dataset(f"sim:{folder}").sources[0]).is_relative_to(folder)


def test_without_the_renderer_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "moderngl", None)
    for name in [name for name in sys.modules if name.startswith("perception.synthetic.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(DatasetError, match=r"^sim:3 .*'moderngl'; install octoview\[sim\]$"):
        open_dataset("sim:3")


def test_no_views_are_refused() -> None:
    with pytest.raises(DatasetError, match="sim:0: no views"):
        open_dataset("sim:0")


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(DatasetError, match=r"can't be written .*; set XDG_CACHE_HOME"):
        open_dataset("sim:1")


def test_views_are_rendered_once(cache: Path) -> None:
    pytest.importorskip("moderngl", reason="moderngl is not installed (octoview[sim])")
    from perception.synthetic.renderer import Renderer

    try:
        Renderer()
    except PerceptionError as error:
        pytest.skip(str(error))
    heard: list[tuple[int, int]] = []
    dataset = open_dataset("sim:2/3", lambda done, total: heard.append((done, total)))
    assert heard == [(2, 2)]
    assert dataset.sample(1).image.any()
    assert [path.name for path in cache.iterdir()] == [rendered.cache_folder(2, 3).name]
    again = open_dataset("sim:2/3", lambda done, total: heard.append((done, total)))
    assert again.sources == dataset.sources and heard == [(2, 2)]
