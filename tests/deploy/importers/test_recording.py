"""What importers share: events go into the log one by one, and no name leads out of a folder."""

import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.rig import load_rig
from deploy.errors import LogError
from deploy.importers.recording import EgoPose, Event, Picture, write_recording
from deploy.importers.source_folder import inside, read_bytes

MIB = 1 << 20


def test_a_long_recording_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    content = bytes(MIB)

    def pictures(count: int) -> Iterator[Picture]:
        for i in range(count):
            yield Picture("main", i, lambda: bytes(content), "jpeg")

    peaks = []
    for count in (10, 200):
        tracemalloc.start()
        out = tmp_path / f"{count}.mcap"
        images = write_recording(out, load_rig("hw2"), 0, pictures(count), 0, lambda *_: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert images == {"main": count}
    assert peaks[1] < peaks[0] + 2 * MIB < 60 * MIB


def test_nothing_imported_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no image to put into it"):
        write_recording(tmp_path / "o.mcap", load_rig("hw2"), 0, (), 0, lambda *_: None)
    assert not list(tmp_path.iterdir())


class Source:
    """Pictures of two cameras; counts those that were read, and is interrupted before one."""

    def __init__(self, count: int, interrupted_at: int = -1, first: int = 0) -> None:
        self._count, self._interrupted_at, self._first = count, interrupted_at, first
        self.read = 0

    def events(self) -> Iterator[Event]:
        for i in range(self._count):
            if i == self._interrupted_at:
                raise KeyboardInterrupt
            yield EgoPose(i * 100, np.eye(4))
            yield Picture(("main", "rear")[i % 2], i * 100, partial(self._bytes, i), "jpeg")

    def _bytes(self, number: int) -> bytes:
        self.read += 1
        return np.random.default_rng(self._first + number).bytes(30_000)


def recorded(out: Path, source: Source) -> None:
    write_recording(out, load_rig("hw2"), 0, source.events(), 0, lambda *_: None)


def test_an_import_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    """Twice: the second time while it takes over what the first had done."""
    recorded(tmp_path / "whole.mcap", Source(300))
    out = tmp_path / "o.mcap"
    for interrupted_at in (250, 120):
        with pytest.raises(KeyboardInterrupt):
            recorded(out, Source(300, interrupted_at))
        assert not out.exists() and out.with_name("o.mcap.part").exists()
    source = Source(300)
    recorded(out, source)
    assert 50 <= source.read <= 55  # the rest, and every hundredth to compare with
    assert out.read_bytes() == (tmp_path / "whole.mcap").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.mcap", "whole.mcap"]


@pytest.mark.parametrize("cut", [3_000_000, 20])
def test_what_a_kill_left_is_taken_over_up_to_the_cut(tmp_path: Path, cut: int) -> None:
    recorded(tmp_path / "whole.mcap", Source(300))
    whole = (tmp_path / "whole.mcap").read_bytes()
    (tmp_path / "o.mcap.part").write_bytes(whole[:cut])
    source = Source(300)
    recorded(tmp_path / "o.mcap", source)
    assert (tmp_path / "o.mcap").read_bytes() == whole
    assert source.read < 210 if cut > 20 else source.read == 300


@pytest.mark.parametrize("source", [Source(300, first=1), Source(100)], ids=["other", "shorter"])
def test_what_was_begun_of_something_else_is_left_alone(tmp_path: Path, source: Source) -> None:
    out = tmp_path / "o.mcap"
    with pytest.raises(KeyboardInterrupt):
        recorded(out, Source(300, 200))
    for _ in range(2):
        with pytest.raises(LogError, match=r"o\.mcap\.begun: was begun from another recording"):
            recorded(out, source)
        assert [path.name for path in tmp_path.iterdir()] == ["o.mcap.begun"]
    recorded(out, Source(300))


def test_links_and_pipes(tmp_path: Path) -> None:
    folder, secret = tmp_path / "set", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("x")
    (folder / "out").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "real").write_text("y")
    (folder / "alias").symlink_to(folder / "real")
    for name in ("out", "up/secret", "../secret", str(secret), "a/../../secret"):
        with pytest.raises(LogError, match="leads out of the folder"):
            inside(folder, name)
    assert read_bytes(inside(folder, "alias")) == b"y"
    with pytest.raises(LogError):
        read_bytes(inside(folder, "loop"))
    linked = tmp_path / "linked"  # the folder itself may be one
    linked.symlink_to(folder)
    assert read_bytes(inside(linked, "real")) == b"y"
    with pytest.raises(LogError, match="is no file"):
        read_bytes(folder)


@given(st.lists(st.sampled_from(["..", ".", "a", "", "/", "\0", "b\n"]), max_size=8))
def test_whatever_a_table_says_stays_inside(parts: list[str]) -> None:
    folder = Path("/nowhere/set")
    try:
        path = inside(folder, "/".join(parts))
    except LogError as error:
        assert "\n" not in str(error)
    else:
        assert path.resolve().is_relative_to(folder)
